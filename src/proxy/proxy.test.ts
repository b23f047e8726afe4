import { afterEach, beforeEach, expect, test } from 'vitest';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Service } from '../api/kinds/core/service.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { PROXY } from '../cluster/identities.ts';
import { TestCluster } from '../cluster/testing.ts';
import type { HealthCheck } from './health-checks.ts';
import { runProxy } from './proxy.ts';
import { frontendKey, type Rule, type RuleChange, type RuleSink } from './rule-set.ts';

/** The kernel's place: refuses what nft would refuse. */
class MemorySink implements RuleSink {
  readonly rules = new Map<string, Rule>();
  replaced = 0;
  changed = 0;
  fail = 0;
  there = true;
  closed = false;

  replace(rules: Iterable<Rule>): Promise<void> {
    return this.#apply(() => {
      this.replaced++;
      this.rules.clear();
      for (const rule of rules) this.#add(rule);
    });
  }
  change(changes: readonly RuleChange[]): Promise<void> {
    return this.#apply(() => {
      this.changed++;
      for (const { before } of changes)
        if (before && !this.rules.delete(frontendKey(before.frontend))) throw new Error('no such element');
      for (const { after } of changes) if (after) this.#add(after);
    });
  }
  #add(rule: Rule): void {
    const key = frontendKey(rule.frontend);
    if (this.rules.has(key)) throw new Error(`${key} is there already`);
    this.rules.set(key, rule);
  }
  async #apply(work: () => void): Promise<void> {
    await Promise.resolve();
    if (this.fail-- > 0) throw new Error('nft is busy');
    work();
  }
  intact = () => Promise.resolve(this.there);
  close = () => Promise.resolve(void (this.closed = true));
  to = (frontend: string) => this.rules.get(frontend)?.backends.length;
}

const namespace = 'default';
const labels = { app: 'web' };
const ref = { namespace, name: 'web' };
let cluster: TestCluster;
let sink: MemorySink;
let stop: AbortController;
let running: Promise<void>;
/** What load balancers are told on node-1. */
const checks = new Map<string, HealthCheck>();
const syncs: { rules: number; changes: number }[] = [];

beforeEach(async () => {
  cluster = await TestCluster.start({ nodes: 2, seed: 1 });
  sink = new MemorySink();
  stop = new AbortController();
  const { env } = cluster;
  // As the proxy's own identity: its role must allow what it does.
  const informers = createInformerFactory({ client: cluster.clientFor(PROXY), env }, { signal: stop.signal });
  syncs.length = 0;
  checks.clear();
  const health = {
    set: (key: string, check: HealthCheck | undefined) => void (check ? checks.set(key, check) : checks.delete(key)),
    close: () => Promise.resolve(checks.clear()),
  };
  const observe = (sync: { rules: number; changes: number }) => void syncs.push(sync);
  running = runProxy({ env, informers, nodeName: 'node-1', sink, health, observe }, { signal: stop.signal });
});
afterEach(async () => {
  stop.abort();
  await running;
  await cluster.stop();
});

async function deploy(replicas: number) {
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  const spec = { replicas, selector: { matchLabels: labels }, template };
  await cluster.client.create(Deployment, { metadata: ref, spec } as never);
  await cluster.settle();
}
async function serve(spec: object = {}, name = 'web') {
  const all = { selector: labels, clusterIP: '10.96.0.77', ports: [{ port: 80 }], ...spec };
  await cluster.client.create(Service, { metadata: { namespace, name }, spec: all } as never);
  await cluster.settle();
}
const VIP = '10.96.0.77 tcp 80';

test('a Service comes, scales, changes its port and goes', async () => {
  await cluster.settle();
  expect([sink.replaced, sink.changed]).toEqual([1, 0]);
  await serve();
  expect(sink.to(VIP)).toBe(0);
  await deploy(3);
  expect(sink.to(VIP)).toBe(3);
  const before = sink.rules.get(VIP)!.backends;
  await cluster.client.patch(Deployment, ref, 'merge', { spec: { replicas: 2 } });
  await cluster.settle();
  const after = sink.rules.get(VIP)!.backends;
  expect(after).toHaveLength(2);
  expect(after.filter((b, i) => before[i]?.ip === b.ip).length).toBeGreaterThan(0);
  await cluster.client.patch(Service, ref, 'merge', { spec: { ports: [{ port: 81, targetPort: 80 }] } });
  await cluster.settle();
  expect([sink.to(VIP), sink.to('10.96.0.77 tcp 81')]).toEqual([undefined, 2]);
  await cluster.client.delete(Service, ref);
  await cluster.settle();
  expect([...sink.rules.keys()].filter((k) => k.startsWith('10.96.0.77'))).toEqual([]);
  expect(sink.replaced).toBe(1);
  expect(syncs.at(-1)!.rules).toBe(sink.rules.size);
});

test('what concerns no rule is no transaction', async () => {
  await serve();
  await deploy(1);
  const { changed } = sink;
  await cluster.client.patch(Service, ref, 'merge', { metadata: { annotations: { a: 'b' } } });
  await cluster.advance('5m');
  expect(sink.changed).toBe(changed);
});

test('a failed transaction is made good by putting all in place anew', async () => {
  await serve();
  sink.fail = 3;
  await deploy(2);
  await cluster.advance('10s');
  expect(sink.to(VIP)).toBe(2);
  expect(sink.replaced).toBe(2);
});

test('a change that the kernel refuses is followed at once by all rules, without a pause', async () => {
  await serve();
  sink.rules.clear();
  await deploy(2);
  expect(sink.to(VIP)).toBe(2);
  expect(sink.replaced).toBe(2);
});

test('what somebody else flushed is back within seconds', async () => {
  await serve();
  sink.rules.clear();
  sink.there = false;
  const { replace } = sink;
  sink.replace = (rules) => {
    sink.there = true;
    return replace.call(sink, rules);
  };
  await cluster.advance('15s');
  expect([sink.to(VIP), sink.replaced]).toEqual([0, 2]);
  await cluster.advance('5m');
  expect(sink.replaced).toBe(2);
  stop.abort();
  await running;
  expect(sink.closed).toBe(true);
});

test('all is put in place anew every hour, unasked', async () => {
  await serve();
  sink.rules.clear();
  await cluster.advance('61m');
  expect(sink.to(VIP)).toBe(0);
  expect(sink.replaced).toBe(2);
});

test('two Services want one external address: the first has it, then the other', async () => {
  const externalIPs = ['192.0.2.1'];
  await deploy(2);
  await serve({ externalIPs });
  await serve({ externalIPs, clusterIP: '10.96.0.78', selector: { app: 'nobody' } }, 'other');
  expect([sink.to('192.0.2.1 tcp 80'), sink.to('10.96.0.78 tcp 80')]).toEqual([2, 0]);
  await cluster.client.delete(Service, ref);
  await cluster.settle();
  expect([sink.to('192.0.2.1 tcp 80'), sink.to(VIP)]).toEqual([0, undefined]);
  expect(sink.replaced).toBe(1);
});

test('a node that learns its zone prefers it', async () => {
  for (const [name, zone] of [
    ['node-1', 'a'],
    ['node-2', 'b'],
  ] as const) {
    await cluster.client.patch(Node, { name }, 'merge', {
      metadata: { labels: { 'topology.kubernetes.io/zone': zone } },
    });
  }
  await serve({ trafficDistribution: 'PreferSameZone' });
  await deploy(2);
  expect(sink.to(VIP)).toBe(1);
  await cluster.client.patch(Service, ref, 'merge', { spec: { trafficDistribution: null } });
  await cluster.settle();
  expect(sink.to(VIP)).toBe(2);
});

test('load balancers are told how many pods of a Service run here, while its traffic is for local pods', async () => {
  await serve({ type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 31_000 });
  const told = () => checks.get('default/web');
  expect(told()).toEqual({ port: 31_000, namespace: 'default', name: 'web', localEndpoints: 0 });
  await deploy(4);
  expect(told()?.localEndpoints).toBe(2);
  await cluster.client.patch(Service, ref, 'merge', {
    spec: { externalTrafficPolicy: 'Cluster', healthCheckNodePort: null },
  });
  await cluster.settle();
  expect(told()).toBeUndefined();
});
