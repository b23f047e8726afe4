// One round of the simulation: a seeded history in a cluster whose messages go astray, then quiet, then the invariants.

import { Deployment } from '../../src/api/kinds/apps/deployment.ts';
import { ReplicaSet } from '../../src/api/kinds/apps/replica-set.ts';
import { ConfigMap } from '../../src/api/kinds/core/config-map.ts';
import { Pod } from '../../src/api/kinds/core/pod.ts';
import { Service } from '../../src/api/kinds/core/service.ts';
import { EndpointSlice } from '../../src/api/kinds/discovery/endpoint-slice.ts';
import { controllerOf, type Draft } from '../../src/api/object.ts';
import { seededRandom } from '../../src/base/virtual-clock.ts';
import { TestCluster } from '../../src/cluster/testing.ts';
import { Faults } from './faults.ts';

export type Step =
  | { readonly do: 'create' | 'delete' | 'restartAll' | 'stopNode' | 'startNode'; readonly which: number }
  | { readonly do: 'scale' | 'image' | 'note' | 'wait'; readonly which: number; readonly value: number };

const NAMESPACE = 'default';
const NODES = 3;
const ref = (which: number) => ({ namespace: NAMESPACE, name: `app-${which}` });

export function history(seed: number, length = 14): Step[] {
  const random = seededRandom(seed);
  const draw = (n: number) => Math.floor(random.next() * n);
  return Array.from({ length }, (): Step => {
    const which = draw(3);
    const value = draw(6);
    const kinds = [
      'create',
      'create',
      'create',
      'scale',
      'scale',
      'image',
      'image',
      'note',
      'wait',
      'wait',
      'delete',
    ] as const;
    const rare = ['restartAll', 'stopNode', 'startNode'] as const;
    const kind = draw(6) === 0 ? rare[draw(rare.length)]! : kinds[draw(kinds.length)]!;
    return { do: kind, which, value } as Step;
  });
}

export interface RoundOptions {
  /** A bug on purpose: see `Faults.swallow`. */
  readonly swallow?: number;
}

/** Resolves to what is wrong; empty when all is well. */
export async function runRound(seed: number, steps: readonly Step[], options: RoundOptions = {}): Promise<string[]> {
  const faults = new Faults(seededRandom(seed ^ 0x5eed));
  await using cluster = await TestCluster.start({ seed, nodes: NODES, freeze: false, between: faults.between });
  const notes = new Map<string, string>();
  faults.env = () => cluster.env;
  faults.on = true;
  faults.swallow = options.swallow ?? 0;
  const stopped = new Set<string>();
  try {
    for (const step of steps) {
      await act(cluster, step, notes, stopped);
      await cluster.advance(200);
    }
    faults.on = false;
    for (const node of stopped) cluster.startNode(node);
    await cluster.advance('20m');
    await cluster.settle();
  } catch (error) {
    return [String(error)];
  }
  return [...faults.violations, ...(await violations(cluster, notes))];
}

async function act(cluster: TestCluster, step: Step, notes: Map<string, string>, stopped: Set<string>): Promise<void> {
  const { client } = cluster;
  const node = `node-${step.which + 1}`;
  try {
    switch (step.do) {
      case 'create':
        await client.create(Deployment, deployment(step.which));
        await client.create(Service, service(step.which));
        break;
      case 'delete':
        await client.delete(Deployment, ref(step.which));
        break;
      case 'scale':
        await client.patch(Deployment, ref(step.which), 'merge', { spec: { replicas: step.value } });
        break;
      case 'image': {
        const container = { name: 'c', image: `app:${step.value}` };
        const patch = { spec: { template: { spec: { containers: [container] } } } };
        await client.patch(Deployment, ref(step.which), 'strategic', patch);
        break;
      }
      case 'note': {
        const data = { value: String(step.value) };
        const name = `note-${step.which}`;
        await client.apply(ConfigMap, { metadata: { name, namespace: NAMESPACE }, data }, { force: true });
        notes.set(name, data.value);
        break;
      }
      case 'wait':
        await cluster.advance(step.value * 20_000);
        break;
      case 'restartAll':
        await cluster.restore(cluster.snapshot());
        stopped.clear();
        break;
      case 'stopNode':
        if (stopped.size < NODES - 1 && !stopped.has(node)) {
          stopped.add(node);
          await cluster.stopNode(node);
        }
        break;
      case 'startNode':
        if (stopped.delete(node)) cluster.startNode(node);
    }
  } catch (error) {
    // What is there already, or not there, is everyday life.
    if (!['AlreadyExists', 'NotFound'].includes((error as { reason?: string }).reason ?? '')) throw error;
  }
}

async function violations(cluster: TestCluster, notes: ReadonlyMap<string, string>): Promise<string[]> {
  const out: string[] = [];
  const deployments = await cluster.list<Deployment>(Deployment);
  const sets = await cluster.list<ReplicaSet>(ReplicaSet);
  const pods = await cluster.list<Pod>(Pod);
  for (const { metadata, spec, status = {} } of deployments) {
    const wanted = spec.replicas ?? 1;
    const { availableReplicas = 0, updatedReplicas = 0, replicas = 0, observedGeneration } = status;
    if (availableReplicas !== wanted || updatedReplicas !== wanted || replicas !== wanted)
      out.push(
        `${metadata.name}: wanted ${wanted}, has ${JSON.stringify({ availableReplicas, updatedReplicas, replicas })}`,
      );
    if (observedGeneration !== metadata.generation) out.push(`${metadata.name}: its last change was not seen`);
    const owned = new Set(sets.filter((s) => controllerOf(s)?.uid === metadata.uid).map((s) => s.metadata.uid));
    const count = pods.filter((p) => owned.has(controllerOf(p)?.uid ?? '')).length;
    if (count !== wanted) out.push(`${metadata.name}: wanted ${wanted} pods, there are ${count}`);
  }
  const alive = new Set([...deployments, ...sets].map((o) => o.metadata.uid));
  for (const object of [...sets, ...pods]) {
    const owner = controllerOf(object);
    if (owner && !alive.has(owner.uid)) out.push(`garbage: ${object.metadata.name} outlived its ${owner.kind}`);
  }
  for (const [name, value] of notes) {
    const note = await cluster.client.get(ConfigMap, { namespace: NAMESPACE, name }).catch(() => undefined);
    if (note?.data?.['value'] !== value) out.push(`lost write: ${name} was acknowledged as ${value}`);
  }
  return [...out, ...(await endpointFaults(cluster, pods))];
}

async function endpointFaults(cluster: TestCluster, pods: readonly Pod[]): Promise<string[]> {
  const slices = await cluster.list<EndpointSlice>(EndpointSlice, NAMESPACE);
  return (await cluster.list<Service>(Service, NAMESPACE)).flatMap(({ metadata: { name }, spec }) => {
    const { selector } = spec;
    if (!selector) return [];
    const ready = pods
      .filter((p) => p.metadata.labels?.['app'] === selector['app'] && isReady(p))
      .map((p) => p.status?.podIP ?? '');
    const served = slices
      .filter((s) => s.metadata.labels?.['kubernetes.io/service-name'] === name)
      .flatMap((s) => (s.endpoints ?? []).filter((e) => e.conditions?.ready).flatMap((e) => e.addresses));
    const same = ready.toSorted().join() === served.toSorted().join();
    return same ? [] : [`service ${name}: ready ${ready.toSorted().join()}, served ${served.toSorted().join()}`];
  });
}

const isReady = (pod: Pod) =>
  !pod.metadata.deletionTimestamp && pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');

/** The shortest part of a failing history that still fails, found by leaving out one step after the other. */
export async function shrink(
  seed: number,
  steps: readonly Step[],
  options: RoundOptions = {},
): Promise<readonly Step[]> {
  let best = steps;
  for (let i = best.length - 1; i >= 0; i--) {
    const fewer = best.toSpliced(i, 1);
    if ((await runRound(seed, fewer, options)).length > 0) best = fewer;
  }
  return best;
}

function deployment(which: number): Draft<Deployment> {
  const labels = { app: ref(which).name };
  const spec = { containers: [{ name: 'c', image: 'app:0' }] };
  return {
    metadata: ref(which),
    spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  } as unknown as Draft<Deployment>;
}

const service = (which: number) =>
  ({ metadata: ref(which), spec: { selector: { app: ref(which).name }, ports: [{ port: 80 }] } }) as Draft<Service>;
