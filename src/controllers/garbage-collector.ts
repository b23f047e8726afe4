// Deletes objects whose owners are gone, lets owners that wait for their dependents go, and orphans dependents when asked.
// The graph is two indexes on the caches: who is the owner of whom, and nothing of its own.
// https://kubernetes.io/docs/concepts/architecture/garbage-collection/

import { isReason } from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import { keyOf, refOfKey, splitApiVersion, type KubeObject, type OwnerReference } from '../api/object.ts';
import type { Propagation } from '../api/op.ts';
import {
  defineController,
  NOTHING,
  watch,
  type Action,
  type ControllerContext,
  type ControllerDefinition,
  type Plan,
  type View,
} from '../client/controller.ts';
import { sameValue } from './same-value.ts';

const FOREGROUND = 'foregroundDeletion';
const ORPHAN = 'orphan';
const BY_OWNER = 'gc-owner';
/** Owners known to be gone: a thousand dependents of one ask the server once at most. */
const REMEMBERED = 10_000;
/** An owner that waits for more dependents than this rests between its looks. */
const MANY = 100;

const kindKey = (kind: AnyKind) => `${kind.plural}.${kind.group}`;
const queueKey = (kind: AnyKind, object: KubeObject) => `${kindKey(kind)}|${keyOf(object)}`;
const has = (object: KubeObject, finalizer: string) => object.metadata.finalizers?.includes(finalizer) ?? false;

function collectable(kind: AnyKind): boolean {
  const verbs = kind.verbs as readonly string[] | undefined;
  const event = kind.plural === 'events';
  return (
    !kind.virtual &&
    !kind.storedAs &&
    !event &&
    (!verbs || ['list', 'watch', 'delete', 'patch'].every((v) => verbs.includes(v)))
  );
}

/** `kinds` are the kinds whose objects may own or be owned. */
export function garbageCollector(kinds: readonly AnyKind[]): ControllerDefinition {
  const collected = kinds.filter(collectable);
  const graph = new Graph(collected);
  return defineController({
    name: 'generic-garbage-collector',
    component: 'garbage-collector-controller',
    workers: 20,
    watches: collected.map((kind) =>
      watch({
        kind,
        indexes: { [BY_OWNER]: (object) => object.metadata.ownerReferences?.map((o) => o.uid) ?? [] },
        keys: (object, old, view) => graph.affected(kind, object, old, view),
      }),
    ),
    grants: [{ groups: ['*'], resources: ['*'], verbs: ['delete', 'get', 'list', 'patch', 'update', 'watch'] }],
    reconcile: (key, context) => graph.reconcile(key, context),
  });
}

/**
 * `waiting`: it waits for its dependents to go first. `unknown`: of a kind that is not served. `unresolvable`: a namespaced
 * owner of a cluster-scoped object; such an object is never collected.
 */
type OwnerState = 'solid' | 'waiting' | 'absent' | 'unknown' | 'unresolvable';

interface Item {
  readonly kind: AnyKind;
  readonly object: KubeObject;
}

const waits = ({ metadata }: KubeObject) =>
  metadata.deletionTimestamp !== undefined && (metadata.finalizers?.includes(FOREGROUND) ?? false);
const stateOf = (object: KubeObject): OwnerState => (waits(object) ? 'waiting' : 'solid');
const ownersOf = (object: KubeObject) => object.metadata.ownerReferences ?? [];

class Graph {
  readonly #kinds: readonly AnyKind[];
  readonly #byKey: ReadonlyMap<string, AnyKind>;
  readonly #byGroupKind: ReadonlyMap<string, AnyKind>;
  readonly #absent = new Set<string>();

  constructor(kinds: readonly AnyKind[]) {
    this.#kinds = kinds;
    this.#byKey = new Map(kinds.map((kind) => [kindKey(kind), kind]));
    this.#byGroupKind = new Map(kinds.map((kind) => [`${kind.group}/${kind.kind}`, kind]));
  }

  affected(kind: AnyKind, object: KubeObject | undefined, old: KubeObject | undefined, view: View): string[] {
    if (!object) return this.#afterDeletion(old!, view);
    const { deletionTimestamp } = object.metadata;
    const changed = !old || !sameValue(ownersOf(object), ownersOf(old));
    const concerns = deletionTimestamp
      ? has(object, FOREGROUND) || has(object, ORPHAN)
      : changed && ownersOf(object).length > 0;
    const keys = concerns ? [queueKey(kind, object)] : [];
    // An owner that waited for this object may go, now that it is no dependent of it any more.
    return old && changed ? [...keys, ...this.#waitingOwners(old, view)] : keys;
  }

  /** Its dependents lost an owner; owners that waited for it may go. */
  #afterDeletion(gone: KubeObject, view: View): string[] {
    // A UID never comes back.
    this.#remember(gone.metadata.uid);
    const dependents = this.#dependents(gone, view).map((d) => queueKey(d.kind, d.object));
    return [...dependents, ...this.#waitingOwners(gone, view)];
  }

  #waitingOwners(dependent: KubeObject, view: View): string[] {
    const owners = ownersOf(dependent).flatMap((ref) => this.#cached(ref, dependent, view) ?? []);
    return owners.filter((o) => waits(o.object)).map((o) => queueKey(o.kind, o.object));
  }

  async reconcile(key: string, context: ControllerContext): Promise<Plan> {
    const bar = key.indexOf('|');
    const kind = this.#byKey.get(key.slice(0, bar))!;
    const object = context.view.of(kind).get(key.slice(bar + 1));
    if (!object) return NOTHING;
    if (object.metadata.deletionTimestamp) {
      if (has(object, ORPHAN)) return this.#orphan({ kind, object }, context);
      if (has(object, FOREGROUND)) return this.#foreground({ kind, object }, context);
      return NOTHING;
    }
    return this.#collect({ kind, object }, context);
  }

  #dependents(owner: KubeObject, view: View): Item[] {
    const found: Item[] = [];
    for (const kind of this.#kinds)
      for (const object of view.of(kind).byIndex(BY_OWNER, owner.metadata.uid)) found.push({ kind, object });
    return found;
  }

  /** The owner as the caches have it. */
  #cached(ref: OwnerReference, dependent: KubeObject, view: View): Item | undefined {
    const kind = this.#kindOf(ref);
    if (!kind) return undefined;
    const namespace = kind.namespaced ? dependent.metadata.namespace : undefined;
    const object = view.of(kind).get(namespace ? `${namespace}/${ref.name}` : ref.name);
    return object?.metadata.uid === ref.uid ? { kind, object } : undefined;
  }

  /** The owner's kind, in whatever version the reference names it. */
  #kindOf(ref: OwnerReference): AnyKind | undefined {
    return this.#byGroupKind.get(`${splitApiVersion(ref.apiVersion)[0]}/${ref.kind}`);
  }

  async #ownerState(ref: OwnerReference, dependent: KubeObject, context: ControllerContext): Promise<OwnerState> {
    const cached = this.#cached(ref, dependent, context.view);
    if (cached) return stateOf(cached.object);
    const kind = this.#kindOf(ref);
    if (!kind) return 'unknown';
    const { namespace } = dependent.metadata;
    if (kind.namespaced && !namespace) {
      context.event(invalidNamespace(ref, dependent));
      return 'unresolvable';
    }
    const id = `${namespace ?? ''} ${ref.name} ${ref.uid}`;
    if (this.#absent.has(ref.uid) || this.#absent.has(id)) return 'absent';
    try {
      // The cache may lag behind: only the server knows that an owner does not exist.
      const object = await context.client.get(kind, { namespace, name: ref.name });
      if (object.metadata.uid === ref.uid) return stateOf(object);
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
    this.#remember(id);
    // The owner lives in another namespace: for the dependent it does not exist, and somebody should know.
    if (
      kind.namespaced &&
      context.view
        .of(kind)
        .list()
        .some((o) => o.metadata.uid === ref.uid)
    )
      context.event(invalidNamespace(ref, dependent));
    return 'absent';
  }

  #remember(id: string): void {
    if (this.#absent.size >= REMEMBERED) this.#absent.clear();
    this.#absent.add(id);
  }

  async #collect({ kind, object }: Item, context: ControllerContext): Promise<Plan> {
    const owners = ownersOf(object);
    if (owners.length === 0) return NOTHING;
    const states = await Promise.all(owners.map((ref) => this.#ownerState(ref, object, context)));
    if (states.includes('unresolvable')) return NOTHING;
    const alive = owners.filter((_, i) => states[i] === 'solid' || states[i] === 'unknown');
    if (alive.length === owners.length) return NOTHING;
    if (alive.length > 0) return { actions: [keepOwners({ kind, object }, alive)] };
    const dependents = states.includes('waiting') ? this.#dependents(object, context.view) : [];
    if (dependents.length > 0) {
      // Two that wait for each other would wait for ever: this one lets its owners go first.
      const cycle = dependents.some((d) => waits(d.object)) && owners.some((o) => o.blockOwnerDeletion);
      const unblocked = owners.map((o) => ({ ...o, blockOwnerDeletion: false }));
      if (cycle) return { actions: [keepOwners({ kind, object }, unblocked)] };
      return { actions: [remove({ kind, object }, 'Foreground')] };
    }
    const policy = has(object, ORPHAN) ? 'Orphan' : has(object, FOREGROUND) ? 'Foreground' : 'Background';
    return { actions: [remove({ kind, object }, policy)] };
  }

  #foreground({ kind, object: owner }: Item, { view, enqueue }: ControllerContext): Plan {
    const dependents = this.#dependents(owner, view);
    const blocking = dependents.filter(({ object }) =>
      ownersOf(object).some((o) => o.uid === owner.metadata.uid && o.blockOwnerDeletion),
    );
    if (blocking.length === 0) return { actions: [dropFinalizer({ kind, object: owner }, FOREGROUND)] };
    for (const d of dependents) if (!d.object.metadata.deletionTimestamp) enqueue(queueKey(d.kind, d.object));
    // Each of many dependents that goes wakes the owner: they are counted together.
    return blocking.length > MANY ? { actions: [], rest: Math.ceil(blocking.length / 10) } : NOTHING;
  }

  #orphan(owner: Item, { view }: ControllerContext): Plan {
    const { uid } = owner.object.metadata;
    const release = this.#dependents(owner.object, view).map((d) =>
      keepOwners(
        d,
        ownersOf(d.object).filter((o) => o.uid !== uid),
      ),
    );
    return { actions: [...(release.length ? [release] : []), dropFinalizer(owner, ORPHAN)] };
  }
}

function invalidNamespace(ref: OwnerReference, about: KubeObject) {
  const { namespace = '' } = about.metadata;
  const owner = `[${ref.apiVersion}/${ref.kind}, namespace: ${namespace}, name: ${ref.name}, uid: ${ref.uid}]`;
  const message = `ownerRef ${owner} does not exist in namespace ${JSON.stringify(namespace)}`;
  return { about, type: 'Warning', reason: 'OwnerRefInvalidNamespace', message } as const;
}

const refOf = (object: KubeObject) => refOfKey(keyOf(object));

/** A merge patch guarded by uid and resourceVersion: a conflict plans again. */
function mergePatch({ kind, object }: Item, metadata: object): Action {
  const { uid, resourceVersion } = object.metadata;
  const patch = { metadata: { uid, resourceVersion, ...metadata } };
  return { do: 'patch', kind, ref: refOf(object), type: 'merge', patch, ignore: ['NotFound'] };
}

const keepOwners = (item: Item, owners: readonly OwnerReference[]) =>
  mergePatch(item, { ownerReferences: owners.length ? owners : null });

function dropFinalizer(item: Item, finalizer: string): Action {
  const left = item.object.metadata.finalizers!.filter((f) => f !== finalizer);
  return mergePatch(item, { finalizers: left.length ? left : null });
}

function remove({ kind, object }: Item, propagationPolicy: Propagation): Action {
  const { uid, resourceVersion } = object.metadata;
  const options = { propagationPolicy, preconditions: { uid, resourceVersion } };
  return { do: 'delete', kind, ref: refOf(object), options, ignore: ['NotFound'] };
}
