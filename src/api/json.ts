// JSON text to values, with the two things JSON.parse does not do: duplicate keys are found, and errors speak Go's words.
// JSON.parse does the work; the careful scanner runs only when there is an error or a duplicate to name.

import { checkJson, JsonError } from './json-scanner.ts';

export { JsonError };

export interface ParsedJson {
  readonly value: unknown;
  /** One text for each repeated key, e.g. `duplicate field "spec.replicas"`. The last value wins. */
  readonly duplicates: readonly string[];
}

export interface ParseJsonOptions {
  /** Look for duplicate keys: what field validation Warn and Strict ask for. */
  readonly duplicates?: boolean;
  /** Levels of nesting allowed; deeper text is an error. 1000 unless told. */
  readonly maxDepth?: number;
}

const decoder = new TextDecoder();
const NONE: readonly string[] = [];

/** Throws JsonError. */
export function parseJson(input: string | Uint8Array, options: ParseJsonOptions = {}): ParsedJson {
  const text = typeof input === 'string' ? input : decoder.decode(input);
  const maxDepth = options.maxDepth ?? 1000;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    checkJson(text, maxDepth);
    throw new JsonError((error as Error).message);
  }
  // Nesting takes two characters a level, so most texts are too short to be too deep.
  if (!options.duplicates && text.length < 2 * maxDepth) return { value, duplicates: NONE };
  const keys = countKeys(value, maxDepth);
  if (!options.duplicates || keys === countKeysInText(text)) return { value, duplicates: NONE };
  return { value, duplicates: checkJson(text, maxDepth).map((path) => `duplicate field ${JSON.stringify(path)}`) };
}

function countKeys(value: unknown, depth: number): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (depth === 0) throw new JsonError('exceeded max depth');
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object') count += countKeys(item, depth - 1);
    return count;
  }
  for (const key in value) {
    count++;
    const item = (value as Record<string, unknown>)[key];
    if (typeof item === 'object') count += countKeys(item, depth - 1);
  }
  return count;
}

const BACKSLASH = 92;
const COLON = 58;

/** The strings of valid JSON that a colon follows. */
function countKeysInText(text: string): number {
  let count = 0;
  for (let i = text.indexOf('"'); i >= 0; i = text.indexOf('"', i)) {
    let end = text.indexOf('"', i + 1);
    while (text.charCodeAt(end - 1) === BACKSLASH && isEscaped(text, end)) end = text.indexOf('"', end + 1);
    i = end + 1;
    let c = text.charCodeAt(i);
    while (c <= 32) c = text.charCodeAt(++i);
    if (c === COLON) count++;
  }
  return count;
}

function isEscaped(text: string, quote: number): boolean {
  let slashes = 0;
  while (text.charCodeAt(quote - 1 - slashes) === BACKSLASH) slashes++;
  return slashes % 2 === 1;
}
