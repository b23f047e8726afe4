// The first moment of embedded clusters: what the API server makes before any component runs (namespaces, priority
// classes, RBAC roles and bindings), made by the API server itself, once per process. Every cluster starts from a fork of
// it: objects are immutable, so it costs the copy of a few arrays. It depends on nothing but the code: clusters of all
// seeds share it, and the same seed still gives the same history.

import { seededRandom, VirtualClock } from '../base/virtual-clock.ts';
import { silentLogger } from '../base/log.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { ChangeLog } from './change-log.ts';
import { createControlPlane } from './control-plane.ts';

export interface FirstMoment {
  readonly store: MemoryStore;
  /** Tells of each of its objects when and by whom it was made. */
  readonly log: ChangeLog;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

/** The block of pods' addresses. */
export const CLUSTER_CIDR = '10.244.0.0/16';
/** What pods find in kube-root-ca.crt: nothing in this process speaks TLS. */
export const NO_CERTIFICATE = 'an embedded cluster has no certificates\n';
/** Events that a store keeps for watches that begin in the past. */
export const HISTORY = 100_000;
/** Of what is random in it: uids. */
const SEED = 0;

let made: Promise<FirstMoment> | undefined;

/** In virtual time, which begins at the same instant in every cluster. */
export function firstMoment(): Promise<FirstMoment> {
  made ??= make();
  return made;
}

async function make(): Promise<FirstMoment> {
  const clock = new VirtualClock();
  const env = { clock, random: seededRandom(SEED), log: silentLogger };
  const store = new MemoryStore({ historyLimit: HISTORY });
  const log = new ChangeLog(() => clock.now());
  log.follow(store);
  const plane = createControlPlane({
    env,
    store,
    clusterCidr: CLUSTER_CIDR,
    rootCa: NO_CERTIFICATE,
    freeze: true,
    observe: log.observe,
  });
  await plane.bootstrap();
  plane.close();
  return { store, log, time: clock.now() };
}
