// What happened to a server under test, as its clients saw it, in order; and the laws it has to keep. Every law that is
// broken is an Error; `tell` gives what one needs to find out why.

import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class History {
  readonly seed: number;
  readonly #lines: string[] = [];
  readonly #began = performance.now();
  /** What each revision did, as its writer or any watcher told. */
  readonly #revisions = new Map<number, string>();

  constructor(seed: number) {
    this.seed = seed;
  }

  add(who: string, what: string): void {
    this.#lines.push(`${((performance.now() - this.#began) / 1000).toFixed(3)} ${who}: ${what}`);
  }

  /** A revision stands for one write for ever. `write` names it the same way whoever saw it. */
  revision(revision: string | number | undefined, write: string, who: string): void {
    const number = Number(revision);
    if (!Number.isSafeInteger(number) || number < 1) this.fail(`${who}: no revision: ${revision} (${write})`);
    const known = this.#revisions.get(number);
    if (known === undefined) this.#revisions.set(number, write);
    else if (known !== write) this.fail(`revision ${number} is used twice: ${known}; ${write} (${who})`);
  }

  /** The revisions known, with what they did. */
  get revisions(): ReadonlyMap<number, string> {
    return this.#revisions;
  }

  fail(what: string): never {
    this.add('FAILED', what);
    const file = join(tmpdir(), `coracle-history-${this.seed}.txt`);
    writeFileSync(file, this.#lines.join('\n'));
    throw new Error(`${what}\nseed ${this.seed}, history in ${file}, its end:\n${this.#lines.slice(-80).join('\n')}`);
  }
}

/** A watch that is resumed from its last revision for as long as it lives; checks order and types as it goes. */
export class ReplayedWatch {
  readonly name: string;
  /** Where it began. */
  readonly start: number;
  last: number;
  readonly events: { readonly revision: number; readonly write: string }[] = [];
  /** What exists, by name. */
  readonly objects: Map<string, WatchedObject>;
  resumed = 0;
  readonly #history: History;
  readonly #whole: boolean;

  /** `whole`: it sees all events of the objects it sees, so that none may come or go unheard. */
  constructor(
    name: string,
    list: { readonly metadata: { readonly resourceVersion?: string }; readonly items: readonly WatchedObject[] },
    history: History,
    { whole = true }: { readonly whole?: boolean } = {},
  ) {
    this.name = name;
    this.start = this.last = Number(list.metadata.resourceVersion);
    this.objects = new Map(list.items.map((item) => [item.metadata.name!, item]));
    this.#history = history;
    this.#whole = whole;
  }

  see({ type, object }: { readonly type: string; readonly object: WatchedObject }): void {
    const history = this.#history;
    if (type === 'ERROR') history.fail(`${this.name}: cannot go on after ${this.last}: ${JSON.stringify(object)}`);
    const { name = '', uid, resourceVersion } = object.metadata;
    const revision = Number(resourceVersion);
    if (type === 'BOOKMARK') {
      if (revision < this.last) history.fail(`${this.name}: a bookmark at ${revision} after ${this.last}`);
      this.last = revision;
      return;
    }
    history.add(this.name, `${type} ${name} at ${revision}`);
    if (revision <= this.last) history.fail(`${this.name}: ${type} ${name} at ${revision} after ${this.last}`);
    this.last = revision;
    const write = this.#whole ? `${type} ${name} ${uid}` : '';
    if (this.#whole) history.revision(revision, write, this.name);
    this.events.push({ revision, write });
    const had = this.objects.get(name);
    if ((type === 'ADDED') === (had !== undefined))
      history.fail(`${this.name}: ${type} ${name}, which was ${had ? 'there' : 'not there'}`);
    if (had && had.metadata.uid !== uid) history.fail(`${this.name}: ${type} ${name} is another one than before`);
    if (type === 'DELETED') this.objects.delete(name);
    else this.objects.set(name, object);
  }
}

export interface WatchedObject {
  readonly metadata: {
    readonly name?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly deletionTimestamp?: string;
    readonly ownerReferences?: readonly { readonly kind: string }[];
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: unknown;
  readonly message?: string;
}
