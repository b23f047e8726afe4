// Deletes objects whose owners are gone, lets owners that wait for their dependents go, and orphans dependents when asked.
// The graph is two indexes on the caches: who is the owner of whom, and nothing of its own.
// https://kubernetes.io/docs/concepts/architecture/garbage-collection/

import { isReason } from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import { keyOf, refOfKey, type KubeObject, type OwnerReference } from '../api/object.ts';
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

const FOREGROUND = 'foregroundDeletion';
const ORPHAN = 'orphan';
const BY_OWNER = 'gc-owner';
/** Owners known to be gone: a thousand dependents of one ask the server once at most. */
const REMEMBERED = 10_000;

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

type OwnerState = 'solid' | 'waiting' | 'absent' | 'unknown';

class Graph {
  readonly #kinds: readonly AnyKind[];
  readonly #byKey: ReadonlyMap<string, AnyKind>;
  readonly #absent = new Set<string>();

  constructor(kinds: readonly AnyKind[]) {
    this.#kinds = kinds;
    this.#byKey = new Map(kinds.map((kind) => [kindKey(kind), kind]));
  }

  affected(kind: AnyKind, object: KubeObject | undefined, old: KubeObject | undefined, view: View): string[] {
    const owners = (o: KubeObject | undefined) => o?.metadata.ownerReferences;
    if (!object) {
      // A UID never comes back.
      this.#forgetIfFull();
      this.#absent.add(old!.metadata.uid);
      // Its dependents lost an owner; owners that waited for it may go.
      const waiting = (owners(old) ?? [])
        .flatMap((ref) => this.#cached(ref, old!, view) ?? [])
        .filter((o) => has(o.object, FOREGROUND));
      return [...this.#dependents(old!, view), ...waiting].map((d) => queueKey(d.kind, d.object));
    }
    const deleting = object.metadata.deletionTimestamp !== undefined;
    const concerns = deleting
      ? has(object, FOREGROUND) || has(object, ORPHAN)
      : owners(object) !== undefined && owners(object) !== owners(old);
    const unblocked =
      old && owners(old) !== owners(object)
        ? (owners(old) ?? []).flatMap((ref) => this.#cached(ref, old, view) ?? [])
        : [];
    return [
      ...(concerns ? [queueKey(kind, object)] : []),
      ...unblocked.filter((o) => has(o.object, FOREGROUND)).map((o) => queueKey(o.kind, o.object)),
    ];
  }

  async reconcile(key: string, context: ControllerContext): Promise<Plan> {
    const bar = key.indexOf('|');
    const kind = this.#byKey.get(key.slice(0, bar))!;
    const object = context.view.of(kind).get(key.slice(bar + 1));
    if (!object) return NOTHING;
    if (object.metadata.deletionTimestamp) {
      if (has(object, ORPHAN)) return this.#orphan(kind, object, context);
      if (has(object, FOREGROUND)) return this.#foreground(kind, object, context);
      return NOTHING;
    }
    return this.#collect(kind, object, context);
  }

  #dependents(owner: KubeObject, view: View): { kind: AnyKind; object: KubeObject }[] {
    return this.#kinds.flatMap((kind) =>
      view
        .of(kind)
        .byIndex(BY_OWNER, owner.metadata.uid)
        .map((object) => ({ kind, object })),
    );
  }

  /** The owner as the caches have it. */
  #cached(ref: OwnerReference, dependent: KubeObject, view: View): { kind: AnyKind; object: KubeObject } | undefined {
    const kind = this.#kindOf(ref);
    if (!kind) return undefined;
    const namespace = kind.namespaced ? dependent.metadata.namespace : undefined;
    const object = view.of(kind).get(namespace ? `${namespace}/${ref.name}` : ref.name);
    return object?.metadata.uid === ref.uid ? { kind, object } : undefined;
  }

  /** The owner's kind in whatever version the reference names it. */
  #kindOf(ref: OwnerReference): AnyKind | undefined {
    const group = ref.apiVersion.includes('/') ? ref.apiVersion.slice(0, ref.apiVersion.indexOf('/')) : '';
    return this.#kinds.find((k) => k.kind === ref.kind && k.group === group);
  }

  async #stateOf(ref: OwnerReference, dependent: KubeObject, { client, view }: ControllerContext): Promise<OwnerState> {
    const cached = this.#cached(ref, dependent, view);
    if (cached) return cached.object.metadata.deletionTimestamp && has(cached.object, FOREGROUND) ? 'waiting' : 'solid';
    const kind = this.#kindOf(ref);
    if (!kind) return 'unknown';
    // An owner in another namespace, or a namespaced owner of a cluster-scoped object, does not exist.
    if (kind.namespaced && !dependent.metadata.namespace) return 'unknown';
    const id = `${dependent.metadata.namespace ?? ''} ${ref.uid}`;
    if (this.#absent.has(ref.uid) || this.#absent.has(id)) return 'absent';
    try {
      const object = await client.get(kind, { namespace: dependent.metadata.namespace, name: ref.name });
      if (object.metadata.uid === ref.uid)
        return object.metadata.deletionTimestamp && has(object, FOREGROUND) ? 'waiting' : 'solid';
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
    this.#forgetIfFull();
    this.#absent.add(id);
    return 'absent';
  }

  #forgetIfFull(): void {
    if (this.#absent.size >= REMEMBERED) this.#absent.clear();
  }

  async #collect(kind: AnyKind, object: KubeObject, context: ControllerContext): Promise<Plan> {
    const owners = object.metadata.ownerReferences ?? [];
    if (owners.length === 0) return NOTHING;
    const states = await Promise.all(owners.map((ref) => this.#stateOf(ref, object, context)));
    const alive = owners.filter((_, i) => states[i] === 'solid' || states[i] === 'unknown');
    const waiting = owners.filter((_, i) => states[i] === 'waiting');
    if (alive.length === owners.length) return NOTHING;
    if (alive.length > 0) return { actions: [keepOwners(kind, object, alive)] };
    if (waiting.length > 0) {
      const blocks = this.#dependents(object, context.view).length > 0;
      return {
        actions: [
          remove(kind, object, blocks || waiting.some((w) => w.blockOwnerDeletion) ? 'Foreground' : 'Background'),
        ],
      };
    }
    return {
      actions: [
        remove(kind, object, has(object, ORPHAN) ? 'Orphan' : has(object, FOREGROUND) ? 'Foreground' : 'Background'),
      ],
    };
  }

  #foreground(kind: AnyKind, owner: KubeObject, { view, enqueue }: ControllerContext): Plan {
    const dependents = this.#dependents(owner, view);
    const blocking = dependents.filter(({ object }) =>
      object.metadata.ownerReferences?.some((o) => o.uid === owner.metadata.uid && o.blockOwnerDeletion),
    );
    if (blocking.length === 0) return { actions: [dropFinalizer(kind, owner, FOREGROUND)] };
    for (const d of dependents) if (!d.object.metadata.deletionTimestamp) enqueue(queueKey(d.kind, d.object));
    return NOTHING;
  }

  #orphan(kind: AnyKind, owner: KubeObject, { view }: ControllerContext): Plan {
    const release = this.#dependents(owner, view).map((d) =>
      keepOwners(
        d.kind,
        d.object,
        d.object.metadata.ownerReferences!.filter((o) => o.uid !== owner.metadata.uid),
      ),
    );
    return { actions: [...(release.length ? [release] : []), dropFinalizer(kind, owner, ORPHAN)] };
  }
}

const refOf = (object: KubeObject) => refOfKey(keyOf(object));

/** A merge patch guarded by uid and resourceVersion: a conflict plans again. */
function mergePatch(kind: AnyKind, object: KubeObject, metadata: object): Action {
  const { uid, resourceVersion } = object.metadata;
  return {
    do: 'patch',
    kind,
    ref: refOf(object),
    type: 'merge',
    patch: { metadata: { uid, resourceVersion, ...metadata } },
    ignore: ['NotFound'],
  };
}

const keepOwners = (kind: AnyKind, object: KubeObject, owners: readonly OwnerReference[]) =>
  mergePatch(kind, object, { ownerReferences: owners.length ? owners : null });

function dropFinalizer(kind: AnyKind, object: KubeObject, finalizer: string): Action {
  const left = object.metadata.finalizers!.filter((f) => f !== finalizer);
  return mergePatch(kind, object, { finalizers: left.length ? left : null });
}

function remove(kind: AnyKind, object: KubeObject, propagationPolicy: Propagation): Action {
  const { uid, resourceVersion } = object.metadata;
  const options = { propagationPolicy, preconditions: { uid, resourceVersion } };
  return { do: 'delete', kind, ref: refOf(object), options, ignore: ['NotFound'] };
}
