// Field selectors: `metadata.name=a,spec.nodeName!=b`. Values escape `,`, `=` and `\` with a backslash.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/

import { SelectorError } from './selectors.ts';

export interface FieldTerm {
  readonly field: string;
  readonly negated: boolean;
  readonly value: string;
}

/** A conjunction of terms; without any it matches everything. */
export class FieldSelector {
  readonly terms: readonly FieldTerm[];

  constructor(terms: readonly FieldTerm[]) {
    this.terms = terms;
  }

  get isEmpty(): boolean {
    return this.terms.length === 0;
  }

  /** `fields` holds the value of every field that may be selected; an absent one counts as ''. */
  matches(fields: Readonly<Record<string, string>>): boolean {
    for (const term of this.terms) if (((fields[term.field] ?? '') === term.value) === term.negated) return false;
    return true;
  }

  /** As `matches`, reading only the fields asked for. */
  matchesWith(read: (field: string) => string): boolean {
    for (const term of this.terms) if ((read(term.field) === term.value) === term.negated) return false;
    return true;
  }

  /** The value a field must have for a match, if the selector asks for one. */
  exactValue(field: string): string | undefined {
    return this.terms.find((t) => t.field === field && !t.negated)?.value;
  }

  toString(): string {
    return this.terms.map((t) => `${t.field}${t.negated ? '!=' : '='}${escape(t.value)}`).join(',');
  }
}

const escape = (value: string) => value.replace(/[\\,=]/g, '\\$&');
export const ALL_FIELDS = new FieldSelector([]);

/** Throws SelectorError; '' is everything. Whether a kind has such fields is the caller's to check. */
export function parseFieldSelector(text: string): FieldSelector {
  if (text === '') return ALL_FIELDS;
  const terms: FieldTerm[] = [];
  for (const part of splitTerms(text).sort()) {
    if (part === '') continue;
    const match = /^(.*?)(!=|==|=)(.*)$/s.exec(part);
    if (!match) throw new SelectorError(`invalid selector: '${text}'; can't understand '${part}'`);
    terms.push({ field: match[1]!, negated: match[2] === '!=', value: unescape(match[3]!) });
  }
  return new FieldSelector(terms);
}

/** Splits at commas that are not escaped. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === ',') {
      terms.push(text.slice(start, i));
      start = i + 1;
    }
  }
  terms.push(text.slice(start));
  return terms;
}

function unescape(value: string): string {
  let out = '';
  for (let i = 0; i < value.length; i++) {
    const c = value[i]!;
    if (c === '\\') {
      const next = value[++i] ?? '';
      if (next !== '\\' && next !== ',' && next !== '=')
        throw new SelectorError(`invalid field selector: invalid escape sequence: \\${next}`);
      out += next;
    } else if (c === ',' || c === '=') {
      throw new SelectorError(`invalid field selector: unescaped character in value: ${c.charCodeAt(0)}`);
    } else out += c;
  }
  return out;
}
