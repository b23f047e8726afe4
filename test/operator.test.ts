// The example operator as a program of its own, unchanged, against an API server over TLS in real time: two copies of it, one
// of which leads.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApiServer } from './support/api-server.ts';
import { Kubectl, kubectls } from './support/kubectl.ts';

const root = new URL('..', import.meta.url).pathname;
const dir = mkdtempSync(join(tmpdir(), 'coracle-operator-'));
const binary = [...kubectls().values()].at(-1);
const stop = new AbortController();
const programs = new Set<ChildProcess>();
let kubectl: Kubectl;
let kubeconfig: string;
let ended: Promise<void>;

const main = join(root, 'examples/operator/main.ts');

interface Operator {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
}

function startOperator(): Operator {
  const env = { PATH: process.env['PATH'], HOME: dir, KUBECONFIG: kubeconfig };
  const child = spawn(process.execPath, [main], { env, stdio: 'inherit' });
  programs.add(child);
  return { child, ended: new Promise((resolve) => child.once('exit', resolve)) };
}

async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 40_000; Date.now() < end; await delay(100)) if (await holds()) return;
  throw new Error(`not in time: ${what}`);
}

const holder = async () => {
  const { out } = await kubectl.run(['get', 'lease', 'mirror-operator', '-o', 'jsonpath={.spec.holderIdentity}']);
  return out;
};
const copyIn = async (namespace: string) => {
  const settings = ['get', 'configmap', 'settings', '-o', 'jsonpath={.data.colour}'];
  const { code, out } = await kubectl.run(['-n', namespace, ...settings]);
  return code === 0 ? out : undefined;
};

describe.skipIf(!binary)('the example operator', () => {
  beforeAll(async () => {
    const built = spawnSync(process.execPath, [join(root, 'scripts/build.ts')], { cwd: root, encoding: 'utf8' });
    if (built.status !== 0) throw new Error(`${built.stdout}${built.stderr}`);
    const started = await startApiServer(dir, stop.signal);
    kubeconfig = started.kubeconfig;
    ended = started.server.ended;
    kubectl = new Kubectl(binary!, kubeconfig, join(dir, 'kubectl'));
  });
  afterAll(async () => {
    for (const child of programs) child.kill('SIGKILL');
    stop.abort(new Error('the test is over'));
    await ended;
    rmSync(dir, { recursive: true, force: true });
  });

  test('copies, corrects and removes, and another takes over when it ends', async () => {
    const first = startOperator();
    await eventually('the first leads', async () => (await holder()) === `${first.child.pid}`);
    const second = startOperator();
    await kubectl.ok('create namespace team-a');
    await kubectl.ok('create configmap settings --from-literal colour=blue');
    await kubectl.ok('annotate configmap settings mirror.example.com/to=team-a,team-b');
    await eventually('a copy', async () => (await copyIn('team-a')) === 'blue');
    await kubectl.ok('create namespace team-b');
    await eventually('a copy in the new namespace', async () => (await copyIn('team-b')) === 'blue');
    await kubectl.ok('-n team-b delete configmap settings');
    await eventually('the lost copy comes back', async () => (await copyIn('team-b')) === 'blue');
    await eventually('events', async () => {
      const events = await kubectl.ok('get events -o custom-columns=R:.reason --no-headers');
      return events.includes('Mirrored') && events.includes('NoSuchNamespace');
    });

    first.child.kill('SIGTERM');
    expect(await first.ended).toBe(0);
    await eventually('the second leads', async () => (await holder()) === `${second.child.pid}`);
    await kubectl.ok('delete configmap settings --timeout=30s');
    expect(await copyIn('team-a')).toBeUndefined();
    expect(await copyIn('team-b')).toBeUndefined();
    second.child.kill('SIGTERM');
    expect(await second.ended).toBe(0);
  });

  test('prints its role as kubectl takes it', async () => {
    const { stdout } = spawnSync(process.execPath, [main, '--role'], { encoding: 'utf8' });
    expect(await kubectl.ok('apply -f -', stdout)).toContain('system:controller:mirror-operator');
  });
});
