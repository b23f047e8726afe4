// Every watch tells exactly the log from where it began: each change of the objects it selects once, in order, as the
// right kind of event with the right object, and nothing else.

import { parseFieldSelector, ALL_FIELDS } from '../../src/api/field-selectors.ts';
import type { KubeObject } from '../../src/api/object.ts';
import type { ApiOp, NoUser, WatchEvent, WatchStream } from '../../src/api/op.ts';
import { sameJson } from '../../src/api/same-json.ts';
import { EVERYTHING, parseSelector } from '../../src/api/selectors.ts';
import { prefixOf, type Fact, type Truth } from './truth.ts';

interface Expected {
  readonly type: string;
  readonly fact: Fact;
}

export class WatchAudit {
  readonly violations: string[] = [];
  /** Events compared. */
  checked = 0;
  readonly #truth: Truth;
  readonly #open = new Set<Follower>();

  constructor(truth: Truth) {
    this.#truth = truth;
  }

  /** The same stream, compared with the log as it is told. */
  audited(op: NoUser<ApiOp>, stream: WatchStream): WatchStream {
    const after = Number(op.options.resourceVersion) || 0;
    // What begins with the present objects is not compared: nothing here does.
    if (after === 0 || op.options.sendInitialEvents) return stream;
    const follower = new Follower(op, after, this.#truth);
    return {
      start: (sink) => {
        this.#open.add(follower);
        stream.start({
          events: (batch) => {
            for (const event of batch) {
              this.checked++;
              const wrong = follower.take(event);
              if (wrong) this.violations.push(wrong);
            }
            sink.events(batch);
          },
          closed: () => {
            this.#open.delete(follower);
            sink.closed();
          },
        });
      },
      stop: () => {
        this.#open.delete(follower);
        stream.stop();
      },
    };
  }

  /** When nothing happens any more, watches have told everything. */
  tails(): string[] {
    return [...this.#open].flatMap((follower) => follower.missing() ?? []);
  }
}

class Follower {
  readonly #op: NoUser<ApiOp>;
  readonly #selects: (object: KubeObject) => boolean;
  readonly #log: readonly Fact[];
  #next: number;

  constructor(op: NoUser<ApiOp>, after: number, truth: Truth) {
    this.#op = op;
    this.#selects = selects(op);
    this.#log = truth.ofPrefix(prefixOf(op.group, op.resource));
    const first = this.#log.findIndex((fact) => fact.revision > after);
    this.#next = first < 0 ? this.#log.length : first;
  }

  /** What is wrong with an event that was told. */
  take({ type, object }: WatchEvent): string | undefined {
    if (type === 'ERROR') return undefined;
    const revision = Number(object.metadata.resourceVersion);
    if (type === 'BOOKMARK') {
      const missed = this.#peek();
      return missed && missed.fact.revision <= revision
        ? this.#say(`bookmark ${revision} came before`, missed)
        : undefined;
    }
    const expected = this.#peek();
    const told = `${type} ${object.metadata.name} at ${revision}`;
    if (!expected) return this.#say(`told ${told}, which is not in the log`, undefined);
    const { fact } = expected;
    this.#next++;
    if (expected.type !== type || fact.revision !== revision) return this.#say(`told ${told} instead of`, expected);
    const right = type === 'DELETED' ? fact.previous : fact.object;
    const same =
      right!.metadata.uid === object.metadata.uid &&
      (type === 'DELETED' || right === object || sameJson(right, object));
    return same ? undefined : this.#say(`told ${told} with another object than`, expected);
  }

  missing(): string | undefined {
    const expected = this.#peek();
    return expected && this.#say('never told', expected);
  }

  /** The next event that is due. */
  #peek(): Expected | undefined {
    for (; this.#next < this.#log.length; this.#next++) {
      const fact = this.#log[this.#next]!;
      const had = fact.previous !== undefined && this.#selects(fact.previous);
      const has = fact.object !== undefined && this.#selects(fact.object);
      if (had || has) return { type: has ? (had ? 'MODIFIED' : 'ADDED') : 'DELETED', fact };
    }
    return undefined;
  }

  #say(what: string, expected: Expected | undefined): string {
    const due = expected ? ` ${expected.type} ${expected.fact.key} at ${expected.fact.revision}` : '';
    return `watch of ${this.#op.resource} by ${this.#op.userAgent}: ${what}${due}`;
  }
}

/** Whether an object is among those that a request is about. */
export function selects({ namespace, options }: Pick<ApiOp, 'namespace' | 'options'>): (object: KubeObject) => boolean {
  const labels = options.labelSelector ? parseSelector(options.labelSelector) : EVERYTHING;
  const fields = options.fieldSelector ? parseFieldSelector(options.fieldSelector) : ALL_FIELDS;
  return (object) =>
    (namespace === undefined || object.metadata.namespace === namespace) &&
    labels.matches(object.metadata.labels) &&
    fields.matchesWith((field) => valueOf(object, field));
}

function valueOf(object: KubeObject, path: string): string {
  let value: unknown = object;
  for (const part of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[part];
  return typeof value === 'string' ? value : '';
}
