// What may be wrong with an applied configuration before anything is merged: fields the type does not have, and list
// items that cannot be told apart.

import { isObject } from '../json-values.ts';
import type { StructNode } from '../schema.ts';
import { itemElement, pathText } from './path-element.ts';
import { childType, mergingList, type MaybeType } from './shape.ts';

/** Texts like `.spec.foo: field not declared in schema`; empty when nothing is wrong. */
export function appliedFaults(schema: StructNode, value: unknown): string[] {
  const faults: string[] = [];
  check(schema, value, '', faults);
  return faults;
}

function check(type: MaybeType, value: unknown, path: string, faults: string[]): void {
  if (value === null || value === undefined || type === undefined) return;
  const list = mergingList(type);
  if (type.node === 'list') {
    if (!Array.isArray(value)) return;
    const seen = new Set<string>();
    value.forEach((item: unknown, i) => {
      const element = list ? itemElement(list, item) : `i:${i}`;
      if (element === undefined) {
        faults.push(`${path}: element ${i}: ${keysMissing(list!.listMapKeys)}`);
        return;
      }
      if (seen.has(element)) faults.push(`${path}: duplicate entries for key ${pathText(element)}`);
      seen.add(element);
      check(type.items, item, path + pathText(element), faults);
    });
  } else if (isObject(value) && (type.node === 'map' || type.node === 'struct')) {
    for (const key in value) {
      if (type.node === 'struct' && !type.fields.has(key)) {
        if (!type.preserveUnknown) faults.push(`${path}.${key}: field not declared in schema`);
      } else check(childType(type, key), value[key], `${path}.${key}`, faults);
    }
  }
}

const keysMissing = (keys: readonly string[]) =>
  `associative list with keys has an element that omits all key fields ${JSON.stringify(keys)} (and doesn't have default values for any key fields)`;

/** Several faults as one message. */
export const faultsText = (faults: readonly string[]): string =>
  faults.length === 1 ? faults[0]! : ['errors:', ...faults.map((fault) => `  ${fault}`)].join('\n');
