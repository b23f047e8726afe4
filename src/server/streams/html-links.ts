// Links in proxied HTML pages: those to the root of the backend are made to lead through the proxy, as upstream does.
// Works on a page in pieces and byte by byte, so that no character set matters that has ASCII in it.

import type { ByteSource } from '../../api/node-api.ts';

/** Attributes that hold a URL, by element. */
const LINKS: Readonly<Record<string, readonly string[]>> = {
  a: ['href'],
  applet: ['codebase'],
  area: ['href'],
  audio: ['src'],
  base: ['href'],
  blockquote: ['cite'],
  body: ['background'],
  button: ['formaction'],
  command: ['icon'],
  del: ['cite'],
  embed: ['src'],
  form: ['action'],
  frame: ['longdesc', 'src'],
  head: ['profile'],
  html: ['manifest'],
  iframe: ['longdesc', 'src'],
  img: ['longdesc', 'src', 'usemap'],
  input: ['src', 'usemap', 'formaction'],
  ins: ['cite'],
  link: ['href'],
  object: ['classid', 'codebase', 'data', 'usemap'],
  q: ['cite'],
  script: ['src'],
  source: ['src'],
  track: ['src'],
  video: ['poster', 'src'],
};

/** Elements whose content is no markup. */
const RAW_TEXT = new Set(['script', 'style', 'textarea', 'title', 'xmp', 'iframe', 'noembed', 'noframes']);
/** Bytes of a tag that is not yet complete; a longer one is passed on as it is. */
const MAX_TAG = 64 * 1024;

const TAG = /<([a-zA-Z][^\s/>]*)((?:[^>"']|"[^"]*"|'[^']*')*)>/y;
const ATTRIBUTE = /([^\s=/>"']+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s>"']+)/g;

export async function* rewriteLinks(page: ByteSource, rewrite: (url: string) => string): ByteSource {
  const rewriter = new LinkRewriter(rewrite);
  for await (const chunk of page) {
    const out = rewriter.feed(toText(chunk));
    if (out) yield toBytes(out);
  }
  const rest = rewriter.end();
  if (rest) yield toBytes(rest);
}

class LinkRewriter {
  readonly #rewrite: (url: string) => string;
  #pending = '';
  /** What ends the content that is no markup, e.g. `</script`. */
  #until: string | undefined;

  constructor(rewrite: (url: string) => string) {
    this.#rewrite = rewrite;
  }

  feed(text: string): string {
    const all = this.#pending + text;
    let [out, at] = ['', 0];
    for (;;) {
      const next = this.#until ? indexOfEnd(all, this.#until, at) : all.indexOf('<', at);
      if (next < 0) {
        // The end that is looked for may be cut.
        const kept = this.#until ? Math.min(this.#until.length - 1, all.length - at) : 0;
        this.#pending = all.slice(all.length - kept);
        return out + all.slice(at, all.length - kept);
      }
      out += all.slice(at, next);
      at = next;
      if (this.#until) {
        const end = this.#until;
        this.#until = undefined;
        out += all.slice(at, at + end.length);
        at += end.length;
        continue;
      }
      const step = this.#markup(all, at);
      if (!step && all.length - at <= MAX_TAG) {
        this.#pending = all.slice(at);
        return out;
      }
      out += step?.text ?? '<';
      at += step?.length ?? 1;
    }
  }

  end(): string {
    return this.#pending;
  }

  /** What stands at a `<`; undefined when it is not complete. */
  #markup(all: string, at: number): { readonly text: string; readonly length: number } | undefined {
    if (all.startsWith('<!--', at)) {
      this.#until = '-->';
      return { text: '<!--', length: 4 };
    }
    if ('<!--'.startsWith(all.slice(at, at + 4))) return undefined;
    if (!/[a-zA-Z]/.test(all[at + 1]!)) return { text: '<', length: 1 };
    TAG.lastIndex = at;
    const match = TAG.exec(all);
    if (!match) return undefined;
    const [whole, element, attributes] = match as unknown as [string, string, string];
    const name = element.toLowerCase();
    if (RAW_TEXT.has(name) && !attributes.endsWith('/')) this.#until = `</${name}`;
    const names = LINKS[name];
    const text = names ? `<${element}${this.#attributes(attributes, names)}>` : whole;
    return { text, length: whole.length };
  }

  #attributes(text: string, names: readonly string[]): string {
    return text.replace(ATTRIBUTE, (whole, name: string, equals: string, value: string) => {
      if (!names.includes(name.toLowerCase())) return whole;
      const quote = value[0] === '"' || value[0] === "'" ? value[0] : '';
      return name + equals + quote + this.#rewrite(quote ? value.slice(1, -1) : value) + quote;
    });
  }
}

function indexOfEnd(text: string, end: string, from: number): number {
  if (end === '-->') return text.indexOf(end, from);
  // Only in this form does case not matter.
  for (let at = text.indexOf('</', from); at >= 0; at = text.indexOf('</', at + 2)) {
    if (text.slice(at, at + end.length).toLowerCase() === end) return at;
  }
  return -1;
}

/** One character for each byte. */
function toText(bytes: Uint8Array): string {
  let out = '';
  for (let at = 0; at < bytes.length; at += 8192) out += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return out;
}

function toBytes(text: string): Uint8Array {
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}
