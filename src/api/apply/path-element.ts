// The steps of a field path as FieldsV1 writes them: `f:name`, `k:{"name":"a"}`, `v:"x"`, `i:0`.

import { isObject } from '../json-values.ts';
import type { ListNode } from '../schema.ts';

/** Elements by name: as property names they are looked up by content, which costs more than all else done with them. */
const fieldElements = new Map<string, string>();
const MAX_KNOWN = 8192;

export function fieldElement(name: string): string {
  let element = fieldElements.get(name);
  if (element === undefined) {
    if (fieldElements.size >= MAX_KNOWN) fieldElements.clear();
    fieldElements.set(name, (element = `f:${name}`));
  }
  return element;
}

const itemElements = new WeakMap<ListNode, Map<unknown, string>>();

/** The element of an item by its only key. */
function elementOfKey(list: ListNode, key: string, value: unknown): string {
  let known = itemElements.get(list);
  if (!known || known.size >= MAX_KNOWN) itemElements.set(list, (known = new Map()));
  let element = known.get(value);
  if (element === undefined) known.set(value, (element = `k:{${JSON.stringify(key)}:${JSON.stringify(value)}}`));
  return element;
}

/**
 * The element of an item of a list that merges: its keys (defaults filled in) or its value.
 * Undefined for an item that has none of the keys.
 */
export function itemElement(list: ListNode, item: unknown): string | undefined {
  if (list.listType === 'set') return `v:${JSON.stringify(item)}`;
  if (!isObject(item)) return undefined;
  const keys = sortedKeys(list);
  const [first] = keys;
  if (keys.length === 1 && typeof item[first!] === 'string') return elementOfKey(list, first!, item[first!]);
  let text = '';
  for (const key of keys) {
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
