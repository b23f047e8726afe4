// Finalises namespaces: deletes all they hold, says in conditions what is left, and removes the `kubernetes` finalizer last.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/

import type { Namespace as NamespaceObject, NamespaceCondition } from '../api/generated/core-v1.ts';
import { isReason } from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import { Namespace } from '../api/kinds/core/namespace.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { rfc3339 } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import {
  defineController,
  NOTHING,
  watch,
  type ControllerContext,
  type ControllerDefinition,
  type Plan,
} from '../client/controller.ts';

const FINALIZER = 'kubernetes';
/** Something that is not a pod is left, with finalizers of its own: looked at again after this long, in milliseconds. */
const LOOK_AGAIN = 1_000;
/** After so many looks in vain nobody is about to release it: further ones are rarer, and a background matter. */
const PATIENCE = 10;
const LOOK_SELDOM = 8_000;

const can = (kind: AnyKind, verb: string) =>
  !kind.virtual && (!kind.verbs || (kind.verbs as readonly string[]).includes(verb));

interface Remaining {
  /** `pods.` -> how many. */
  readonly resources: Map<string, number>;
  readonly finalizers: Map<string, number>;
  readonly errors: string[];
}

/** `kinds` are those served now. */
export function namespaceLifecycle(kinds: () => readonly AnyKind[]): ControllerDefinition {
  /** Namespace -> looks in vain. */
  const looks = new Map<string, number>();
  return defineController({
    name: 'namespace-controller',
    workers: 10,
    watches: [
      watch({ kind: Namespace, keys: (ns) => (ns?.metadata.deletionTimestamp ? [ns.metadata.name] : []) }),
      // Pods take their time; the last one to go lets the namespace go.
      watch({
        kind: Pod,
        keys(pod, old, view) {
          const { namespace } = (pod ?? old)!.metadata;
          return !pod && view.of(Namespace).get(namespace!)?.metadata.deletionTimestamp ? [namespace!] : [];
        },
      }),
    ],
    grants: [
      { groups: ['*'], resources: ['*'], verbs: ['delete', 'deletecollection', 'get', 'list'] },
      { groups: [''], resources: ['namespaces/finalize', 'namespaces/status'], verbs: ['update'] },
    ],
    async reconcile(name, context) {
      const plan = await finalise(name, kinds(), context);
      if (plan.again === undefined) looks.delete(name);
      else looks.set(name, (looks.get(name) ?? 0) + 1);
      return (looks.get(name) ?? 0) > PATIENCE ? { ...plan, again: LOOK_SELDOM, idle: true } : plan;
    },
  });
}

async function finalise(
  name: string,
  kinds: readonly AnyKind[],
  { client, view, env }: ControllerContext,
): Promise<Plan> {
  let namespace: NamespaceObject | undefined = view.of(Namespace).get(name);
  if (!namespace?.metadata.deletionTimestamp || !namespace.spec?.finalizers?.includes(FINALIZER)) return NOTHING;
  const remaining = await deleteContent(name, kinds, client);
  const left = remaining.resources.size > 0 || remaining.errors.length > 0;
  namespace = await writeConditions(namespace, remaining, client, env.clock.now());
  if (!namespace) return NOTHING;
  if (!left) {
    const finalizers = namespace.spec?.finalizers?.filter((f) => f !== FINALIZER) ?? [];
    const object = { ...namespace, spec: { ...namespace.spec, finalizers } };
    return { actions: [{ do: 'update', kind: Namespace, object, subresource: 'finalize', ignore: ['NotFound'] }] };
  }
  const onlyPods = remaining.errors.length === 0 && [...remaining.resources.keys()].every((r) => r === 'pods.');
  return onlyPods && remaining.finalizers.size === 0 ? NOTHING : { actions: [], again: LOOK_AGAIN };
}

/** Pods go first: while they run they may need what else is in the namespace, their network policies above all. */
async function deleteContent(namespace: string, kinds: readonly AnyKind[], client: Client): Promise<Remaining> {
  const remaining: Remaining = { resources: new Map(), finalizers: new Map(), errors: [] };
  const deletable = kinds.filter(
    (kind) => kind.namespaced && !kind.storedAs && can(kind, 'deletecollection') && can(kind, 'list'),
  );
  const isPod = (kind: AnyKind) => kind.plural === Pod.plural && kind.group === Pod.group;
  await Promise.all(deletable.filter(isPod).map((kind) => deleteAll(kind, namespace, client, remaining)));
  if (remaining.resources.size > 0) return remaining;
  await Promise.all(
    deletable.filter((kind) => !isPod(kind)).map((kind) => deleteAll(kind, namespace, client, remaining)),
  );
  return remaining;
}

async function deleteAll(kind: AnyKind, namespace: string, client: Client, remaining: Remaining): Promise<void> {
  try {
    const before = await client.list(kind, { namespace });
    if (before.items.length === 0) return;
    await client.deleteCollection(kind, { namespace, propagationPolicy: 'Background' });
    const { items } = await client.list(kind, { namespace });
    if (items.length) remaining.resources.set(`${kind.plural}.${kind.group}`, items.length);
    for (const finalizer of items.flatMap((item) => item.metadata.finalizers ?? [])) {
      remaining.finalizers.set(finalizer, (remaining.finalizers.get(finalizer) ?? 0) + 1);
    }
  } catch (error) {
    if (!isReason(error, 'NotFound', 'MethodNotAllowed')) remaining.errors.push((error as Error).message);
  }
}

const counted = (map: ReadonlyMap<string, number>, of: (name: string, count: number) => string) =>
  [...map]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => of(name, count))
    .join(', ');

function conditionsOf({ resources, finalizers, errors }: Remaining): Omit<NamespaceCondition, 'lastTransitionTime'>[] {
  const content = counted(resources, (name, count) => `${name} has ${count} resource instances`);
  const held = counted(finalizers, (name, count) => `${name} in ${count} resource instances`);
  return [
    {
      type: 'NamespaceDeletionDiscoveryFailure',
      status: 'False',
      reason: 'ResourcesDiscovered',
      message: 'All resources successfully discovered',
    },
    {
      type: 'NamespaceDeletionGroupVersionParsingFailure',
      status: 'False',
      reason: 'ParsedGroupVersions',
      message: 'All legacy kube types successfully parsed',
    },
    errors.length
      ? {
          type: 'NamespaceDeletionContentFailure',
          status: 'True',
          reason: 'ContentDeletionFailed',
          message: `Failed to delete all resource types, ${errors.length} remaining: ${[...errors].sort().join(', ')}`,
        }
      : {
          type: 'NamespaceDeletionContentFailure',
          status: 'False',
          reason: 'ContentDeleted',
          message: 'All content successfully deleted, may be waiting on finalization',
        },
    resources.size
      ? {
          type: 'NamespaceContentRemaining',
          status: 'True',
          reason: 'SomeResourcesRemain',
          message: `Some resources are remaining: ${content}`,
        }
      : {
          type: 'NamespaceContentRemaining',
          status: 'False',
          reason: 'ContentRemoved',
          message: 'All content successfully removed',
        },
    finalizers.size
      ? {
          type: 'NamespaceFinalizersRemaining',
          status: 'True',
          reason: 'SomeFinalizersRemain',
          message: `Some content in the namespace has finalizers remaining: ${held}`,
        }
      : {
          type: 'NamespaceFinalizersRemaining',
          status: 'False',
          reason: 'ContentHasNoFinalizers',
          message: 'All content-preserving finalizers finished',
        },
  ];
}

/** The namespace with its conditions written, or undefined when it is gone. */
async function writeConditions(
  namespace: NamespaceObject,
  remaining: Remaining,
  client: Client,
  now: number,
): Promise<NamespaceObject | undefined> {
  const old = namespace.status?.conditions ?? [];
  const conditions = conditionsOf(remaining).map((condition) => {
    const before = old.find((c) => c.type === condition.type);
    const same = before?.status === condition.status && before.message === condition.message;
    return same
      ? before
      : {
          ...condition,
          lastTransitionTime: before?.status === condition.status ? before.lastTransitionTime : rfc3339(now),
        };
  });
  const changed = namespace.status?.phase !== 'Terminating' || conditions.some((c) => !old.includes(c));
  if (!changed) return namespace;
  try {
    const others = old.filter((c) => !conditions.some((n) => n.type === c.type));
    const status = {
      ...namespace.status,
      phase: 'Terminating',
      conditions: [...others, ...conditions] as NamespaceCondition[],
    };
    return await client.update(Namespace, { ...namespace, status }, { subresource: 'status' });
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined;
    throw error;
  }
}
