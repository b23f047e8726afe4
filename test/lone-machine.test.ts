// A cluster on a machine that has nothing but loopback: no address, no way out. A network namespace is such a machine.

import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canRunClusters, eventually } from './support/cluster.ts';

const ENTRY = fileURLToPath(new URL('../src/cluster/main.ts', import.meta.url));
const name = `lone-${process.pid % 10_000}`;
const netns = `coracle-${name}`;

describe.skipIf(!canRunClusters)('only loopback', () => {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-lone-'));
  const env = { ...process.env, CORACLE_HOME: dir, KUBECONFIG: join(dir, 'kubeconfig'), HOME: dir };
  const run = (...command: string[]) =>
    new Promise<string>((resolve, reject) => {
      const args = [`--net=/run/netns/${netns}`, ...command];
      execFile('nsenter', args, { env, timeout: 60_000 }, (error, out, err) =>
        error ? reject(new Error(`${command.join(' ')}: ${out}${err}`)) : resolve(out),
      );
    });
  const coracle = (...args: string[]) => run(process.execPath, ENTRY, ...args, '--name', name);
  const interfaces = async () => [...(await run('ip', '-o', 'link')).matchAll(/^\d+: ([^:@]+)/gm)].map((m) => m[1]);

  beforeAll(async () => {
    execFileSync('ip', ['netns', 'add', netns]);
    await run('ip', 'link', 'set', 'lo', 'up');
  });
  afterAll(() => {
    execFileSync('ip', ['netns', 'delete', netns]);
    rmSync(dir, { recursive: true, force: true });
  });

  test('real nodes: Services answer on the node, also after a stop; nothing is left', async () => {
    try {
      await coracle('up', '--nodes', 'real');
      const services = await run('kubectl', 'get', 'services', '-A', '-o', 'jsonpath={.items[*].spec.clusterIP}');
      const [api, dns] = services.split(' ') as [string, string];
      const look = () => run('busybox', 'nslookup', 'kubernetes.default.svc.cluster.local', dns);
      expect(await look()).toContain(`Address: ${api}`);
      expect(await run('kubectl', '--server', `https://${api}`, 'get', 'namespaces', '-o', 'name')).toContain(
        'default',
      );
      await run('kubectl', '-n', 'kube-system', 'rollout', 'status', 'deployment', 'coredns', '--timeout=30s');
      await coracle('down');
      expect(await interfaces()).toEqual(['lo']);
      await coracle('up', '--nodes', 'real');
      expect(await look()).toContain(`Address: ${api}`);
    } finally {
      await coracle('delete');
    }
    await eventually(interfaces, (names) => names.join() === 'lo');
    expect(await run('nft', 'list', 'tables')).toBe('');
    expect(existsSync(`/run/coracle/${name}`)).toBe(false);
  });

  test('simulated nodes', async () => {
    try {
      await coracle('up', '--nodes', 'simulated');
      expect(await run('kubectl', 'get', 'nodes', '-o', 'name')).toBe('node/simulated-1\n');
    } finally {
      await coracle('delete');
    }
    expect(await interfaces()).toEqual(['lo']);
  });
});
