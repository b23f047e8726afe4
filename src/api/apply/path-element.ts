// The steps of a field path as FieldsV1 writes them: `f:name`, `k:{"name":"a"}`, `v:"x"`, `i:0`.

import { isObject } from '../json-values.ts';
import type { ListNode } from '../schema.ts';

export const fieldElement = (name: string): string => `f:${name}`;

/**
 * The element of an item of a list that merges: its keys (defaults filled in) or its value.
 * Undefined for an item that has none of the keys.
 */
export function itemElement(list: ListNode, item: unknown): string | undefined {
  if (list.listType === 'set') return `v:${JSON.stringify(item)}`;
  if (!isObject(item)) return undefined;
  let text = '';
  for (const key of sortedKeys(list)) {
    const value = item[key] ?? keyDefault(list, key);
    if (value !== undefined && value !== null) text += `${text && ','}${JSON.stringify(key)}:${JSON.stringify(value)}`;
  }
  return text ? `k:{${text}}` : undefined;
}

const keyOrders = new WeakMap<ListNode, readonly string[]>();

function sortedKeys(list: ListNode): readonly string[] {
  if (list.listMapKeys.length < 2) return list.listMapKeys;
  let keys = keyOrders.get(list);
  if (!keys) keyOrders.set(list, (keys = [...list.listMapKeys].sort()));
  return keys;
}

function keyDefault(list: ListNode, key: string): unknown {
  const text = list.items.node === 'struct' ? list.items.fields.get(key)?.default : undefined;
  return text === undefined || text.startsWith('ref(') ? undefined : (JSON.parse(text) as unknown);
}

/** How messages print an element: `.name`, `[name="a"]`, `[="x"]`, `[0]`. */
export function pathText(element: string): string {
  const rest = element.slice(2);
  if (element.startsWith('f:')) return `.${rest}`;
  if (element.startsWith('v:')) return `[=${rest}]`;
  if (element.startsWith('i:')) return `[${rest}]`;
  const keys = Object.entries(JSON.parse(rest) as Record<string, unknown>);
  return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
}
