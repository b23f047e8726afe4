// The JSON encoding of objects: made once per object, shared by the store, every GET, LIST and watcher.
// The text starts with apiVersion, kind and metadata, and metadata with resourceVersion. So the stored form (which has
// no resourceVersion: it is the write's revision) becomes the wire form by inserting a few bytes at a known place, and
// a list item without apiVersion and kind is a slice of the wire form.

import type { KubeObject } from './object.ts';
import type { ListResult, WatchEvent } from './op.ts';

/** What the store holds; a structural twin of the store's Value. */
export interface StoredValue {
  readonly bytes: Uint8Array;
}

interface Encoding {
  /** Without resourceVersion. Given up once `wire` is there: it can be cut out again. */
  stored?: Uint8Array | undefined;
  wire?: Uint8Array | undefined;
  /** The offset behind `"metadata":{`; 0 when there is no metadata. */
  head: number;
}

const METADATA = '"metadata":{';
const VERSION = '"resourceVersion":"';
const BRACE = 125;
const QUOTE = 34;
const COMMA = 44;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const encodings = new WeakMap<object, Encoding>();
const eventBytes = new WeakMap<object, Uint8Array>();

/** The wire form of an immutable object. */
export function bytesOf(object: object): Uint8Array {
  const known = encodings.get(object);
  if (known?.wire) return known.wire;
  const version = (object as Partial<KubeObject>).metadata?.resourceVersion;
  if (known?.stored) {
    if (version === undefined) return known.stored;
    known.wire = insertVersion(known.stored, known.head, version);
    known.stored = undefined;
    return known.wire;
  }
  const text = textOf(object as KubeObject);
  const wire = encoder.encode(text);
  encodings.set(object, { wire, head: headOf(text) });
  return wire;
}

/** Bytes kept of the object's encoding: 0 when it was never encoded. */
export function encodedSize(object: object): number {
  const known = encodings.get(object);
  return (known?.wire ?? known?.stored)?.length ?? 0;
}

/** The form without resourceVersion, whatever the object says. */
export function storedBytes(object: KubeObject): Uint8Array {
  const known = encodings.get(object);
  if (known?.stored) return known.stored;
  if (known?.wire) return cutVersion(known.wire, known.head);
  const text = textOf(object);
  const head = headOf(text);
  const stored = encoder.encode(withoutVersion(text, head));
  encodings.set(object, { stored, head });
  return stored;
}

/** The object of stored bytes written at `revision`; its wire form is made by insertion, not encoded again. */
export function fromStored<T extends KubeObject>(bytes: Uint8Array, revision: number): T {
  const head = headOfBytes(bytes);
  const wire = insertVersion(bytes, head, String(revision));
  const object = JSON.parse(decoder.decode(wire)) as T;
  encodings.set(object, { wire, head });
  return object;
}

/** A copy with this resourceVersion that shares everything else, encoded bytes included. */
export function withRevision<T extends KubeObject>(object: T, revision: number): T {
  const { resourceVersion: old, ...rest } = object.metadata;
  const resourceVersion = String(revision);
  if (old === resourceVersion) return object;
  const copy = { ...object, metadata: { resourceVersion, ...rest } };
  const known = encodings.get(object);
  if (known) {
    const stored = known.stored ?? (known.wire && cutVersion(known.wire, known.head));
    encodings.set(copy, { stored, head: known.head });
  }
  return copy;
}

/** A list item: everything behind apiVersion and kind, *without the opening brace*, which the writer puts before it. */
export function itemBytes(object: KubeObject): Uint8Array {
  const wire = bytesOf(object);
  const { head } = encodings.get(object)!;
  return wire.subarray(head === 0 ? 1 : head - METADATA.length);
}

/**
 * What a registry puts into the store: encoded when somebody reads `bytes`, never when the store lives in memory and
 * all readers are in this process. It takes over an object about to be written, without resourceVersion, and gives it
 * its revision in place, once; after that the object is as immutable as any other.
 */
export class ObjectValue implements StoredValue {
  readonly #object: KubeObject;
  #revision = 0;

  constructor(object: KubeObject) {
    this.#object = object;
  }

  get bytes(): Uint8Array {
    return storedBytes(this.#object);
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
 * A list as chunks to write one after the other. Items of built-in kinds come without apiVersion and kind, as
 * upstream's do; custom resources keep them (`withTypes`).
 */
export function listChunks(list: ListResult, withTypes = false): Uint8Array[] {
  const { apiVersion, kind, metadata, items } = list;
  const head = JSON.stringify({ apiVersion, kind, metadata });
  const chunks: Uint8Array[] = [encoder.encode(`${head.slice(0, -1)},"items":[`)];
  const [first, next] = withTypes ? [undefined, LIST_COMMA] : [LIST_OPEN, LIST_NEXT];
  let separator = first;
  for (const item of items) {
    if (separator) chunks.push(separator);
    chunks.push(withTypes ? bytesOf(item) : itemBytes(item));
    separator = next;
  }
  chunks.push(LIST_END);
  return chunks;
}
const LIST_OPEN = encoder.encode('{');
const LIST_NEXT = encoder.encode(',{');
const LIST_COMMA = encoder.encode(',');
const LIST_END = encoder.encode(']}');

/** One line of a watch stream, made once per event however many watch. */
export function watchEventBytes(event: WatchEvent<object>): Uint8Array {
  const known = eventBytes.get(event);
  if (known) return known;
  const object = bytesOf(event.object);
  const start = `{"type":"${event.type}","object":`;
  const line = new Uint8Array(start.length + object.length + 2);
  encoder.encodeInto(start, line);
  line.set(object, start.length);
  line[line.length - 2] = BRACE;
  line[line.length - 1] = 10;
  eventBytes.set(event, line);
  return line;
}

/** JSON with apiVersion, kind, metadata and metadata.resourceVersion first. */
function textOf(object: KubeObject): string {
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

/** The part in front is ASCII, so an index of the text is one of the bytes. */
const headOf = (text: string): number => HEAD.exec(text)?.[0].length ?? 0;

function headOfBytes(bytes: Uint8Array): number {
  return headOf(decoder.decode(bytes.subarray(0, 600)));
}

function withoutVersion(text: string, head: number): string {
  if (head === 0 || !text.startsWith(VERSION, head)) return text;
  let end = text.indexOf('"', head + VERSION.length) + 1;
  if (text[end] === ',') end++;
  return text.slice(0, head) + text.slice(end);
}

function insertVersion(stored: Uint8Array, head: number, version: string): Uint8Array {
  const last = stored[head] === BRACE;
  const part = `${VERSION}${version}"${last ? '' : ','}`;
  const wire = new Uint8Array(stored.length + part.length);
  wire.set(stored.subarray(0, head));
  encoder.encodeInto(part, wire.subarray(head, head + part.length));
  wire.set(stored.subarray(head), head + part.length);
  return wire;
}

function cutVersion(wire: Uint8Array, head: number): Uint8Array {
  for (let i = 0; i < VERSION.length; i++) if (wire[head + i] !== VERSION.charCodeAt(i)) return wire;
  let end = wire.indexOf(QUOTE, head + VERSION.length) + 1;
  if (wire[end] === COMMA) end++;
  const stored = new Uint8Array(wire.length - (end - head));
  stored.set(wire.subarray(0, head));
  stored.set(wire.subarray(end), head);
  return stored;
}
