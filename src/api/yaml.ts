// YAML to the values JSON would give, reading scalars as kubectl does: YAML 1.2 plus what YAML 1.1 manifests rely on
// (0644 is octal, yes/no/on/off are booleans, << merges), but y and n stay text and timestamps stay text.

import { CORE_SCHEMA, defineScalarTag, dump, load, loadAll, mergeTag, NOT_RESOLVED, YAMLException } from 'js-yaml';

/** The text is no YAML; the message says where. */
export class YamlError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'YamlError';
  }
}

export interface ParsedYaml {
  readonly value: unknown;
  /** What is wrong with repeated keys, of which the last one counted. */
  readonly duplicates: readonly string[];
}

const BOOLEANS = new Map<string, boolean>();
for (const [words, value] of [
  ['true yes on', true],
  ['false no off', false],
] as const)
  for (const w of words.split(' '))
    for (const form of [w, w[0]!.toUpperCase() + w.slice(1), w.toUpperCase()]) BOOLEANS.set(form, value);

const boolTag = defineScalarTag<boolean>('tag:yaml.org,2002:bool', {
  implicit: true,
  implicitFirstChars: [...'tTyYoOfFnN'],
  resolve: (source) => BOOLEANS.get(source) ?? NOT_RESOLVED,
  identify: (data) => typeof data === 'boolean',
});

const intTag = defineScalarTag<number>('tag:yaml.org,2002:int', {
  implicit: true,
  implicitFirstChars: [...'+-0123456789'],
  resolve: (source) => integer(source) ?? NOT_RESOLVED,
  identify: (data) => Number.isInteger(data),
});

const SCHEMA = CORE_SCHEMA.withTags(mergeTag, boolTag, intTag);

function integer(source: string): number | undefined {
  const match = /^([+-]?)(?:0x([0-9a-fA-F_]+)|0b([01_]+)|0o?([0-7_]+)|(0|[1-9][0-9_]*))$/.exec(source);
  if (!match) return undefined;
  const [, sign, hex, binary, octal, decimal] = match;
  const digits = (hex ?? binary ?? octal ?? decimal)!.replaceAll('_', '');
  if (!digits) return undefined;
  const value = parseInt(digits, hex ? 16 : binary ? 2 : octal ? 8 : 10);
  return sign === '-' ? -value || 0 : value;
}

/** The only document of a text; undefined value for an empty one. Throws YamlError. */
export function parseYaml(text: string): ParsedYaml {
  const all = parse(text, (json) => (text.trim() === '' ? [] : [load(text, { schema: SCHEMA, json })]));
  return { value: all.values[0], duplicates: all.duplicates };
}

/** Every document of a text, empty ones left out. Throws YamlError. */
export function parseYamlDocuments(text: string): unknown[] {
  const { values } = parse(text, (json) => loadAll(text, { schema: SCHEMA, json }));
  return values.filter((v) => v !== null && v !== undefined);
}

/** One document, keys in alphabetical order, text quoted wherever some reader might take it for something else. */
export function formatYaml(value: unknown): string {
  return dump(value, { sortKeys: true, noRefs: true, skipInvalid: true });
}

function parse(text: string, read: (json: boolean) => unknown[]): { values: unknown[]; duplicates: readonly string[] } {
  let values: unknown[];
  let duplicates: readonly string[] = [];
  try {
    try {
      values = read(false);
    } catch (error) {
      if (!(error instanceof YAMLException) || !/duplicated mapping key/.test(error.message)) throw error;
      duplicates = [firstLine(error)];
      values = read(true);
    }
  } catch (error) {
    throw new YamlError(firstLine(error as Error));
  }
  // Aliases share what they point at; written out, a small text can become a huge one.
  let budget = 10_000 + 10 * text.length;
  const spend = (value: unknown): void => {
    if (--budget < 0) throw new YamlError('document contains excessive aliasing');
    if (typeof value !== 'object' || value === null) return;
    for (const inner of Object.values(value)) spend(inner);
  };
  for (const value of values) spend(value);
  return { values, duplicates };
}

const firstLine = (error: Error) => `yaml: ${error.message.split('\n')[0]}`;
