// JSON Patch: https://www.rfc-editor.org/rfc/rfc6902, with upstream's leniences: negative indexes count from the end,
// and `test` finds a missing value equal to null. `replace` and `remove` of what is missing fail.

import { badRequest, StatusError } from './errors.ts';
import { getKey, isObject, patchRejected, setKey, type JsonObject } from './json-values.ts';
import { sameJson } from './same-json.ts';

export interface JsonPatchOperation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

const MAX_OPERATIONS = 10_000;
/** Bytes of JSON that all copies of a patch together may add: a few of them double what is there every time. */
const MAX_COPIED = 3 * 1024 * 1024;

/**
 * The patched value; what the patch leaves alone is shared with `target`. Neither argument changes.
 * Throws BadRequest for a patch that cannot be read, RequestEntityTooLarge for more than 10,000 operations and Invalid
 * for one that does not apply (a missing path, a failed test), with the detail as `cause`.
 */
export function applyJsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch))
    throw badRequest('error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch');
  if (patch.length > MAX_OPERATIONS) {
    const message = `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`;
    throw new StatusError('RequestEntityTooLarge', `Request entity too large: ${message}`);
  }
  const document = new Document(target);
  for (const operation of patch as unknown[]) {
    if (!isObject(operation))
      throw badRequest('error decoding patch: json: cannot unmarshal value into Go value of type jsonpatch.Operation');
    document.apply(operation as unknown as JsonPatchOperation);
  }
  return document.root;
}

const MISSING = Symbol('missing');

/** A value being patched: containers are copied when they are first written to. */
class Document {
  root: unknown;
  readonly #owned = new WeakSet<object>();
  #copied = 0;

  constructor(root: unknown) {
    this.root = root;
  }

  apply(operation: JsonPatchOperation): void {
    const { op, path, from, value = null } = operation;
    if (typeof path !== 'string') throw patchRejected(`${op} operation requires a "path" string`);
    const steps = stepsOf(path);
    switch (op) {
      case 'add':
        return this.#add(steps, value);
      case 'remove':
        return void this.#remove(steps);
      case 'replace':
        if (this.#get(steps) === MISSING)
          throw patchRejected(`replace operation does not apply: doc is missing key: ${path}: missing value`);
        return this.#replace(steps, value);
      case 'test': {
        const found = this.#get(steps);
        if (!sameJson(found === MISSING ? null : found, value))
          throw patchRejected(`testing value ${path} failed: test failed`);
        return;
      }
      case 'copy':
      case 'move': {
        const source = stepsOf(String(from));
        const found = this.#get(source);
        if (found === MISSING) throw patchRejected(`${op} operation does not apply: doc is missing from path: ${from}`);
        if (op === 'move') this.#remove(source);
        else this.#copy(found);
        return this.#add(steps, found);
      }
      default:
        throw patchRejected(`Unexpected kind: ${op}`);
    }
  }

  #get(steps: readonly string[]): unknown {
    let value = this.root;
    for (const step of steps) {
      if (Array.isArray(value)) value = value[indexOf(step, value.length, false)];
      else if (isObject(value) && Object.hasOwn(value, step)) value = getKey(value, step);
      else return MISSING;
      if (value === undefined) return MISSING;
    }
    return value;
  }

  /** The container of the last step, copied so that it may be changed. */
  #container(steps: readonly string[], op: string): unknown[] | JsonObject {
    this.root = this.#own(this.root);
    let container = this.root;
    for (const step of steps.slice(0, -1)) {
      let next: unknown;
      if (Array.isArray(container)) {
        const index = indexOf(step, container.length, false);
        next = container[index] = this.#own(container[index]);
      } else if (isObject(container)) {
        next = this.#own(getKey(container, step));
        if (next !== undefined) setKey(container, step, next);
      }
      container = next;
    }
    if (Array.isArray(container) || isObject(container)) return container;
    throw patchRejected(`${op} operation does not apply: doc is missing path: /${steps.join('/')}: missing value`);
  }

  #own(value: unknown): unknown {
    if (typeof value !== 'object' || value === null || this.#owned.has(value)) return value;
    const copy = Array.isArray(value) ? [...(value as unknown[])] : { ...value };
    this.#owned.add(copy);
    return copy;
  }

  /** The same value is about to stand in two places, so neither may be written to in place. */
  #copy(value: unknown): void {
    this.#copied += sizeUpTo(value, MAX_COPIED + 1 - this.#copied);
    if (this.#copied > MAX_COPIED)
      throw patchRejected(
        `Unable to complete the copy, the accumulated size increase of copy is ${this.#copied}, exceeding the limit ${MAX_COPIED}`,
      );
    this.#disown(value);
  }

  #disown(value: unknown): void {
    if (typeof value !== 'object' || value === null) return;
    this.#owned.delete(value);
    for (const item of Object.values(value)) this.#disown(item);
  }

  #add(steps: readonly string[], value: unknown): void {
    const last = steps.at(-1);
    if (last === undefined) {
      this.root = value;
      return;
    }
    const container = this.#container(steps, 'add');
    if (!Array.isArray(container)) return setKey(container, last, value);
    if (last === '-') container.push(value);
    else container.splice(indexOf(last, container.length, true), 0, value);
  }

  #replace(steps: readonly string[], value: unknown): void {
    const last = steps.at(-1);
    if (last === undefined) {
      this.root = value;
      return;
    }
    const container = this.#container(steps, 'replace');
    if (Array.isArray(container)) container[indexOf(last, container.length, false)] = value;
    else setKey(container, last, value);
  }

  #remove(steps: readonly string[]): void {
    const last = steps.at(-1);
    if (last === undefined) throw patchRejected('remove operation does not apply to the whole document');
    const container = this.#container(steps, 'remove');
    if (Array.isArray(container)) container.splice(indexOf(last, container.length, false), 1);
    else if (Object.hasOwn(container, last)) delete container[last];
    else
      throw patchRejected(`remove operation does not apply: Unable to remove nonexistent key: ${last}: missing value`);
  }
}

/** About the length of the value's JSON; at least `enough` once it is that long, without looking at the rest. */
function sizeUpTo(value: unknown, enough: number): number {
  if (typeof value === 'string') return value.length + 2;
  if (typeof value !== 'object' || value === null) return String(value).length;
  let size = 2;
  for (const key in value) {
    if (size >= enough) return size;
    if (!Array.isArray(value)) size += key.length + 3;
    size += 1 + sizeUpTo((value as JsonObject)[key], enough - size);
  }
  return size;
}

/** JSON Pointer: https://www.rfc-editor.org/rfc/rfc6901 */
function stepsOf(path: string): string[] {
  if (path === '') return [];
  if (!path.startsWith('/')) throw patchRejected(`invalid path ${JSON.stringify(path)}`);
  return path
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function indexOf(step: string, length: number, inserting: boolean): number {
  if (!/^-?\d+$/.test(step)) throw patchRejected(`value was not a proper array index: '${step}'`);
  const index = Number(step);
  const limit = inserting ? length : length - 1;
  const at = index < 0 ? index + limit + 1 : index;
  if (at < 0 || at > limit) throw patchRejected(`Unable to access invalid index: ${index}: invalid index referenced`);
  return at;
}
