// What a DaemonSet does with its pods, node by node: run one where it should be, replace what failed, and move to a new
// template within the limits of the update strategy.

import type { Node, Pod } from '../api/generated/core-v1.ts';
import { scaledValue } from '../api/int-or-string.ts';
import type { DaemonSet } from '../api/kinds/apps/daemon-set.ts';
import type { EventNote } from '../client/controller.ts';
import { HASH_LABEL, isUpdated, type Placement } from './daemon-set-nodes.ts';
import { isAvailable, isReady } from './pod-state.ts';

/** A node and the set's pods on it or meant for it; without `node` it does not exist (any more). */
export interface Site extends Placement {
  readonly name: string;
  readonly node: Node | undefined;
  /** Oldest first, those bound to a node before others. */
  readonly pods: readonly Pod[];
}

export interface Steps {
  /** Names of nodes that get a pod. */
  readonly creates: readonly string[];
  readonly deletes: readonly Pod[];
}

/** How long failed pods of a node are left alone, to keep a broken daemon from spinning; milliseconds. */
export type FailureMemory = Readonly<Record<string, { readonly pause: number; readonly at: number }>>;
const FIRST_PAUSE = 1_000;
const LAST_PAUSE = 15 * 60_000;

export interface ManageResult extends Steps {
  readonly events: readonly EventNote[];
  readonly failures: FailureMemory;
  /** Milliseconds until a failed pod may be replaced. */
  readonly again: number | undefined;
}

const isLeaving = (pod: Pod) => pod.metadata.deletionTimestamp !== undefined;

export function byAge(a: Pod, b: Pod): number {
  const [bound, other] = [a.spec.nodeName ? 0 : 1, b.spec.nodeName ? 0 : 1];
  if (bound !== other) return bound - other;
  const [x, y] = [a.metadata, b.metadata];
  if (x.creationTimestamp !== y.creationTimestamp) return x.creationTimestamp < y.creationTimestamp ? -1 : 1;
  return x.name < y.name ? -1 : 1;
}

/** One pod on each node that should have one, none on the others. */
export function manage(
  set: DaemonSet,
  hash: string,
  sites: readonly Site[],
  memory: FailureMemory,
  now: number,
): ManageResult {
  const creates: string[] = [];
  const deletes: Pod[] = [];
  const events: EventNote[] = [];
  const failures: Record<string, { pause: number; at: number }> = {};
  for (const [name, failure] of Object.entries(memory))
    if (now - failure.at <= 2 * LAST_PAUSE) failures[name] = failure;
  let again: number | undefined;

  for (const site of sites) {
    if (!site.node) deletes.push(...site.pods.filter((pod) => !pod.spec.nodeName && !isLeaving(pod)));
    else if (site.runs && site.pods.length === 0) creates.push(site.name);
    else if (!site.stays) deletes.push(...site.pods.filter((pod) => !isLeaving(pod)));
    else {
      const running: Pod[] = [];
      for (const pod of site.pods) {
        if (isLeaving(pod)) continue;
        const phase = pod.status?.phase;
        if (phase !== 'Failed' && phase !== 'Succeeded') running.push(pod);
        else if (phase === 'Succeeded') {
          events.push(finished(pod, site.name));
          deletes.push(pod);
        } else {
          const wait = failureWait(failures[site.name], now);
          if (wait > 0) again = Math.min(again ?? wait, wait);
          else {
            const pause = failures[site.name] ? Math.min(failures[site.name]!.pause * 2, LAST_PAUSE) : FIRST_PAUSE;
            failures[site.name] = { pause, at: now };
            events.push(failed(pod, site.name));
            deletes.push(pod);
          }
        }
      }
      deletes.push(...excess(set, hash, running, now));
    }
  }
  return { creates, deletes, events, failures, again };
}

const failureWait = (failure: { pause: number; at: number } | undefined, now: number) =>
  failure ? failure.at + failure.pause - now : 0;

const failed = ({ metadata }: Pod, node: string): EventNote => ({
  type: 'Warning',
  reason: 'FailedDaemonPod',
  message: `Found failed daemon pod ${metadata.namespace}/${metadata.name} on node ${node}, will try to kill it`,
});
const finished = ({ metadata }: Pod, node: string): EventNote => ({
  type: 'Normal',
  reason: 'SucceededDaemonPod',
  message: `Found succeeded daemon pod ${metadata.namespace}/${metadata.name} on node ${node}, will try to delete it`,
});

/** Pods too many on a node. With surge one of the old and one of the new template may stand side by side for a while. */
function excess(set: DaemonSet, hash: string, running: readonly Pod[], now: number): Pod[] {
  if (running.length <= 1) return [];
  if (!allowsSurge(set)) return running.slice(1);
  const isNew = (pod: Pod) => pod.metadata.labels?.[HASH_LABEL] === hash;
  const [fresh, ...moreFresh] = running.filter(isNew);
  const [old, ...moreOld] = running.filter((pod) => !isNew(pod));
  const surplus = [...moreFresh, ...moreOld];
  if (fresh && old && (!isReady(old) || isAvailable(fresh, set.spec.minReadySeconds ?? 0, now))) surplus.push(old);
  return surplus;
}

export function allowsSurge(set: DaemonSet): boolean {
  const { type, rollingUpdate } = set.spec.updateStrategy ?? {};
  return (type ?? 'RollingUpdate') === 'RollingUpdate' && scaledValue(rollingUpdate?.maxSurge ?? 0, 100, true) > 0;
}

/** The next step of a rolling update. Call it once `manage` has nothing to do. */
export function roll(set: DaemonSet, hash: string, sites: readonly Site[], now: number): Steps {
  const desired = sites.filter((site) => site.runs).length;
  const rolling = set.spec.updateStrategy?.rollingUpdate;
  const maxSurge = scaledValue(rolling?.maxSurge ?? 0, desired, true);
  const down = scaledValue(rolling?.maxUnavailable ?? 1, desired, true);
  const maxUnavailable = maxSurge === 0 && down === 0 ? 1 : down;
  const look: Look = { set, hash, now };
  const occupied = sites.filter((site) => site.pods.length > 0);
  return maxSurge === 0 ? replace(look, occupied, maxUnavailable) : surge(look, occupied, maxSurge, desired);
}

interface Look {
  readonly set: DaemonSet;
  readonly hash: string;
  readonly now: number;
}
const works = ({ set, now }: Look, pod: Pod) => isAvailable(pod, set.spec.minReadySeconds ?? 0, now);

/** The one pod of each template on a node; undefined when there are more than one of either. */
function pair({ set, hash }: Look, site: Site): { fresh: Pod | undefined; old: Pod | undefined } | undefined {
  let [fresh, old]: (Pod | undefined)[] = [];
  for (const pod of site.pods) {
    if (isLeaving(pod)) continue;
    if (isUpdated(set, pod, hash)) {
      if (fresh) return undefined;
      fresh = pod;
    } else {
      if (old) return undefined;
      old = pod;
    }
  }
  return { fresh, old };
}

/** Deletes old pods: those that do not work at once, others as far as enough stay available. */
function replace(look: Look, sites: readonly Site[], maxUnavailable: number): Steps {
  let unavailable = 0;
  const broken: Pod[] = [];
  const candidates: Pod[] = [];
  for (const site of sites) {
    const pods = pair(look, site);
    if (!pods || Boolean(pods.fresh) === Boolean(pods.old)) unavailable++;
    else if (pods.fresh) {
      if (!works(look, pods.fresh)) unavailable++;
    } else if (!works(look, pods.old!)) {
      broken.push(pods.old!);
      unavailable++;
    } else candidates.push(pods.old!);
  }
  return { creates: [], deletes: [...broken, ...candidates.slice(0, Math.max(0, maxUnavailable - unavailable))] };
}

/** Creates new pods beside old ones and deletes an old one when its successor works. */
function surge(look: Look, sites: readonly Site[], maxSurge: number, desired: number): Steps {
  let [surging, available] = [0, 0];
  const deletes: Pod[] = [];
  const misplaced: Pod[] = [];
  const urgent: string[] = [];
  const candidates: string[] = [];
  for (const site of sites) {
    const pods = pair(look, site);
    if (!pods) {
      surging++;
      continue;
    }
    const { fresh, old } = pods;
    const standing = old ?? fresh;
    if (standing && works(look, standing)) available++;
    if (!old) continue;
    if (fresh) {
      if (works(look, fresh)) deletes.push(old);
      else surging++;
    } else if (!works(look, old)) {
      if (site.runs) urgent.push(site.name);
      else deletes.push(old);
    } else if (!site.runs) misplaced.push(old);
    else candidates.push(site.name);
  }
  deletes.push(...misplaced.slice(0, Math.max(0, available - desired)));
  return { creates: [...urgent, ...candidates.slice(0, Math.max(0, maxSurge - surging))], deletes };
}
