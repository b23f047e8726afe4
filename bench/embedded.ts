// The embedded cluster against its goals: start, memory, a Deployment of 100, and 1,000 nodes with 10,000 pods. The bundle
// is measured in processes of its own (`npm run build` first), the rest here. `node bench/embedded.ts [--small]`

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Deployment } from '../src/api/kinds/apps/deployment.ts';
import { Pod } from '../src/api/kinds/core/pod.ts';
import type { Draft } from '../src/api/object.ts';
import { TestCluster } from '../src/cluster/testing.ts';

const small = process.argv.includes('--small');
const rows: string[][] = [['what', 'measured', 'goal', 'how']];
const row = (what: string, measured: string, goal: string, how: string) => rows.push([what, measured, goal, how]);
const ms = (value: number) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
const sorted = (list: number[]) => list.toSorted((a, b) => a - b);
const median = (list: number[]) => sorted(list)[list.length >> 1]!;

const deployment = (name: string, replicas: number) =>
  ({
    metadata: { name, namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'app:1' }] } },
    },
  }) as unknown as Draft<Deployment>;

function bundle(): void {
  const entry = new URL('../dist/testing.js', import.meta.url);
  if (!existsSync(entry)) return void row('import to first write', 'not built', '100 ms', 'npm run build');
  const program = `
    const start = performance.now();
    const { TestCluster } = await import(${JSON.stringify(entry.href)});
    const first = await TestCluster.start();
    await first.client.do({ verb: 'create', group: '', version: 'v1', resource: 'configmaps', namespace: 'default',
      options: {}, body: { metadata: { name: 'a' } } });
    const write = performance.now() - start;
    gc();
    const heap = process.memoryUsage().heapUsed;
    const more = [], times = [];
    for (let i = 0; i < 30; i++) {
      const before = performance.now();
      more.push(await TestCluster.start());
      times.push(performance.now() - before);
    }
    gc();
    const bytes = (process.memoryUsage().heapUsed - heap) / more.length;
    console.log(JSON.stringify({ write, next: times.sort((a, b) => a - b)[15], bytes }));
    for (const cluster of [first, ...more]) await cluster.stop();`;
  const runs = Array.from({ length: 3 }, () => {
    const argv = ['--expose-gc', '--input-type=module', '-e', program];
    const { stdout, stderr, status } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as { write: number; next: number; bytes: number };
  });
  row('import to first write', ms(median(runs.map((r) => r.write))), '100 ms', 'bundle, fresh process, median of 3');
  row('next instance', ms(median(runs.map((r) => r.next))), '5 ms', 'bundle, median of 30');
  row('memory of an instance', `${(median(runs.map((r) => r.bytes)) / 2 ** 20).toFixed(1)} MiB`, '10 MiB', 'heap');
}

/** examples/operator over the built package: a cluster, the operator, a copy made, changed and removed, all stopped. */
function operatorTest(): void {
  if (!existsSync(new URL('../dist/testing.js', import.meta.url))) return;
  const example = new URL('../examples/operator/mirror.ts', import.meta.url).href;
  const program = `
    import { ConfigMap, Namespace } from 'coracle';
    import { TestCluster } from 'coracle/testing';
    import { runMirrorOperator, TO } from ${JSON.stringify(example)};
    async function round() {
      const cluster = await TestCluster.start();
      const { client, env } = cluster;
      const stop = new AbortController();
      const running = runMirrorOperator({ client, env, identity: 'a' }, stop);
      await client.create(Namespace, { metadata: { name: 'team-a' } });
      const ref = { namespace: 'default', name: 'settings' };
      const copy = { namespace: 'team-a', name: 'settings' };
      await client.create(ConfigMap, { metadata: { ...ref, annotations: { [TO]: 'team-a' } }, data: { a: '1' } });
      await cluster.settle();
      await client.patch(ConfigMap, ref, 'merge', { data: { a: '2' } });
      await cluster.settle();
      if ((await client.get(ConfigMap, copy)).data.a !== '2') throw new Error('not copied');
      await client.delete(ConfigMap, ref);
      await cluster.settle();
      if ((await cluster.list(ConfigMap)).some(({ metadata }) => metadata.name === 'settings')) throw new Error('not gone');
      stop.abort();
      await running;
      await cluster.stop();
    }
    const times = [];
    for (let i = 0; i < 20; i++) {
      const start = performance.now();
      await round();
      times.push(performance.now() - start);
    }
    console.log(JSON.stringify({ first: times[0], later: times.slice(1).sort((a, b) => a - b)[9] }));`;
  const cwd = new URL('..', import.meta.url);
  const argv = ['--input-type=module', '-e', program];
  const { stdout, stderr, status } = spawnSync(process.execPath, argv, { encoding: 'utf8', cwd });
  if (status !== 0) throw new Error(stderr);
  const { first, later } = JSON.parse(stdout) as { first: number; later: number };
  row("an operator's test, first", ms(first), '100 ms', 'cluster and all, cold code');
  row("an operator's test", ms(later), '100 ms', 'median of 19');
}

/** Until all has settled: every pod ready, every event written. */
async function deploymentOf100(kubelet: 'simulated' | 'full', rounds: number): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    await using cluster = await TestCluster.start({ kubelet, seed: i });
    const start = performance.now();
    await cluster.client.create(Deployment, deployment('web', 100));
    await cluster.settle();
    times.push(performance.now() - start);
    const { status } = await cluster.client.get(Deployment, { namespace: 'default', name: 'web' });
    if (status?.availableReplicas !== 100) throw new Error('the Deployment is not available');
  }
  const goal = kubelet === 'simulated' ? '50 ms' : '';
  row(`Deployment of 100, ${kubelet} kubelet, first`, ms(times[0]!), goal, 'settled, cold code');
  row(`Deployment of 100, ${kubelet} kubelet`, ms(median(times)), goal, `settled, median of ${rounds}`);
}

async function manyNodes(nodes: number, pods: number): Promise<void> {
  const start = performance.now();
  await using cluster = await TestCluster.start({ nodes, seed: 1, freeze: false });
  const ready = performance.now() - start;
  for (let i = 0; i < 100; i++) await cluster.client.create(Deployment, deployment(`app-${i}`, pods / 100));
  await cluster.settle();
  const total = performance.now() - start;
  const running = (await cluster.list<Pod>(Pod)).filter((p) => p.status?.phase === 'Running').length;
  if (running !== pods) throw new Error(`${running} of ${pods} pods run`);
  const goal = small ? '' : '5,000 ms';
  row(`${nodes} nodes, ${pods} pods Running`, ms(total), goal, `nodes Ready after ${ms(ready)}`);
}

bundle();
operatorTest();
await deploymentOf100('simulated', small ? 5 : 25);
await deploymentOf100('full', small ? 5 : 25);
await manyNodes(small ? 100 : 1000, small ? 1000 : 10_000);
const widths = rows[0]!.map((_, i) => Math.max(...rows.map((r) => r[i]!.length)));
for (const cells of rows) console.log(cells.map((cell, i) => cell.padEnd(widths[i]!)).join('  '));
