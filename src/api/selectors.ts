// Label selectors: parsed from text or from a metav1.LabelSelector, matched, and printed.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors

import { field, fieldErrorText, type FieldError } from './errors.ts';
import type { LabelSelector } from './object.ts';
import { Lexer, type Token } from './selector-lexer.ts';
import { labelValue, qualifiedName } from './validate/names.ts';

export type Operator = '=' | '==' | '!=' | 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt';
type Labels = Readonly<Record<string, string>>;

export interface Requirement {
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

/** The text or object is no selector; the message is upstream's. */
export class SelectorError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SelectorError';
  }
}

/** A conjunction of requirements; without any it matches everything. */
export class Selector {
  readonly requirements: readonly Requirement[];
  readonly #never: boolean;
  #text: string | undefined;

  constructor(requirements: readonly Requirement[], never = false) {
    this.requirements = [...requirements].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    this.#never = never;
  }

  /** Matches every object. */
  get isEmpty(): boolean {
    return !this.#never && this.requirements.length === 0;
  }

  matches(labels: Labels | undefined): boolean {
    if (this.#never) return false;
    for (const requirement of this.requirements) if (!meets(requirement, labels?.[requirement.key])) return false;
    return true;
  }

  /** The one value a label must have for a match, if the selector asks for one. */
  exactValue(key: string): string | undefined {
    const found = this.requirements.find((r) => r.key === key);
    if (!found || found.values.length !== 1) return undefined;
    return found.operator === '=' || found.operator === '==' || found.operator === 'in' ? found.values[0] : undefined;
  }

  toString(): string {
    return (this.#text ??= this.requirements.map(requirementText).join(','));
  }
}

export const EVERYTHING = new Selector([]);
export const NOTHING = new Selector([], true);

/** `value` may be no string for keys like `constructor`, which every object inherits. */
function meets({ operator, values }: Requirement, value: unknown): boolean {
  const has = typeof value === 'string';
  switch (operator) {
    case '=':
    case '==':
      return value === values[0];
    case '!=':
      return value !== values[0];
    case 'in':
      return has && values.includes(value);
    case 'notin':
      return !has || !values.includes(value);
    case 'exists':
      return has;
    case '!':
      return !has;
    default: {
      if (!has || !isInteger(value)) return false;
      const [left, right] = [BigInt(value), BigInt(values[0]!)];
      return operator === 'gt' ? left > right : left < right;
    }
  }
}

const isInteger = (text: string) => /^[-+]?[0-9]+$/.test(text);

function requirementText({ key, operator, values }: Requirement): string {
  switch (operator) {
    case 'exists':
      return key;
    case '!':
      return `!${key}`;
    case 'in':
    case 'notin':
      return `${key} ${operator} (${[...values].sort().join(',')})`;
    case 'gt':
      return `${key}>${values[0]}`;
    case 'lt':
      return `${key}<${values[0]}`;
    default:
      return `${key}${operator}${values[0]}`;
  }
}

/** A checked requirement; throws SelectorError with upstream's text. */
function requirement(key: string, operator: Operator, values: readonly string[]): Requirement {
  const errors: FieldError[] = [];
  const keyFaults = qualifiedName(key);
  if (keyFaults.length) errors.push(field.invalid('key', key, keyFaults.join('; ')));
  const why = valuesFault(operator, values);
  if (why) errors.push(field.invalid('values', values, why));
  values.forEach((value, i) => {
    if ((operator === 'gt' || operator === 'lt') && !isInteger(value))
      errors.push(field.invalid(`values[${i}]`, value, "for 'Gt', 'Lt' operators, the value must be an integer"));
  });
  values.forEach((value, i) => {
    const faults = labelValue(value);
    if (faults.length) errors.push(field.invalid(`values[${i}][${key}]`, value, faults.join('; ')));
  });
  if (errors.length === 0) return { key, operator, values };
  const texts = errors.map(fieldErrorText);
  throw new SelectorError(texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]`);
}

function valuesFault(operator: Operator, values: readonly string[]): string | undefined {
  switch (operator) {
    case 'in':
    case 'notin':
      return values.length === 0 ? "for 'in', 'notin' operators, values set can't be empty" : undefined;
    case 'exists':
    case '!':
      return values.length !== 0 ? 'values set must be empty for exists and does not exist' : undefined;
    case 'gt':
    case 'lt':
      return values.length !== 1 ? "for 'Gt', 'Lt' operators, exactly one value is required" : undefined;
    default:
      return values.length !== 1 ? 'exact-match compatibility requires one single value' : undefined;
  }
}

/** Parses `a=b,c in (d,e),!f`. Throws SelectorError; '' is everything. */
export function parseSelector(text: string): Selector {
  if (text === '') return EVERYTHING;
  const lexer = new Lexer(text);
  const requirements: Requirement[] = [];
  for (;;) {
    const next = lexer.peek();
    if (next.kind === 'end') return new Selector(requirements);
    if (next.kind !== 'identifier' && next.kind !== '!') throw found(next, "!, identifier, or 'end of string'");
    try {
      requirements.push(parseRequirement(lexer));
    } catch (error) {
      throw new SelectorError(`unable to parse requirement: ${(error as Error).message}`);
    }
    const separator = lexer.next();
    if (separator.kind === 'end') return new Selector(requirements);
    if (separator.kind !== ',') throw found(separator, "',' or 'end of string'");
    const after = lexer.peek();
    if (after.kind !== 'identifier' && after.kind !== '!') throw found(after, "identifier after ','");
  }
}

const found = (token: Token, expected: string) => new SelectorError(`found '${token.text}', expected: ${expected}`);

function parseRequirement(lexer: Lexer): Requirement {
  let token = lexer.next();
  const negated = token.kind === '!';
  if (negated) token = lexer.next();
  if (token.kind !== 'identifier') throw found(token, 'identifier');
  const key = token.text;
  const faults = qualifiedName(key);
  if (faults.length) throw new SelectorError(fieldErrorText(field.invalid('<nil>', key, faults.join('; '))));
  const ahead = lexer.peek().kind;
  if (negated) return requirement(key, '!', []);
  if (ahead === 'end' || ahead === ',') return requirement(key, 'exists', []);
  const operator = lexer.next();
  switch (operator.text) {
    case 'in':
    case 'notin':
      return requirement(key, operator.text, parseValues(lexer));
    case '=':
    case '==':
    case '!=':
      return requirement(key, operator.text, [parseValue(lexer)]);
    case '>':
      return requirement(key, 'gt', [parseValue(lexer)]);
    case '<':
      return requirement(key, 'lt', [parseValue(lexer)]);
    default:
      throw found(operator, 'in, notin, =, ==, !=, gt, lt');
  }
}

function parseValue(lexer: Lexer): string {
  const ahead = lexer.peek();
  if (ahead.kind === 'end' || ahead.kind === ',') return '';
  const token = lexer.next();
  if (token.kind !== 'identifier') throw found(token, 'identifier');
  return token.text;
}

/** `(a,b)`; an empty place is the empty value, as in `(,a)`. */
function parseValues(lexer: Lexer): string[] {
  const open = lexer.next();
  if (open.kind !== '(') throw new SelectorError(`found '${open.text}' expected: '('`);
  const first = lexer.peek();
  if (first.kind !== 'identifier' && first.kind !== ',' && first.kind !== ')')
    throw found(first, "',', ')' or identifier");
  const values = new Set<string>();
  for (;;) {
    const token = lexer.peek();
    if (token.kind === 'identifier') values.add(lexer.next().text);
    else if (token.kind === ',' || token.kind === ')') values.add('');
    else throw found(token, "',', or identifier");
    const separator = lexer.next();
    if (separator.kind === ')') return [...values].sort();
    if (separator.kind !== ',') throw found(separator, "',' or ')'");
  }
}

const OPERATORS = new Map<string, Operator>([
  ['In', 'in'],
  ['NotIn', 'notin'],
  ['Exists', 'exists'],
  ['DoesNotExist', '!'],
]);
const compiled = new WeakMap<LabelSelector, Selector>();

/**
 * Compiles a metav1.LabelSelector, once per object: an absent one matches nothing, an empty one everything.
 * Throws SelectorError.
 */
export function selectorOf(selector: LabelSelector | null | undefined): Selector {
  if (!selector) return NOTHING;
  const known = compiled.get(selector);
  if (known) return known;
  const requirements = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => requirement(key, '=', [value]));
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const known = OPERATORS.get(operator);
    if (!known) throw new SelectorError(`${JSON.stringify(operator)} is not a valid label selector operator`);
    requirements.push(requirement(key, known, values ?? []));
  }
  const result = requirements.length ? new Selector(requirements) : EVERYTHING;
  compiled.set(selector, result);
  return result;
}

const fromLabels = new WeakMap<Labels, Selector>();

/** Objects that carry all these labels (Service and ReplicationController selectors); no labels match everything. */
export function selectorFromLabels(labels: Labels | null | undefined): Selector {
  if (!labels) return EVERYTHING;
  let result = fromLabels.get(labels);
  if (!result) {
    const pairs = Object.entries(labels);
    result = pairs.length ? new Selector(pairs.map(([key, v]) => ({ key, operator: '=', values: [v] }))) : EVERYTHING;
    fromLabels.set(labels, result);
  }
  return result;
}

/** The text of tables: `<none>` when nothing is asked for. */
export function formatLabelSelector(selector: LabelSelector | null | undefined): string {
  try {
    return selectorOf(selector).toString() || '<none>';
  } catch {
    return '<error>';
  }
}
