// The JSON encoding of objects: made once per object while it is of interest, shared by the store, every GET, LIST and
// watcher. It is kept as text, not bytes: text lies in the heap that is compacted, and is written as UTF-8 as quickly.
// The text starts with apiVersion, kind and metadata, and metadata with resourceVersion. So the stored form (which has
// no resourceVersion: it is the write's revision) becomes the wire form by inserting a few characters at a known place, and
// a list item without apiVersion and kind is a slice of the wire form.

import type { KubeObject } from './object.ts';
import type { ListResult } from './op.ts';

/** What the store holds; a structural twin of the store's Value. */
export interface StoredValue {
  readonly bytes: Uint8Array;
}

interface Encoding {
  text: string;
  /** `text` is the wire form; without, the stored one. */
  wire: boolean;
  /** The offset behind `"metadata":{`; 0 when there is no metadata. */
  readonly head: number;
}

const METADATA = '"metadata":{';
const VERSION = '"resourceVersion":"';
/** Characters of the texts that are kept: at least so many of those asked for last, at most twice as many. */
const KEPT = 24 * 2 ** 20;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** Two generations: what is asked for moves to the younger one, the older one is forgotten as a whole. */
let young = new WeakMap<object, Encoding>();
let old = new WeakMap<object, Encoding>();
let kept = 0;

function keep(object: object, encoding: Encoding): void {
  kept += encoding.text.length;
  if (kept > KEPT) {
    old = young;
    young = new WeakMap();
    kept = encoding.text.length;
  }
  young.set(object, encoding);
}

function known(object: object): Encoding | undefined {
  const encoding = young.get(object);
  if (encoding) return encoding;
  const aged = old.get(object);
  if (aged) keep(object, aged);
  return aged;
}

/** The wire form of an immutable object. */
export function textOf(object: object): string {
  return wireOf(object).text;
}

function wireOf(object: object): Encoding {
  const encoding = known(object);
  if (encoding?.wire) return encoding;
  const version = (object as Partial<KubeObject>).metadata?.resourceVersion;
  if (encoding) {
    if (version !== undefined) encoding.text = insertVersion(encoding.text, encoding.head, version);
    encoding.wire = true;
    return encoding;
  }
  const text = encode(object as KubeObject);
  const made = { text, wire: true, head: headOf(text) };
  keep(object, made);
  return made;
}

/** Characters of the object's encoding; 0 when it was not encoded of late. */
export function encodedSize(object: object): number {
  return known(object)?.text.length ?? 0;
}

/** The form without resourceVersion, whatever the object says. */
export function storedText(object: KubeObject): string {
  const encoding = known(object);
  if (encoding) return encoding.wire ? cutVersion(encoding.text, encoding.head) : encoding.text;
  const whole = encode(object);
  const head = headOf(whole);
  const text = cutVersion(whole, head);
  keep(object, { text, wire: false, head });
  return text;
}

/** The object of stored bytes written at `revision`; its wire form is made by insertion, not encoded again. */
export function fromStored<T extends KubeObject>(bytes: Uint8Array, revision: number): T {
  const stored = decoder.decode(bytes);
  const head = headOf(stored);
  const text = insertVersion(stored, head, String(revision));
  const object = JSON.parse(text) as T;
  keep(object, { text, wire: true, head });
  return object;
}

/** A copy with this resourceVersion that shares everything else, the encoding included. */
export function withRevision<T extends KubeObject>(object: T, revision: number): T {
  const { resourceVersion: before, ...rest } = object.metadata;
  const resourceVersion = String(revision);
  if (before === resourceVersion) return object;
  const copy = { ...object, metadata: { resourceVersion, ...rest } };
  const encoding = known(object);
  if (encoding) keep(copy, { text: storedText(object), wire: false, head: encoding.head });
  return copy;
}

/** A list item: everything behind apiVersion and kind, *without the opening brace*, which the writer puts before it. */
export function itemText(object: KubeObject): string {
  const { text, head } = wireOf(object);
  return text.slice(head === 0 ? 1 : head - METADATA.length);
}

/**
 * What a registry puts into the store: encoded when somebody reads `text`, never when the store lives in memory and
 * all readers are in this process. It takes over an object about to be written, without resourceVersion, and gives it
 * its revision in place, once; after that the object is as immutable as any other.
 */
export class ObjectValue implements StoredValue {
  readonly #object: KubeObject;
  #revision = 0;

  constructor(object: KubeObject) {
    this.#object = object;
  }

  get text(): string {
    return storedText(this.#object);
  }

  get bytes(): Uint8Array {
    return encoder.encode(this.text);
  }

  /** The object as written at `revision`: always the same one for the same revision. */
  at(revision: number): KubeObject {
    if (this.#revision === revision) return this.#object;
    if (this.#revision !== 0) return withRevision(this.#object, revision);
    this.#revision = revision;
    const { resourceVersion: _, ...metadata } = this.#object.metadata;
    this.#object.metadata = { resourceVersion: String(revision), ...metadata };
    return this.#object;
  }
}

const decoded = new WeakMap<StoredValue, KubeObject>();

/** The object of a stored value written at `revision`: the same one each time it is asked for. */
export function objectOf<T extends KubeObject>(value: StoredValue, revision: number): T {
  if (value instanceof ObjectValue) return value.at(revision) as T;
  let object = decoded.get(value);
  if (!object || object.metadata.resourceVersion !== String(revision)) {
    object = fromStored(value.bytes, revision);
    decoded.set(value, object);
  }
  return object as T;
}

/**
 * A list as pieces of text to write one after the other. Items of built-in kinds come without apiVersion and kind, as
 * upstream's do; custom resources keep them (`withTypes`).
 */
export function listTexts(list: ListResult, withTypes = false): string[] {
  const { apiVersion, kind, metadata, items } = list;
  const head = JSON.stringify({ apiVersion, kind, metadata });
  const out = [`${head.slice(0, -1)},"items":[`];
  const [first, next] = withTypes ? ['', ','] : ['{', ',{'];
  let separator = first;
  for (const item of items) {
    if (separator) out.push(separator);
    out.push(withTypes ? textOf(item) : itemText(item));
    separator = next;
  }
  out.push(']}');
  return out;
}

/** JSON with apiVersion, kind, metadata and metadata.resourceVersion first. */
function encode(object: KubeObject): string {
  if (isOrdered(object)) return JSON.stringify(object);
  const { apiVersion, kind, metadata, ...rest } = object;
  if (!metadata) return JSON.stringify({ apiVersion, kind, ...rest });
  const { resourceVersion, ...meta } = metadata;
  return JSON.stringify({ apiVersion, kind, metadata: { resourceVersion, ...meta }, ...rest });
}

function isOrdered(object: KubeObject): boolean {
  let i = 0;
  for (const key in object) {
    if (key !== (i === 0 ? 'apiVersion' : i === 1 ? 'kind' : 'metadata')) return false;
    if (++i === 3) break;
  }
  const { metadata } = object;
  if (!metadata) return i === 2;
  for (const key in metadata) return key === 'resourceVersion' || metadata.resourceVersion === undefined;
  return true;
}

const HEAD = /^\{(?:"apiVersion":"[^"\\]*",)?(?:"kind":"[^"\\]*",)?"metadata":\{/;

const headOf = (text: string): number => HEAD.exec(text)?.[0].length ?? 0;

function insertVersion(stored: string, head: number, version: string): string {
  if (head === 0) return stored;
  const separator = stored[head] === '}' ? '' : ',';
  return `${stored.slice(0, head)}${VERSION}${version}"${separator}${stored.slice(head)}`;
}

function cutVersion(wire: string, head: number): string {
  if (head === 0 || !wire.startsWith(VERSION, head)) return wire;
  let end = wire.indexOf('"', head + VERSION.length) + 1;
  if (wire[end] === ',') end++;
  return wire.slice(0, head) + wire.slice(end);
}
