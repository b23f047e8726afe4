// Every change of a store, with its time and author: beside the store, which forgets, and cheap, for it keeps references.

import type { KubeObject } from '../api/object.ts';
import type { ApiOp } from '../api/op.ts';
import { objectOf } from '../api/codec.ts';
import type { OperationHook } from '../server/pipeline.ts';
import type { Store, StoreEvent } from '../store/store.ts';

/** Who made a change. */
export interface Author {
  readonly user: string;
  /** The field manager, or the name of the program. */
  readonly manager: string;
  readonly verb: string;
  readonly subresource?: string;
}

export interface Change {
  readonly revision: number;
  /** Milliseconds since the epoch, in the cluster's time. */
  readonly time: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** Plural and group, e.g. `deployments.apps`. */
  readonly resource: string;
  readonly namespace?: string;
  readonly name: string;
  /** The object as of this change; for a deletion as it last was. */
  readonly object: KubeObject;
  readonly previous?: KubeObject;
  /** Undefined for what the server does by itself: events that expire. */
  readonly author?: Author;
}

interface Entry {
  readonly event: StoreEvent;
  readonly time: number;
  author: Author | undefined;
}

export class ChangeLog {
  readonly #entries: Entry[];
  readonly #now: () => number;

  /** `before`: the log of the store this one was forked from. */
  constructor(now: () => number, before?: ChangeLog) {
    this.#now = now;
    this.#entries = before ? [...before.#entries] : [];
  }

  /** Follows the store from its present revision on. */
  follow(store: Store): void {
    store.watch('', store.revision, {
      events: (batch) => {
        for (const event of batch) this.#entries.push({ event, time: this.#now(), author: undefined });
      },
      closed: () => {},
    });
  }

  /** For the API server: tells who wrote what. An operation's answer comes right behind its write. */
  readonly observe: OperationHook = (op, { result }) => {
    if (!result || op.options.dryRun || READS.has(op.verb)) return;
    const author = authorOf(op);
    if (result.type === 'object') {
      const revision = Number(result.object.metadata?.resourceVersion) || 0;
      for (let i = this.#entries.length - 1, looked = 0; i >= 0 && looked < LOOK_BACK; i--, looked++) {
        const entry = this.#entries[i]!;
        if (entry.author || !concerns(entry.event, op, revision)) continue;
        entry.author = author;
        return;
      }
    } else if (result.type === 'list') {
      for (const entry of this.#entries.slice(-LOOK_BACK)) {
        if (!entry.author && entry.event.key.startsWith(prefixOf(op))) entry.author = author;
      }
    }
  };

  /** All changes after a revision, in order. */
  changes(after = 0): Change[] {
    return this.#entries.filter(({ event }) => event.revision > after).map(changeOf);
  }

  /** The objects of a resource prefix as of a time, in order of their keys. */
  at(prefix: string, time: number): KubeObject[] {
    const objects = new Map<string, KubeObject>();
    for (const { event, time: then } of this.#entries) {
      if (then > time) break;
      if (!event.key.startsWith(prefix)) continue;
      if (event.entry) objects.set(event.key, objectOf(event.entry.value, event.entry.revision));
      else objects.delete(event.key);
    }
    return [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }
}

const READS: ReadonlySet<string> = new Set(['get', 'list', 'watch', 'connect']);
/** Between a write and its answer others may write; not that many. */
const LOOK_BACK = 4096;

const prefixOf = (op: ApiOp) => `/registry/${op.group || 'core'}/${op.resource}/`;

function concerns(event: StoreEvent, op: ApiOp, revision: number): boolean {
  if (event.type === 'put' && event.revision === revision) return true;
  if (op.name === undefined || !event.key.startsWith(prefixOf(op))) return false;
  return event.key.endsWith(op.namespace ? `/${op.namespace}/${op.name}` : `/${op.name}`);
}

function authorOf({ user, options, userAgent = '', verb, subresource }: ApiOp): Author {
  const manager = options.fieldManager || userAgent.split('/')[0]!;
  return { user: user.name, manager, verb, ...(subresource ? { subresource } : {}) };
}

function changeOf({ event, time, author }: Entry): Change {
  const [, , group = '', plural = '', ...rest] = event.key.split('/');
  const read = (entry: StoreEvent['entry']) => entry && objectOf<KubeObject>(entry.value, entry.revision);
  const previous = read(event.previous);
  const name = rest.at(-1) ?? '';
  return {
    revision: event.revision,
    time,
    type: event.type === 'delete' ? 'DELETED' : previous ? 'MODIFIED' : 'ADDED',
    resource: group === 'core' ? plural : `${plural}.${group}`,
    ...(rest.length > 1 ? { namespace: rest[0]! } : {}),
    name,
    object: (read(event.entry) ?? previous)!,
    ...(previous ? { previous } : {}),
    ...(author ? { author } : {}),
  };
}
