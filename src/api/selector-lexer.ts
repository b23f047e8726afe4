// Splits the text of a label selector into tokens.

const SYMBOLS = new Set(['=', '!', '(', ')', ',', '>', '<']);
const OPERATORS = new Set([')', ',', '!', '==', '=', '>', '<', '!=', '(']);
const isSpace = (c: string) => c === ' ' || c === '\t' || c === '\r' || c === '\n';

export interface Token {
  /** A symbol, `identifier` (also for the words in and notin, which may be values), `end` or `error`. */
  readonly kind: string;
  readonly text: string;
}

export class Lexer {
  readonly #text: string;
  #position = 0;
  #ahead: Token | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  peek(): Token {
    return (this.#ahead ??= this.#scan());
  }

  next(): Token {
    const token = this.peek();
    if (token.kind !== 'end') this.#ahead = undefined;
    return token;
  }

  #scan(): Token {
    const text = this.#text;
    let start = this.#position;
    while (start < text.length && isSpace(text[start]!)) start++;
    let end = start;
    if (end >= text.length) return { kind: 'end', text: '' };
    if (SYMBOLS.has(text[start]!)) return this.#scanSymbol(start);
    while (end < text.length && !isSpace(text[end]!) && !SYMBOLS.has(text[end]!)) end++;
    this.#position = end;
    return { kind: 'identifier', text: text.slice(start, end) };
  }

  /** The longest operator there is. */
  #scanSymbol(start: number): Token {
    const two = this.#text.slice(start, start + 2);
    const symbol = OPERATORS.has(two) ? two : this.#text[start]!;
    this.#position = start + symbol.length;
    return { kind: symbol, text: symbol };
  }
}
