// One round: a history happens to a cluster, then the storm ends, and in finite time everything has to be as it should.

import { FINALIZER } from './operations.ts';
import { isReason } from '../../src/api/errors.ts';
import { Deployment } from '../../src/api/kinds/apps/deployment.ts';
import { ReplicaSet } from '../../src/api/kinds/apps/replica-set.ts';
import { Pod } from '../../src/api/kinds/core/pod.ts';
import type { Kind } from '../../src/api/kind.ts';
import { Node } from '../../src/api/kinds/core/node.ts';
import type { LogRecord } from '../../src/base/log.ts';
import { splitApiVersion, type KubeObject } from '../../src/api/object.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { faults } from './faults.ts';
import { calm, type History } from './history.ts';
import { all, everything, invariants } from './invariants.ts';
import { laws } from './laws.ts';
import { operations } from './operations.ts';
import { nodes } from './components.ts';
import { World, type Planted } from './world.ts';

export interface Outcome {
  /** What is wrong; empty when all is well. */
  readonly violations: readonly string[];
  readonly coverage: ReadonlyMap<string, number>;
  /** Changes. */
  readonly changes: number;
}

export interface RoundOptions {
  readonly planted?: Planted;
  readonly log?: (record: LogRecord) => void;
  /** Told of the world before anything happens: for whoever wants to see more. */
  readonly trace?: (world: World) => void;
}

/** The longest pauses before looking again, in milliseconds; what is not right after all of them never will be. */
const PATIENCE = [1000, 4000, 10_000, 20_000, 30_000, ...Array.from({ length: 40 }, () => 60_000)];

let prepared: Promise<{ readonly store: MemoryStore; readonly time: number }> | undefined;

/** A cluster at rest, made once for all rounds of a process. */
async function prepare() {
  const store = new MemoryStore({ historyLimit: 100_000 });
  const world = new World({ seed: 0, settings: calm, store, time: Date.UTC(2026, 0, 1) });
  await world.begin();
  await world.clock.advance(5000);
  const wrong = invariants.flatMap((invariant) => invariant.check(world));
  world.end();
  if (wrong.length > 0) throw new Error(`the cluster did not start: ${wrong.join('; ')}`);
  return { store: store.fork(), time: world.clock.now() };
}

export async function runHistory(history: History, options: RoundOptions = {}): Promise<Outcome> {
  const { store, time } = await (prepared ??= prepare());
  const { seed, settings } = history;
  const world = new World({ seed, settings, store: store.fork(), time, ...options });
  let changes = 0;
  world.truth.listeners.push(() => changes++);
  for (const law of laws) {
    const watch = law.watch(world);
    world.truth.listeners.push((fact) => {
      const wrong = watch(fact);
      if (wrong) world.violations.push(wrong);
    });
  }
  options.trace?.(world);
  try {
    await world.begin();
    const violations = (await storm(world, history)) ?? (await calmDown(world));
    return { violations, coverage: world.coverage, changes };
  } finally {
    world.end();
  }
}

const kinds = new Map([...operations, ...faults].map((kind) => [kind.name, kind]));

/** Resolves to what is wrong as soon as something is. */
async function storm(world: World, { deeds }: History): Promise<readonly string[] | undefined> {
  const start = world.clock.now();
  for (const deed of deeds) {
    await world.clock.advanceTo(start + deed.at);
    if (world.found().length > 0) return world.found();
    const kind = kinds.get(deed.do)!;
    const run = async () => kind.run(world, deed);
    world.do(deed.do, run);
  }
  await world.clock.advance(1000);
  return world.found().length > 0 ? world.found() : undefined;
}

/** The storm is over; resolves to what is wrong when patience has ended. */
async function calmDown(world: World): Promise<readonly string[]> {
  await heal(world);
  let wrong: string[] = [];
  let quiet = 0;
  for (const pause of PATIENCE) {
    await world.clock.advance(pause);
    if (world.found().length > 0) return world.found();
    wrong = invariants.flatMap((invariant) => invariant.check(world));
    quiet = wrong.length === 0 ? quiet + 1 : 0;
    // Right by accident is not right: it has to stay so.
    if (quiet === 2) return [];
  }
  return wrong;
}

async function heal(world: World): Promise<void> {
  world.stormy = false;
  world.userLink.armed.length = 0;
  for (const { link, clock } of world.processes.values()) {
    link.armed.length = 0;
    clock.goOn();
  }
  await finish(world, 'starting the server', () => world.startServer());
  for (const name of world.componentNames()) world.start(name);
  await finish(world, 'undoing', () => undo(world));
}

/** Does it, and whatever is still being done. Time passes meanwhile. */
async function finish(world: World, name: string, work: () => Promise<unknown>): Promise<void> {
  world.do(name, work);
  await world.clock.advance(0);
  for (let waited = 0; world.busy && waited < 100; waited++) await world.clock.advance(1000);
  if (world.busy) world.violations.push(`${name}, or an operation of a client, never ended`);
}

/** What clients have switched off is switched on, and what they held is let go. */
async function undo(world: World): Promise<void> {
  const client = world.administrator;
  for (const deployment of all<Deployment>(world, Deployment)) {
    const { namespace, name } = deployment.metadata;
    const { replicas = 1, template } = deployment.spec;
    const large = template.spec?.containers[0]?.resources?.requests?.['cpu'] === '800m';
    // What does not fit cannot converge.
    if (large && replicas > 2) await client.patch(Deployment, { namespace, name }, 'merge', { spec: { replicas: 2 } });
    if (deployment.spec.paused)
      await client.patch(Deployment, { namespace, name }, 'merge', { spec: { paused: false } });
  }
  for (const name of nodes) {
    const node = all<Node>(world, Node).find((n) => n.metadata.name === name);
    if (!node) {
      // As upstream's, a kubelet registers its Node when it starts and at no other time.
      world.kill(name);
      world.start(name);
    } else if (node.spec?.unschedulable) await client.patch(Node, { name }, 'merge', { spec: { unschedulable: null } });
  }
  for (const kind of [ReplicaSet, Pod] as Kind<KubeObject>[]) {
    for (const { metadata } of all(world, kind)) {
      const { namespace, name, ownerReferences = [] } = metadata;
      if (ownerReferences.length === 0) await client.delete(kind, { namespace, name }).catch(unlessGone);
    }
  }
  await letGo(world);
}

function unlessGone(error: unknown): void {
  if (!isReason(error, 'NotFound')) throw error;
}

/** Others may be doing the same to the object, so that one looks again until nothing is held. */
async function letGo(world: World): Promise<void> {
  for (let tries = 0; tries < 5; tries++) {
    const held = everything(world).filter((object) => object.metadata.finalizers?.includes(FINALIZER));
    for (const { apiVersion = '', kind, metadata } of held) {
      const { namespace, name, finalizers = [] } = metadata;
      const [group, version] = splitApiVersion(apiVersion);
      const resource = `${kind?.toLowerCase()}s`;
      const body = { metadata: { finalizers: finalizers.filter((f) => f !== FINALIZER) } };
      const op = {
        verb: 'patch',
        patchType: 'merge',
        group,
        version,
        resource,
        namespace,
        name,
        options: {},
        body,
      } as const;
      await world.administrator.do(op).catch((error: unknown) => {
        if (!isReason(error, 'NotFound', 'Invalid', 'Conflict')) throw error;
      });
    }
  }
}
