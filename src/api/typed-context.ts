// Where a decoder stands in an object, and the errors it meets there.

/** The value does not fit the type; the message is that of Go's encoding/json. */
export class DecodeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DecodeError';
  }
}

export class DecodeContext {
  /** Texts like `unknown field "spec.foo"`. */
  readonly unknown: string[] = [];
  /** Field names and indexes down to the current struct; keys of maps carry a mark in front. */
  readonly path: (string | number)[] = [];
  /** The struct whose field is being decoded, e.g. `core.v1.PodSpec`. */
  struct = '';
  /** The field being decoded when it is not on the path. */
  field = '';
  /** What the outermost object is, whatever it says itself. */
  readonly type: { readonly apiVersion: string; readonly kind: string } | undefined;

  /** Values that are decoded already, with the field of the object or its metadata they belong to. */
  readonly known: ReadonlyMap<unknown, string> | undefined;

  constructor(type?: { readonly apiVersion: string; readonly kind: string }, known?: ReadonlyMap<unknown, string>) {
    this.type = type;
    this.known = known;
  }

  /** The value needs no decoding: it is part of an object that is stored, and stays as it is. */
  isKnown(key: string, value: unknown): boolean {
    if (this.known?.get(value) !== key) return false;
    return this.path.length === 0 || (this.path.length === 1 && this.path[0] === 'metadata');
  }

  /** Structs without a name belong to custom resources. */
  get #lenient(): boolean {
    return this.struct === '';
  }

  unknownField(name: string): void {
    let text = '';
    for (const step of [...this.path, name]) {
      if (typeof step === 'number') text += `[${step}]`;
      else text += `${text && '.'}${step.startsWith(KEY_MARK) ? step.slice(1) : step}`;
    }
    this.unknown.push(`unknown field ${JSON.stringify(text)}`);
  }

  /** Throws, or keeps the value of a custom resource. */
  mismatch(value: unknown, type: string): unknown {
    if (this.#lenient) return value;
    const names = this.path.filter((step) => typeof step === 'string' && !step.startsWith(KEY_MARK));
    if (this.field) names.push(this.field);
    const struct = this.struct.slice(this.struct.lastIndexOf('.') + 1);
    const where = struct ? `Go struct field ${struct}.${names.join('.')} of type ${type}` : `Go value of type ${type}`;
    throw new DecodeError(`json: cannot unmarshal ${describe(value, type)} into ${where}`);
  }

  /** As `mismatch`, for types that decode themselves and so do not know where they stand. */
  refuse(value: unknown, message: string): unknown {
    if (this.#lenient) return value;
    throw new DecodeError(message);
  }
}

export const KEY_MARK = '\0';

/** What Go calls the value; a number that does not fit a number's type is quoted. */
export function describe(value: unknown, type = ''): string {
  if (typeof value === 'number') return /^(u?int|float)/.test(type) ? `number ${value}` : 'number';
  if (typeof value === 'boolean') return 'bool';
  return Array.isArray(value) ? 'array' : typeof value;
}
