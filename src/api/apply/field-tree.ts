// Sets of field paths in the form of FieldsV1: `{"f:spec": {"f:replicas": {}}}`. A path belongs to the set when its node
// is empty or holds `.`; so the sets of managed fields are used as they stand, without decoding, and unchanged parts
// are shared. Trees are immutable. As a whole set, `{}` is the empty set.
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/#System

import { pathText } from './path-element.ts';

export interface FieldTree {
  readonly [element: string]: FieldTree;
}
type Building = Record<string, FieldTree>;

export const EMPTY: FieldTree = Object.freeze({});
const SELF = '.';

export function isEmptyTree(tree: FieldTree): boolean {
  for (const _ in tree) return false;
  return true;
}

/** The node's own path belongs to the set. */
export function isMember(node: FieldTree): boolean {
  for (const key in node) return key === SELF || SELF in node;
  return true;
}

/** A node over these children that is a member itself. */
export const asMember = (children: FieldTree): FieldTree =>
  SELF in children || isEmptyTree(children) ? children : { [SELF]: EMPTY, ...children };

/** Everything in `a` or `b`; `a` itself when `b` adds nothing. */
export function union(a: FieldTree, b: FieldTree): FieldTree {
  if (a === b || isEmptyTree(b)) return a;
  if (isEmptyTree(a)) return b;
  let out: Building | undefined;
  for (const key in b) {
    if (key === SELF) continue;
    const mine = a[key];
    const merged = mine ? unionNode(mine, b[key]!) : b[key]!;
    if (merged !== mine) (out ??= { ...a })[key] = merged;
  }
  return out ?? a;
}

function unionNode(a: FieldTree, b: FieldTree): FieldTree {
  if (a === b) return a;
  const member = isMember(a) || isMember(b);
  // An empty node is a member without children; an empty set has none either.
  const children = union(a, b);
  return member && !isMember(children) ? asMember(children) : children;
}

/** Everything in `a` but not in `b`; `a` itself when they share nothing. */
export function difference(a: FieldTree, b: FieldTree): FieldTree {
  return subtract(a, b, differenceNode);
}

/** As `difference`, but what lies below a path of `b` goes too. */
export function recursiveDifference(a: FieldTree, b: FieldTree): FieldTree {
  return subtract(a, b, (x, y) => (isMember(y) ? undefined : rebuilt(x, recursiveDifference(x, y), isMember(x))));
}

type SubtractNode = (a: FieldTree, b: FieldTree) => FieldTree | undefined;

function subtract(a: FieldTree, b: FieldTree, node: SubtractNode): FieldTree {
  let changed: Map<string, FieldTree | undefined> | undefined;
  for (const key in b) {
    const mine = key === SELF ? undefined : a[key];
    if (!mine) continue;
    const rest = node(mine, b[key]!);
    if (rest !== mine) (changed ??= new Map()).set(key, rest);
  }
  if (!changed) return a;
  const out: Building = {};
  for (const key in a) {
    const rest = changed.has(key) ? changed.get(key) : a[key];
    if (rest) out[key] = rest;
  }
  return out;
}

const differenceNode: SubtractNode = (a, b) => rebuilt(a, difference(a, b), isMember(a) && !isMember(b));

/** A node with other children and membership; nothing when neither is left. */
function rebuilt(node: FieldTree, children: FieldTree, member: boolean): FieldTree | undefined {
  if (children === node && member === isMember(node)) return node;
  const { [SELF]: _, ...rest } = children;
  if (isEmptyTree(rest)) return member ? EMPTY : undefined;
  return member ? asMember(rest) : rest;
}

/** Everything in both. */
export function intersection(a: FieldTree, b: FieldTree): FieldTree {
  const out: Building = {};
  for (const key in b) {
    const mine = key === SELF ? undefined : a[key];
    if (!mine) continue;
    const theirs = b[key]!;
    const children = intersection(mine, theirs);
    const member = isMember(mine) && isMember(theirs);
    if (member) out[key] = asMember(children);
    else if (!isEmptyTree(children)) out[key] = children;
  }
  return out;
}

/** The paths of a set as text, e.g. `.spec.containers[name="a"].image`. */
export function pathsOf(tree: FieldTree, prefix = ''): string[] {
  const keys = Object.keys(tree)
    .filter((key) => key !== SELF)
    .sort();
  const members = keys.filter((key) => isMember(tree[key]!)).map((key) => prefix + pathText(key));
  return [...members, ...keys.flatMap((key) => pathsOf(tree[key]!, prefix + pathText(key)))];
}

/** True for a value that is a set in the form of FieldsV1. */
export function isFieldTree(value: unknown): value is FieldTree {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  for (const key in value) {
    if (key !== SELF && !/^[fkvi]:/.test(key)) return false;
    if (!isFieldTree((value as Record<string, unknown>)[key])) return false;
  }
  return true;
}

const MAX_INTERNED = 1024;
const interned = new Map<string, FieldTree>();

/** One tree for all equal ones: objects made from one template have the same fields, and there may be thousands. */
export function intern(tree: FieldTree): FieldTree {
  const text = JSON.stringify(tree);
  const known = interned.get(text);
  if (known) return known;
  if (interned.size >= MAX_INTERNED) interned.clear();
  interned.set(text, tree);
  return tree;
}
