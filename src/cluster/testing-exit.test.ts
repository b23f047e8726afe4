// Embedded clusters in processes of their own: they leave no handle open, and the same seed gives them the same history.

import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { TestCluster } from './testing.ts';

const entry = new URL('./testing.ts', import.meta.url).href;
const options = { encoding: 'utf8', timeout: 9_000 } as const;

test('node:test ends by itself after a cluster with a port', () => {
  const program = `
    import { test } from 'node:test';
    import { TestCluster } from '${entry}';
    for (const time of ['virtual', 'real']) test(time, async () => {
      await using cluster = await TestCluster.start({ time });
      await cluster.listen();
    });`;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], options);
  expect(stdout).toContain('fail 0');
  expect(status).toBe(0);
});

/** Runs here and, as text, elsewhere: its only names are its arguments. */
async function historyOf(Cluster: typeof TestCluster, kind: typeof Deployment): Promise<string> {
  const cluster = await Cluster.start({ seed: 42, nodes: 2 });
  const labels = { app: 'web' };
  const containers = [{ name: 'c', image: 'app:1' }];
  await cluster.client.create(kind, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { replicas: 5, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
  });
  await cluster.advance('10m');
  await cluster.stopNode('node-1');
  await cluster.advance('10m');
  await cluster.stop();
  return JSON.stringify(cluster.history());
}

test('another process has the same history to the byte, and so has one that had other clusters before', async () => {
  await using before = await TestCluster.start({ seed: 7, kubelet: 'full' });
  await before.advance('1h');
  const own = await historyOf(TestCluster, Deployment);
  const kind = new URL('../api/kinds/apps/deployment.ts', import.meta.url).href;
  const program = `
    import { TestCluster } from '${entry}';
    import { Deployment } from '${kind}';
    process.stdout.write(await (${historyOf.toString()})(TestCluster, Deployment));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    ...options,
    maxBuffer: 2 ** 26,
  });
  expect(stderr).toBe('');
  expect(own.length).toBeGreaterThan(100_000);
  expect(stdout === own).toBe(true);
});
