// Single objects are registers with compare-and-swap: every answer has to fit the one order of writes that the log is,
// somewhere between the request's arrival and its answer.

import type { StatusError } from '../../src/api/errors.ts';
import type { KubeObject } from '../../src/api/object.ts';
import type { ApiOp, ApiResult, NoUser } from '../../src/api/op.ts';
import { prefixOf, type Fact, type Truth } from './truth.ts';

/** One request as the server executes it. */
interface Execution {
  readonly op: NoUser<ApiOp>;
  readonly key: string | undefined;
  /** The revision of the log when it arrived. */
  readonly start: number;
}

const PLAIN = new Set([undefined, 'status']);

export class RequestAudit {
  readonly violations: string[] = [];
  /** Answers compared. */
  checked = 0;
  readonly #truth: Truth;

  constructor(truth: Truth) {
    this.#truth = truth;
  }

  begin(op: NoUser<ApiOp>): Execution {
    const name = op.name ?? (op.body as Partial<KubeObject> | undefined)?.metadata?.name;
    const prefix = prefixOf(op.group, op.resource);
    return { op, key: name && prefix + (op.namespace ? `${op.namespace}/${name}` : name), start: this.#truth.revision };
  }

  answered(execution: Execution, result: ApiResult): void {
    const { op } = execution;
    if (op.options.dryRun || op.options.resourceVersion || !PLAIN.has(op.subresource)) return;
    this.checked++;
    if (result.type === 'list') this.#list(op, result.items, Number(result.metadata.resourceVersion));
    if (result.type !== 'object') return;
    const { object } = result;
    const key = execution.key ?? prefixOf(op.group, op.resource) + keyPart(object);
    const wrong = this.#objectFault({ ...execution, key }, object);
    if (wrong) this.#say(op, key, wrong);
  }

  refused(execution: Execution, error: StatusError): void {
    const { op, key, start } = execution;
    if (!key || op.options.dryRun || !PLAIN.has(op.subresource)) return;
    this.checked++;
    const states = this.#states(key, start);
    const { reason } = error;
    if (reason === 'AlreadyExists' && op.verb === 'create' && !states.some((s) => s.object))
      this.#say(op, key, 'AlreadyExists, but it did not exist');
    if (
      reason === 'NotFound' &&
      op.verb !== 'create' &&
      error.details?.name === op.name &&
      states.every((s) => s.object)
    )
      this.#say(op, key, 'NotFound, but it existed all the time');
    if (reason === 'Conflict' && op.verb === 'update') {
      const { resourceVersion, uid } = (op.body as KubeObject).metadata;
      const current = states.every((s) => s.object?.metadata.uid === uid && s.revision === Number(resourceVersion));
      if (current) this.#say(op, key, `Conflict, but ${resourceVersion} was current all the time`);
    }
  }

  /** What is wrong with an object given in answer. */
  #objectFault({ op, key, start }: Execution & { readonly key: string }, object: KubeObject): string | undefined {
    const states = this.#states(key, start);
    if (op.verb === 'delete') {
      const ended = states.some((s) => s.revision > start && !s.object);
      const marked = states.some((s) => s.object?.metadata.deletionTimestamp);
      return ended || marked ? undefined : 'deletion acknowledged, but it is not in the log';
    }
    const revision = Number(object.metadata.resourceVersion);
    const state = states.find((s) => s.revision === revision);
    if (!state) return `answered with revision ${revision}, which was not its state since ${start}`;
    if (op.verb === 'get') return undefined;
    const fresh = revision > start;
    if (op.verb === 'create') return fresh && state.replaced === 0 ? undefined : `created at ${revision} over another`;
    if (op.verb !== 'update') return undefined;
    const wanted = Number((op.body as KubeObject).metadata.resourceVersion) || 0;
    const had = fresh ? state.replaced : revision;
    return wanted === 0 || wanted === had ? undefined : `update of ${wanted} accepted over ${had}`;
  }

  /** What the object was at some time since `start`, the first included. */
  #states(key: string, start: number): Fact[] {
    const facts = this.#truth.ofKey(key);
    let first = facts.length;
    while (first > 0 && facts[first - 1]!.revision > start) first--;
    const before = facts[first - 1] ?? { revision: 0, key, object: undefined, previous: undefined, replaced: 0 };
    return [before, ...facts.slice(first)];
  }

  /** A whole listing of the present is the present. */
  #list(op: NoUser<ApiOp>, items: readonly KubeObject[], revision: number): void {
    const { labelSelector, fieldSelector, limit } = op.options;
    if (
      op.verb !== 'list' ||
      revision !== this.#truth.revision ||
      labelSelector ||
      fieldSelector ||
      limit ||
      op.options.continue
    )
      return;
    const prefix = prefixOf(op.group, op.resource);
    const present = this.#truth
      .objects(prefix)
      .filter((o) => op.namespace === undefined || o.metadata.namespace === op.namespace);
    const versions = (all: readonly KubeObject[]) =>
      all.map((o) => Number(o.metadata.resourceVersion)).sort((a, b) => a - b);
    if (versions(items).join() !== versions(present).join())
      this.#say(op, prefix, `a listing at ${revision} is not what there is`);
  }

  #say(op: NoUser<ApiOp>, key: string, what: string): void {
    this.violations.push(`${op.verb} ${key} by ${op.userAgent}: ${what}`);
  }
}

const keyPart = ({ metadata: { namespace, name } }: KubeObject) => (namespace ? `${namespace}/${name}` : name);
