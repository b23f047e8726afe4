// DaemonSet: one pod on every node that fits.
// https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/

import type { DaemonSetStatus } from '../api/generated/apps-v1.ts';
import { ControllerRevision } from '../api/kinds/apps/controller-revision.ts';
import { DaemonSet } from '../api/kinds/apps/daemon-set.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import type { Kind } from '../api/kind.ts';
import { keyOf, type KubeObject } from '../api/object.ts';
import { selectorOf, SelectorError, type Selector } from '../api/selectors.ts';
import { defineController, NOTHING, watch, type Action, type Plan, type View } from '../client/controller.ts';
import { BY_CONTROLLER } from '../client/informer.ts';
import { claim } from './claims.ts';
import { expiredHistory, historyOf } from './daemon-set-history.ts';
import { daemonPod, isUpdated, placement, targetNode } from './daemon-set-nodes.ts';
import { byAge, manage, roll, type FailureMemory, type Site, type Steps } from './daemon-set-rollout.ts';
import { availableIn, claimKeys, isTerminal, ORPHANS, orphanIndex, sameLabels } from './pod-state.ts';
import { createPodAction, deletePod, restAfter } from './replicas.ts';
import { sameValue } from './same-value.ts';

/** Pods created, and deleted, by one plan at most. */
const BURST = 250;

export const daemonSetController = defineController({
  name: 'daemon-set-controller',
  component: 'daemonset-controller',
  primary: DaemonSet,
  watches: [
    watch({ kind: DaemonSet, keys: 'self' }),
    watch({ kind: ControllerRevision, keys: claimKeys(DaemonSet, selectorOfSet), indexes: orphanIndex }),
    watch({ kind: Pod, keys: claimKeys(DaemonSet, selectorOfSet), indexes: orphanIndex }),
    watch({ kind: Node, keys: nodeKeys }),
  ],
  grants: [
    { groups: ['apps'], resources: ['daemonsets'], verbs: ['get', 'list', 'watch'] },
    { groups: ['apps'], resources: ['daemonsets/status'], verbs: ['update'] },
    { groups: ['apps'], resources: ['daemonsets/finalizers'], verbs: ['update'] },
    { groups: [''], resources: ['nodes'], verbs: ['list', 'watch'] },
    { groups: [''], resources: ['pods'], verbs: ['list', 'watch', 'create', 'delete', 'patch'] },
    { groups: [''], resources: ['pods/binding'], verbs: ['create'] },
    {
      groups: ['apps'],
      resources: ['controllerrevisions'],
      verbs: ['list', 'watch', 'create', 'delete', 'update', 'patch', 'get'],
    },
  ],
  plan: planDaemonSet,
});

/** A heartbeat concerns nobody; labels and taints concern every set. */
function nodeKeys(object: Node | undefined, old: Node | undefined, view: View): readonly string[] {
  if (object && old && sameLabels(object, old) && sameValue(object.spec.taints, old.spec.taints)) return [];
  return view.of(DaemonSet).list().map(keyOf);
}

function selectorOfSet(set: DaemonSet): Selector | undefined {
  try {
    return selectorOf(set.spec.selector);
  } catch (error) {
    if (error instanceof SelectorError) return undefined;
    throw error;
  }
}

function planDaemonSet(key: string, view: View, now: number, memory?: unknown): Plan {
  const set = view.of(DaemonSet).get(key);
  const selector = set && selectorOfSet(set);
  if (!set || !selector) return NOTHING;
  if (selector.isEmpty) {
    const message = 'This daemon set is selecting all pods. A non-empty selector is required.';
    return { actions: [{ do: 'event', event: { type: 'Warning', reason: 'SelectingAll', message } }] };
  }
  if (set.metadata.deletionTimestamp !== undefined) return NOTHING;

  const { uid, namespace = '' } = set.metadata;
  const owned = <T extends KubeObject>(kind: Kind<T>) => {
    const lister = view.of(kind);
    const candidates = [...lister.byIndex(BY_CONTROLLER, uid), ...lister.byIndex(ORPHANS, namespace)];
    return claim(set, DaemonSet, kind, selector, candidates);
  };
  const revisions = owned(ControllerRevision);
  const pods = owned(Pod);
  const claims = [...revisions.actions, ...pods.actions];
  // What has just changed hands is planned for once the cache shows it.
  if (claims.length) return { actions: claims };
  const history = historyOf(set, revisions.claimed, pods.claimed, view);
  if (!('hash' in history)) return history;

  const { hash, old } = history;
  const sites = sitesOf(set, pods.claimed, view);
  const managed = manage(set, hash, sites, (memory ?? {}) as FailureMemory, now);
  const busy = managed.creates.length > 0 || managed.deletes.length > 0;
  const rolls = (set.spec.updateStrategy?.type ?? 'RollingUpdate') === 'RollingUpdate';
  const steps = !busy && rolls ? roll(set, hash, sites, now) : managed;
  const { status, again } = countStatus(set, hash, sites, now);
  const statusActions = updateStatus(set, status);
  const changes = changesOf(set, hash, steps);
  const waits = [managed.again, again].filter((ms) => ms !== undefined);
  return {
    actions: [
      ...history.actions,
      ...managed.events.map((event): Action => ({ do: 'event', event })),
      ...(changes.length ? [changes] : []),
      ...expiredHistory(old, pods.claimed, set.spec.revisionHistoryLimit ?? 10),
      ...statusActions,
    ],
    failed: (_, action) => (changes.includes(action) ? statusActions : []),
    ...(waits.length ? { again: Math.min(...waits) } : {}),
    ...restAfter(sites.length),
    ...(Object.keys(managed.failures).length ? { memory: managed.failures } : {}),
  };
}

/** All nodes, and all places pods of the set are meant for. */
function sitesOf(set: DaemonSet, pods: readonly Pod[], view: View): readonly Site[] {
  const byNode = new Map<string, Pod[]>();
  for (const pod of pods) {
    if (isTerminal(pod) && pod.metadata.deletionTimestamp !== undefined) continue;
    const name = targetNode(pod);
    if (name === undefined) continue;
    const there = byNode.get(name);
    if (there) there.push(pod);
    else byNode.set(name, [pod]);
  }
  for (const there of byNode.values()) if (there.length > 1) there.sort(byAge);
  const sites: Site[] = view
    .of(Node)
    .list()
    .map((node) => {
      const { name } = node.metadata;
      const there = byNode.get(name) ?? [];
      byNode.delete(name);
      return { name, node, pods: there, ...placement(set, node) };
    });
  for (const [name, there] of byNode) sites.push({ name, node: undefined, pods: there, runs: false, stays: false });
  return sites;
}

function changesOf(set: DaemonSet, hash: string, steps: Steps): readonly Action[] {
  return [
    ...steps.creates.slice(0, BURST).map((node) => createPodAction(daemonPod(set, hash, node))),
    ...steps.deletes.slice(0, BURST).map(deletePod),
  ];
}

/** The status, and milliseconds until the next ready pod becomes available. */
function countStatus(set: DaemonSet, hash: string, sites: readonly Site[], now: number) {
  let [desired, current, misscheduled, ready, available, updated] = [0, 0, 0, 0, 0, 0];
  let again: number | undefined;
  for (const { node, runs, pods } of sites) {
    if (!node) continue;
    const [pod] = pods;
    if (runs) desired++;
    if (!pod) continue;
    if (!runs) {
      misscheduled++;
      continue;
    }
    current++;
    if (isUpdated(set, pod, hash)) updated++;
    const wait = availableIn(pod, set.spec.minReadySeconds ?? 0, now);
    if (wait === undefined) continue;
    ready++;
    if (wait === 0) available++;
    else again = Math.min(again ?? wait, wait);
  }
  const { generation } = set.metadata;
  const { collisionCount, conditions } = set.status ?? {};
  const status: DaemonSetStatus = {
    currentNumberScheduled: current,
    numberMisscheduled: misscheduled,
    desiredNumberScheduled: desired,
    numberReady: ready,
    ...(generation ? { observedGeneration: generation } : {}),
    ...(updated ? { updatedNumberScheduled: updated } : {}),
    ...(available ? { numberAvailable: available } : {}),
    ...(desired > available ? { numberUnavailable: desired - available } : {}),
    ...(collisionCount === undefined ? {} : { collisionCount }),
    ...(conditions ? { conditions } : {}),
  };
  return { status, again };
}

function updateStatus(set: DaemonSet, status: DaemonSetStatus): readonly Action[] {
  if (sameValue(set.status, status)) return [];
  const object: DaemonSet = { ...set, status };
  return [{ do: 'update', kind: DaemonSet, object, subresource: 'status' }];
}
