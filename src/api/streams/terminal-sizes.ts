// Terminal sizes as they travel: JSON objects one after another, `{"Width":80,"Height":24}`.

import type { TerminalSize } from '../node-api.ts';

/** A client that sends more without an object sends no sizes. */
const MAX_PENDING = 1024;

/** Takes objects out of a stream of bytes cut anywhere; what is no size is skipped. */
export class TerminalSizeReader {
  readonly #decoder = new TextDecoder();
  #text = '';

  read(chunk: Uint8Array): TerminalSize[] {
    this.#text += this.#decoder.decode(chunk, { stream: true });
    const sizes: TerminalSize[] = [];
    let end = 0;
    for (const match of this.#text.matchAll(/\{[^{}]*\}/g)) {
      const size = sizeOf(match[0]);
      if (size) sizes.push(size);
      end = match.index + match[0].length;
    }
    this.#text = this.#text.slice(end);
    if (this.#text.length > MAX_PENDING) this.#text = '';
    return sizes;
  }
}

function sizeOf(json: string): TerminalSize | undefined {
  let fields: [string, unknown][];
  try {
    fields = Object.entries(JSON.parse(json) as object);
  } catch {
    return undefined;
  }
  // Go matches names without regard to case, and clients have come to rely on it.
  const find = (name: string) => fields.find(([key]) => key.toLowerCase() === name)?.[1];
  const [width, height] = [find('width'), find('height')];
  return isSide(width) && isSide(height) ? { width, height } : undefined;
}

const isSide = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 0xffff;

export function encodeTerminalSize({ width, height }: TerminalSize): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ Width: width, Height: height }));
}
