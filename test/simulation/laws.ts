// What has to hold at every moment, storm or not: one value each, told of every change.

import { Deployment } from '../../src/api/kinds/apps/deployment.ts';
import { ReplicaSet } from '../../src/api/kinds/apps/replica-set.ts';
import { Pod } from '../../src/api/kinds/core/pod.ts';
import { parseQuantity } from '../../src/api/quantity.ts';
import { controllerOf } from '../../src/api/object.ts';
import { CPUS } from './components.ts';
import { LONGEST_DELAY } from './faults.ts';
import { all, isActive } from './invariants.ts';
import { prefixOf, type Fact } from './truth.ts';
import type { World } from './world.ts';

export interface Law {
  readonly name: string;
  /** Told of each change after it happened; gives what is wrong. */
  watch(world: World): (fact: Fact) => string | undefined;
}

const PODS = prefixOf('', 'pods');
const SETS = prefixOf('apps', 'replicasets');
const DEPLOYMENTS = prefixOf('apps', 'deployments');

/** Writes of a kind whose outcome their sender could not know: each may have been made once more. */
function doubts(world: World, agent: string, resource: string): number {
  let sum = 0;
  for (const [key, n] of world.uncertain) if (key.startsWith(`${agent} `) && key.endsWith(` ${resource}`)) sum += n;
  return sum;
}
const struck = (world: World, ...faults: string[]) =>
  faults.reduce((sum, fault) => sum + (world.coverage.get(`fault ${fault}`) ?? 0), 0);

/**
 * A ReplicaSet makes no pod beyond what it was ever asked for, but for creations whose answer got lost. Who takes pods
 * away and gives them back, or has two managers at once, gets what he asked for.
 */
const noSurplusPods: Law = {
  name: 'no ReplicaSet makes more pods than it was asked for',
  watch(world) {
    const most = new Map<string, number>();
    return ({ key, object, previous }) => {
      if (key.startsWith(SETS) && object) {
        const set = object as ReplicaSet;
        most.set(set.metadata.uid, Math.max(most.get(set.metadata.uid) ?? 0, set.spec.replicas ?? 1));
      }
      const owner = object && !previous && key.startsWith(PODS) ? controllerOf(object) : undefined;
      const allowed = owner && most.get(owner.uid);
      if (owner === undefined || allowed === undefined) return undefined;
      if (struck(world, 'pause') > 0 && world.settings.managers > 1) return undefined;
      const now = all<Pod>(world, Pod).filter((pod) => isActive(pod) && controllerOf(pod)?.uid === owner.uid).length;
      const slack = doubts(world, 'replicaset-controller', 'pods') + (world.coverage.get('operation flipLabel') ?? 0);
      return now <= allowed + slack
        ? undefined
        : `ReplicaSet ${owner.name} has ${now} pods and was never asked for more than ${allowed}`;
    };
  },
};

function ceilingOf({ spec }: Deployment): number {
  const wanted = spec.replicas ?? 1;
  const surge = spec.strategy?.rollingUpdate?.maxSurge;
  if (spec.strategy?.type === 'Recreate' || surge === undefined) return wanted;
  return wanted + (typeof surge === 'number' ? surge : Math.ceil((wanted * Number.parseInt(surge, 10)) / 100));
}

/** No ReplicaSet is given more replicas while all of a Deployment have what it and its surge were ever asked for. */
const surgeBounded: Law = {
  name: 'no rollout goes beyond its surge',
  watch(world) {
    const most = new Map<string, number>();
    return ({ key, object, previous }) => {
      if (key.startsWith(DEPLOYMENTS) && object) {
        const { uid } = object.metadata;
        most.set(uid, Math.max(most.get(uid) ?? 0, ceilingOf(object as Deployment)));
      }
      const before = key.startsWith(SETS) ? ((previous as ReplicaSet | undefined)?.spec.replicas ?? 0) : 0;
      const grows = object && key.startsWith(SETS) && ((object as ReplicaSet).spec.replicas ?? 1) > before;
      // Orphans that are taken over come with what they have.
      const owner = grows ? controllerOf(object) : undefined;
      const allowed = owner && most.get(owner.uid);
      if (owner === undefined || allowed === undefined) return undefined;
      if (struck(world, 'pause') > 0 && world.settings.managers > 1) return undefined;
      const sets = all<ReplicaSet>(world, ReplicaSet).filter((set) => controllerOf(set)?.uid === owner.uid);
      const asked = sets.reduce((sum, set) => sum + (set.spec.replicas ?? 1), 0);
      return asked <= allowed ? undefined : `Deployment ${owner.name} asks for ${asked} pods and may have ${allowed}`;
    };
  },
};

const availableOf = (world: World, sets: readonly ReplicaSet[]) => {
  const uids = new Set(sets.map((set) => set.metadata.uid));
  const ready = (pod: Pod) => pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
  return all<Pod>(world, Pod).filter((pod) => isActive(pod) && ready(pod) && uids.has(controllerOf(pod)?.uid ?? ''))
    .length;
};

function floorOf({ spec }: Deployment): number {
  const wanted = spec.replicas ?? 1;
  const may = spec.strategy?.rollingUpdate?.maxUnavailable;
  if (spec.strategy?.type === 'Recreate' || may === undefined) return 0;
  const fewer = typeof may === 'number' ? may : Math.floor((wanted * Number.parseInt(may, 10)) / 100);
  const surge = ceilingOf({ spec } as Deployment) - wanted;
  // With neither surge nor leave to be unavailable, one pod has to go for any to come.
  return wanted - Math.max(fewer, surge === 0 ? 1 : 0);
}

/**
 * How long a Deployment has to have been left alone before its availability is the controllers' alone, in milliseconds: what was
 * right when it was sent may arrive that late.
 */
const UNDISTURBED = LONGEST_DELAY + 2_000;

/**
 * The ReplicaSet controller deletes no ready pod that a Deployment cannot do without, unless something else happened to
 * its pods of late: then the controllers may not know of it yet.
 */
const availabilityKept: Law = {
  name: 'no rollout gives away more than it may',
  watch(world) {
    let disturbed = world.clock.now();
    let nodes = '';
    // The least a Deployment was ever asked to keep: the controllers may not know yet that it is more now.
    const least = new Map<string, number>();
    // One that is turned around in the middle counts on pods that its sets are about to lose, as upstream's does.
    const templates = new Map<string, { last: string; changes: number }>();
    return ({ key, object, previous }) => {
      if (key.startsWith(DEPLOYMENTS) && object) {
        const { uid } = object.metadata;
        least.set(uid, Math.min(least.get(uid) ?? Infinity, floorOf(object as Deployment)));
        const last = JSON.stringify((object as Deployment).spec.template);
        const known = templates.get(uid);
        if (known?.last !== last) templates.set(uid, { last, changes: known ? known.changes + 1 : 0 });
      }
      if (key.startsWith(DEPLOYMENTS) && !sameReplicas(object as Deployment, previous as Deployment))
        disturbed = world.clock.now();
      if (key.startsWith('/registry/core/nodes/')) {
        const now = `${key} ${JSON.stringify((object as { spec?: unknown } | undefined)?.spec)}`;
        if (now !== nodes) disturbed = world.clock.now();
        nodes = now;
      }
      if (!key.startsWith(PODS) || !previous) return undefined;
      const [now, before] = [object as Pod | undefined, previous as Pod];
      const ready = (pod: Pod | undefined) =>
        pod !== undefined &&
        isActive(pod) &&
        pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
      if (!ready(before) || ready(now)) return undefined;
      const set = all<ReplicaSet>(world, ReplicaSet).find((s) => s.metadata.uid === controllerOf(before)?.uid);
      const owner = all<Deployment>(world, Deployment).find((d) => set && d.metadata.uid === controllerOf(set)?.uid);
      // It failed by itself, or somebody else took it, or its ReplicaSet, away.
      if (!set || !now?.metadata.deletionTimestamp || (set.spec.replicas ?? 0) >= podsOf(world, set) + 1) {
        disturbed = world.clock.now();
        return undefined;
      }
      if (!owner || world.clock.now() - disturbed < UNDISTURBED) return undefined;
      if (templates.get(owner.metadata.uid)!.changes > 1) return undefined;
      // Ready is not available yet where it has to last: whose clocks then count is not known here.
      if (owner.spec.minReadySeconds) return undefined;
      const sets = all<ReplicaSet>(world, ReplicaSet).filter((s) => controllerOf(s)?.uid === owner.metadata.uid);
      const left = availableOf(world, sets);
      world.count('checked availability');
      const floor = least.get(owner.metadata.uid) ?? 0;
      return left >= floor
        ? undefined
        : `Deployment ${owner.metadata.name} has ${left} pods left and must keep ${floor}`;
    };
  },
};

const sameReplicas = (a: Deployment | undefined, b: Deployment | undefined) =>
  a?.spec.replicas === b?.spec.replicas &&
  a?.metadata.uid === b?.metadata.uid &&
  a?.metadata.deletionTimestamp === b?.metadata.deletionTimestamp;
const podsOf = (world: World, set: ReplicaSet) =>
  all<Pod>(world, Pod).filter((pod) => isActive(pod) && controllerOf(pod)?.uid === set.metadata.uid).length;

const cpuOf = (pod: Pod) =>
  pod.spec.containers.reduce((sum, c) => sum + parseQuantity(c.resources?.requests?.['cpu'] ?? '0').milliValue, 0);

/** The scheduler fills no node beyond what it has, but for bindings whose answer got lost. */
const noOvercommit: Law = {
  name: 'no node is given more than it has',
  watch: (world) => {
    return ({ key, object, previous }) => {
      const pod = object as Pod | undefined;
      const node = key.startsWith(PODS) ? pod?.spec.nodeName : undefined;
      if (!node || (previous as Pod | undefined)?.spec.nodeName === node) return undefined;
      if (doubts(world, 'kube-scheduler', 'pods') > 0 || controllerOf(pod!)?.kind === 'DaemonSet') return undefined;
      const there = all<Pod>(world, Pod).filter(
        (p) => p.spec.nodeName === node && p.status?.phase !== 'Failed' && p.status?.phase !== 'Succeeded',
      );
      const used = there.reduce((sum, p) => sum + cpuOf(p), 0);
      return used <= CPUS * 1000 ? undefined : `${node} has ${CPUS} processors and pods for ${used / 1000}`;
    };
  },
};

/** What a pod is, stays: no second life, no other node. */
const podsAreMortal: Law = {
  name: 'no pod moves, or lives again',
  watch:
    () =>
    ({ key, object, previous }) => {
      if (!key.startsWith(PODS) || !object || !previous) return undefined;
      const [now, before] = [object as Pod, previous as Pod];
      const { name, uid } = now.metadata;
      if (uid !== before.metadata.uid) return `pod ${name} became another without a deletion`;
      if (before.spec.nodeName && before.spec.nodeName !== now.spec.nodeName)
        return `pod ${name} moved from ${before.spec.nodeName}`;
      const ended = before.status?.phase === 'Failed' || before.status?.phase === 'Succeeded';
      if (ended && now.status?.phase !== before.status?.phase)
        return `pod ${name} was ${before.status?.phase} and is ${now.status?.phase}`;
      if (before.metadata.deletionTimestamp && !now.metadata.deletionTimestamp)
        return `pod ${name} came back from its deletion`;
      return undefined;
    },
};

const generationsGrow: Law = {
  name: 'generations never go back, and nobody has seen a later one than there is',
  watch:
    () =>
    ({ object, previous }) => {
      if (!object) return undefined;
      const { generation = 0, name } = object.metadata;
      const seen = (object as { status?: { observedGeneration?: number } }).status?.observedGeneration ?? 0;
      if (generation < (previous?.metadata.generation ?? 0))
        return `the generation of ${object.kind} ${name} went back`;
      return seen > generation
        ? `${object.kind} ${name}: generation ${seen} was seen, there is ${generation}`
        : undefined;
    },
};

export const laws: readonly Law[] = [
  noSurplusPods,
  surgeBounded,
  availabilityKept,
  noOvercommit,
  podsAreMortal,
  generationsGrow,
];
