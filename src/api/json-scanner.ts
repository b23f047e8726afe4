// Walks JSON text by its grammar (RFC 8259), finds repeated keys with their paths, and says what is wrong in the words
// of Go's encoding/json. Slow and careful; json.ts asks it only when there is something to tell.

/** The text is no JSON; the message is upstream's. */
export class JsonError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'JsonError';
  }
}

/** The paths of repeated keys, e.g. `spec.containers[0].image`, each once. Throws JsonError. */
export function checkJson(text: string, maxDepth: number): string[] {
  const scanner = new Scanner(text, maxDepth);
  scanner.document();
  return [...scanner.duplicates];
}

const isDigit = (c: string | undefined) => c !== undefined && c >= '0' && c <= '9';

class Scanner {
  readonly duplicates = new Set<string>();
  readonly #text: string;
  #depth: number;
  #at = 0;

  constructor(text: string, maxDepth: number) {
    this.#text = text;
    this.#depth = maxDepth;
  }

  document(): void {
    this.#value('');
    this.#space();
    if (this.#at < this.#text.length) this.#fail('after top-level value');
  }

  #fail(where: string): never {
    const c = this.#text[this.#at];
    if (c === undefined) throw new JsonError('unexpected end of JSON input');
    const shown = c === "'" ? String.raw`'\''` : c === '"' ? `'"'` : `'${JSON.stringify(c).slice(1, -1)}'`;
    throw new JsonError(`invalid character ${shown} ${where}`);
  }

  #space(): void {
    for (let c = this.#text[this.#at]; c === ' ' || c === '\n' || c === '\t' || c === '\r';) c = this.#text[++this.#at];
  }

  #value(path: string): void {
    this.#space();
    const c = this.#text[this.#at];
    if (c === '{') return this.#nested(() => this.#object(path));
    if (c === '[') return this.#nested(() => this.#array(path));
    if (c === '"') return void this.#string();
    if (c === '-' || isDigit(c)) return this.#number();
    if (c === 't') return this.#literal('true');
    if (c === 'f') return this.#literal('false');
    if (c === 'n') return this.#literal('null');
    this.#fail('looking for beginning of value');
  }

  #nested(scan: () => void): void {
    if (this.#depth-- === 0) throw new JsonError('exceeded max depth');
    this.#at++;
    scan();
    this.#at++;
    this.#depth++;
  }

  #object(path: string): void {
    const seen = new Set<string>();
    this.#space();
    if (this.#text[this.#at] === '}') return;
    for (;;) {
      this.#space();
      if (this.#text[this.#at] !== '"') this.#fail('looking for beginning of object key string');
      const key = this.#string();
      const child = path ? `${path}.${key}` : key;
      if (seen.has(key)) this.duplicates.add(child);
      seen.add(key);
      this.#space();
      if (this.#text[this.#at] !== ':') this.#fail('after object key');
      this.#at++;
      this.#value(child);
      this.#space();
      const c = this.#text[this.#at];
      if (c === '}') return;
      if (c !== ',') this.#fail('after object key:value pair');
      this.#at++;
    }
  }

  #array(path: string): void {
    this.#space();
    if (this.#text[this.#at] === ']') return;
    for (let i = 0; ; i++) {
      this.#value(`${path}[${i}]`);
      this.#space();
      const c = this.#text[this.#at];
      if (c === ']') return;
      if (c !== ',') this.#fail('after array element');
      this.#at++;
    }
  }

  #string(): string {
    const start = this.#at++;
    for (;;) {
      const c = this.#text[this.#at];
      if (c === '"') break;
      if (c === undefined || c < ' ') this.#fail('in string literal');
      this.#at++;
      if (c === '\\') this.#escape();
    }
    this.#at++;
    return JSON.parse(this.#text.slice(start, this.#at)) as string;
  }

  #escape(): void {
    const c = this.#text[this.#at];
    if (c === undefined || !'"\\/bfnrtu'.includes(c)) this.#fail('in string escape code');
    this.#at++;
    if (c !== 'u') return;
    for (let i = 0; i < 4; i++, this.#at++) {
      if (!/^[0-9a-fA-F]$/.test(this.#text[this.#at] ?? '')) this.#fail(String.raw`in \u hexadecimal character escape`);
    }
  }

  #number(): void {
    if (this.#text[this.#at] === '-') this.#at++;
    if (this.#text[this.#at] === '0') this.#at++;
    else this.#digits('in numeric literal');
    if (this.#text[this.#at] === '.') {
      this.#at++;
      this.#digits('after decimal point in numeric literal');
    }
    const c = this.#text[this.#at];
    if (c !== 'e' && c !== 'E') return;
    const sign = this.#text[++this.#at];
    if (sign === '+' || sign === '-') this.#at++;
    this.#digits('in exponent of numeric literal');
  }

  #digits(where: string): void {
    if (!isDigit(this.#text[this.#at])) this.#fail(where);
    while (isDigit(this.#text[this.#at])) this.#at++;
  }

  #literal(word: string): void {
    this.#at++;
    for (const c of word.slice(1)) {
      if (this.#text[this.#at] !== c) this.#fail(`in literal ${word} (expecting '${c}')`);
      this.#at++;
    }
  }
}
