// The command line as its users have it: what it says when something is wrong, and that nothing is left then.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { findProcesses } from '../src/host/processes.ts';
import { findProgram } from '../src/host/run.ts';
import { until } from './support/cluster.ts';
import { Kubectl, kubectls, type Outcome } from './support/kubectl.ts';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const BUILT = path('../dist/main.js');
const ENTRY = process.env['CORACLE_ENTRY'] ?? (existsSync(BUILT) ? BUILT : path('../src/cluster/main.ts'));
const ROOT = process.getuid?.() === 0;
const NOBODY = 65_534;
const dir = mkdtempSync(join(tmpdir(), 'coracle-cli-'));
chmodSync(dir, 0o755);
const children = new Set<ChildProcess>();

interface Options {
  readonly env?: NodeJS.ProcessEnv;
  /** Shell commands that come first, in a mount namespace of its own. */
  readonly prepare?: string;
  readonly nobody?: boolean;
}

const clusters: { readonly name: string; readonly env: NodeJS.ProcessEnv }[] = [];
/** A name no other test has, and the folder and kubeconfig that go with it. */
function fresh() {
  const name = `c${process.pid % 10_000}-${clusters.length + 1}`;
  const home = join(dir, name);
  mkdirSync(home);
  const kubeconfig = join(home, 'kubeconfig');
  const env = { CORACLE_HOME: join(home, 'data'), KUBECONFIG: kubeconfig, HOME: home };
  clusters.push({ name, env });
  return { name, home, kubeconfig, env, data: join(home, 'data', name) };
}

function start(args: readonly string[], { env, prepare, nobody }: Options = {}): ChildProcess {
  let command = [process.execPath, ENTRY, ...args];
  if (nobody) command = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', ...command];
  if (prepare) command = ['unshare', '-m', 'sh', '-ec', `${prepare}\nexec "$@"`, 'sh', ...command];
  const [program = '', ...rest] = command;
  const child = spawn(program, rest, { cwd: dir, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

function finished(child: ChildProcess): Promise<Outcome> {
  let [out, err] = ['', ''];
  child.stdout!.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr!.on('data', (chunk: Buffer) => (err += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 255, out, err }));
  });
}

const run = (args: readonly string[], options?: Options) => finished(start(args, options));

async function ok(args: readonly string[], options?: Options): Promise<string> {
  const { code, out, err } = await run(args, options);
  if (code !== 0) throw new Error(`coracle ${args.join(' ')}: exit ${code}\n${out}${err}`);
  return out;
}

/** What it says when it fails: one sentence, without a trace. */
async function fails(args: readonly string[], options?: Options): Promise<string> {
  const { code, out, err } = await run(args, options);
  if (code === 0) throw new Error(`coracle ${args.join(' ')} did not fail: ${out}`);
  expect(err).not.toMatch(/^\s+at /m);
  const lines = err
    .trim()
    .split('\n')
    .filter((line) => line !== '(run with --help for what is possible)');
  expect(lines, err).toHaveLength(1);
  return lines[0]!;
}

/** Nothing of a cluster on this machine. */
function expectNoTrace({ name, data, kubeconfig }: ReturnType<typeof fresh>): void {
  expect(existsSync(data), 'data').toBe(false);
  expect(existsSync(`/run/coracle/${name}`), 'run folder').toBe(false);
  expect(existsSync(kubeconfig), 'kubeconfig').toBe(false);
  const commandLines = readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')];
    } catch {
      return [];
    }
  });
  expect(commandLines.filter((line) => line.includes(data) || line.includes(`--name ${name} `))).toEqual([]);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(data);
}

afterAll(async () => {
  // What tests that failed left.
  for (const { name, env } of clusters)
    if (existsSync(`/run/coracle/${name}`)) await run(['delete', '--name', name], { env });
  for (const child of children) child.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

const SIMULATED = ['up', '--nodes', 'simulated'];

describe('what cannot be is refused in one sentence', () => {
  test.each([
    [['up', '--port', '0'], /'--port <port>' argument '0' is invalid. a port is 1 to 65535/],
    [['up', '--port', 'x'], /a port is 1 to 65535/],
    [['up', '--name', 'No_Good'], /a name has at most 32 lower case letters/],
    [['up', '--store', 'tape'], /Allowed choices are disk, memory/],
    [['up', '--nodes', 'many'], /Allowed choices are auto, real, simulated/],
    [['up', '--node-count', '-1'], /a whole number is needed/],
    [['up', '--log-levels', 'kubelet=loud'], /write it like kubelet=debug,apiserver=warn/],
    [['up', '--frobnicate'], /unknown option '--frobnicate'/],
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['status', '--name', 'nowhere'], /cluster nowhere is absent/],
    [['kubeconfig', '--name', 'nowhere'], /holds no cluster: start it first/],
    [['kubeconfig', '--node', 'a', '--user', 'b'], /cannot be used with option/],
    [['kubeconfig', '--group', 'g'], /--group goes with --user/],
    [['kubeconfig', '--server', 'here'], /write it like https/],
    [['logs', '--name', 'nowhere'], /was the cluster ever started/],
    [['image', 'build', '/nowhere', '-t', 'a:1'], /there is no \/nowhere: name a folder/],
    [['image', 'build', '.'], /required option '-t, --tag <reference>' not specified/],
    [['image', 'load', 'x.tar', '--name', 'nowhere'], /cluster nowhere is not running: start it with coracle up/],
    [['image', 'ls', '--name', 'nowhere'], /cluster nowhere is not running/],
    [['server', '--secure-port', '0'], /--secure-port 0: a port is a number from 1 to 65535/],
    [['server', '--service-cluster-ip-range', '10.0.0.0/30'], /it must hold at least 8 addresses/],
    [['server', '--service-cluster-ip-range', '10.0.0.0/8'], /too large/],
    [['server', '--service-cluster-ip-range', '10.244.0.0/20'], /it overlaps with --cluster-cidr 10.244.0.0\/16/],
    [['server', '--authorization-mode', 'RBAC,Webhook'], /Webhook is not supported: there are Node, RBAC/],
    [['server', '--authorization-mode', 'RBAC,RBAC'], /RBAC is given more than once/],
    [['server', '--client-ca-file', '/nowhere'], /--client-ca-file \/nowhere: there is no such file/],
    [['server', '--client-ca-file', '/etc/passwd'], /it holds no certificate in PEM/],
    [['server', '--etcd-servers', 'http://127.0.0.1:2379'], /--etcd-servers does not work yet/],
    [['server', '--data-dir', '/proc/nowhere'], /\/proc\/nowhere cannot be written/],
    [
      ['server', '--data-dir', join(dir, 'refused'), '--enable-admission-plugins', 'Nope'],
      /unknown admission plugin "Nope": there are NamespaceLifecycle/,
    ],
    [
      ['server', '--data-dir', join(dir, 'refused'), '--disable-admission-plugins', 'Nope'],
      /unknown admission plugin "Nope"/,
    ],
    [
      ['server', '--data-dir', join(dir, 'refused'), '--controllers', 'nope'],
      /"nope" is not a known controller: there are/,
    ],
    [
      ['server', '--data-dir', join(dir, 'refused'), '--token-auth-file', '/etc/hostname'],
      /token file line 1: token, user name and user uid/,
    ],
    [['scheduler'], /--kubeconfig is needed/],
    [['scheduler', '--kubeconfig', '/nowhere'], /--kubeconfig \/nowhere: there is no such file/],
    [['scheduler', '--leader-elect-lease-duration', '5s'], /it must be longer than --leader-elect-renew-deadline/],
    [['scheduler', '--leader-elect-retry-period', 'soon'], /write a duration like 10s/],
    [['controller-manager', '--controllers', 'nope'], /"nope" is not a known controller/],
    [['controller-manager', '--cluster-signing-cert-file', '/etc/hostname'], /go together: name both/],
    [['proxy', '--cluster-cidr', 'all'], /write an IPv4 block like/],
    [['proxy', '--nftables-table', 'a b'], /a name has letters, digits and underscores/],
    [['agent'], /--kubeconfig is needed/],
  ] as const)('%s', async (args, message) => {
    expect(await fails(args)).toMatch(message);
  });

  test('the port is taken', async () => {
    const cluster = fresh();
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '0.0.0.0', resolve));
    const { port } = holder.address() as AddressInfo;
    const args = ['--name', cluster.name, '--port', String(port)];
    expect(await fails([...SIMULATED, ...args], cluster)).toBe(
      `coracle: port ${port} is taken by another program: end it, or choose another with --port`,
    );
    const server = ['server', '--data-dir', join(dir, 'taken'), '--secure-port', String(port)];
    expect((await run(server, cluster)).err).toContain(`port ${port} is taken by another program: end it`);
    holder.close();
    expectNoTrace(cluster);
  });

  test('the data folder or the kubeconfig cannot be used', async () => {
    const cluster = fresh();
    const up = [...SIMULATED, '--name', cluster.name];
    expect(await fails([...up, '--data-dir', '/proc/nowhere'], cluster)).toContain(
      'name another folder with --data-dir',
    );
    expect(await fails([...up, '--data-dir', '/etc/hostname/x'], cluster)).toContain('a part of its path is a file');
    writeFileSync(cluster.kubeconfig, 'clusters: [\n');
    expect(await fails(up, cluster)).toMatch(
      /kubeconfig is no kubeconfig \(.*\): repair it, or name another file with the/,
    );
    writeFileSync(cluster.kubeconfig, '- a list\n');
    expect(await fails(up, cluster)).toContain('it holds no mapping');
    expect(readFileSync(cluster.kubeconfig, 'utf8')).toBe('- a list\n');
    rmSync(cluster.kubeconfig);
    expectNoTrace(cluster);
  });

  test('every command explains itself with examples', async () => {
    const commands = [
      'up',
      'down',
      'delete',
      'status',
      'kubeconfig',
      'logs',
      'trace',
      'image build',
      'image load',
      'image ls',
      'server',
      'agent',
      'scheduler',
      'controller-manager',
      'proxy',
      'version',
    ];
    for (const command of commands)
      expect(await ok([...command.split(' '), '--help'])).toMatch(/\nExamples?:\n {2}coracle /);
    expect(await ok(['version'])).toMatch(/^Coracle \d+\.\d+\.\d+ \(Kubernetes API v1\.36\.\d+\)\n$/);
    expect(await ok(['--version'])).toBe(await ok(['version']));
  });
});

describe('images without a cluster', () => {
  test('of a folder and of a static binary', async () => {
    const root = join(dir, 'rootfs');
    mkdirSync(join(root, 'etc'), { recursive: true });
    writeFileSync(join(root, 'etc', 'motd'), 'hello\n');
    const built = await ok(['image', 'build', root, '-t', 'folder:1', '-f', join(dir, 'folder.tar'), '--label', 'a=b']);
    expect(built).toMatch(/folder\.tar {2}folder:1 {2}sha256:[0-9a-f]{64}\n$/);
    const busybox = findProgram('busybox');
    if (!busybox) return;
    expect(await ok(['image', 'build', busybox, '-t', 'binary:1'])).toMatch(/^binary-1\.tar {2}binary:1 {2}sha256:/);
    expect(await fails(['image', 'build', root, '-t', 'folder:1', '--label', 'nothing'])).toContain(
      'write it as name=value',
    );
  });
});

describe.skipIf(kubectls().size === 0)('clusters of simulated nodes', () => {
  const kubectlOf = ({ kubeconfig, home }: ReturnType<typeof fresh>) =>
    new Kubectl([...kubectls().values()].at(-1)!, kubeconfig, join(home, 'cache'));

  test('two side by side with stock kubectl; up again changes nothing; logs and status', async () => {
    const [one, two] = [fresh(), fresh()];
    const shared = { env: one.env };
    expect(await ok([...SIMULATED, '--name', one.name, '--node-count', '5'], shared)).toContain('Nodes are SIMULATED');
    await ok([...SIMULATED, '--name', two.name, '--store', 'memory'], shared);
    const kubectl = kubectlOf(one);
    const nodes = await kubectl.ok(
      `--context coracle-${one.name} get nodes -l coracle.dev/simulated=true --no-headers`,
    );
    expect(nodes.trim().split('\n')).toHaveLength(5);
    expect(nodes).not.toContain('NotReady');
    await kubectl.ok(`--context coracle-${one.name} create deployment web --image web --replicas 10`);
    await kubectl.ok(`--context coracle-${one.name} rollout status deployment web --timeout=60s`);
    expect((await kubectl.ok(`--context coracle-${two.name} get nodes --no-headers`)).trim().split('\n')).toHaveLength(
      1,
    );
    expect(await kubectl.ok(`--context coracle-${two.name} get pods 2>&1`).catch(() => '')).not.toContain('web');
    const again = await ok([...SIMULATED, '--name', one.name], shared);
    expect(again).toMatch(/is up already at .*, with SIMULATED nodes: nothing changed/);
    const status = JSON.parse(await ok(['status', '--name', one.name, '-o', 'json'], shared)) as Record<
      string,
      unknown
    >;
    expect(status).toMatchObject({ name: one.name, state: 'running', nodes: 'simulated' });
    expect(status['workload']).toMatchObject({ nodes: { Ready: 5 }, pods: { Running: 10 } });
    expect(await ok(['status', '--name', one.name], shared)).toContain('SIMULATED nodes: no real containers');
    const life = await ok(['trace', 'deploy/web', '--name', one.name], shared);
    expect(life).toMatch(/^deployments default\/web, generation 1: Create by kubernetes-admin with kubectl/);
    expect(life).toMatch(/ kubelet WriteStatus pods default\/web-\S+ \(Running, Ready\)/);
    expect(life).toMatch(/\n> .* replicaset-controller Reconcile replicasets default\/web-/);
    expect(life).toContain('... and 9 more like it');
    expect(await fails(['trace', 'deploy/nobody', '--name', one.name], shared)).toContain(
      'no change of deployments.apps',
    );
    expect(await fails(['trace', 'web', '--name', one.name], shared)).toContain('write web like deployment/web');
    expect(await fails(['trace', 'deploy/web', '--name', two.name], shared)).toContain('is remembered');
    expect(await ok(['logs', '--name', one.name, '--level', 'error'], shared)).toBe('');
    expect(await ok(['logs', '--name', one.name, '--tail', '5'], shared)).toBeDefined();
    expect(await fails(['image', 'ls', '--name', one.name], shared)).toContain(
      'has simulated nodes: they hold no images',
    );
    for (const { name } of [one, two]) {
      expect(await ok(['down', '--name', name], shared)).toContain('stopped.');
      expect(await ok(['down', '--name', name], shared)).toContain('was not running.');
      expect(await ok(['delete', '--name', name], shared)).toContain('deleted.');
      expect(await ok(['delete', '--name', name], shared)).toContain('does not exist.');
    }
    for (const { name } of [one, two]) expectNoTrace({ ...one, name, data: join(one.home, 'data', name) });
    expect(existsSync(join(one.home, 'data')), 'the folder of all clusters').toBe(false);
  });

  test('two ups at once; a killed process; broken files', async () => {
    const cluster = fresh();
    const up = [...SIMULATED, '--name', cluster.name];
    const both = await Promise.all([ok(up, cluster), ok(up, cluster)]);
    expect(both.filter((out) => out.includes('is up at'))).toHaveLength(1);
    expect(both.filter((out) => out.includes('is up already at'))).toHaveLength(1);
    const { pid } = JSON.parse(await ok(['status', '--name', cluster.name, '-o', 'json'], cluster)) as { pid: number };
    process.kill(pid, 'SIGKILL');
    await until('it is gone', async () =>
      (await run(['status', '--name', cluster.name], cluster)).err.includes('is stopped'),
    );
    expect(await ok(up, cluster)).toContain('is up at');
    await ok(['down', '--name', cluster.name], cluster);

    const ca = join(cluster.data, 'pki', 'ca.crt');
    const before = readFileSync(ca);
    writeFileSync(ca, 'garbage');
    expect(await fails(up, cluster)).toMatch(/ca\.crt holds no certificate that can be read/);
    writeFileSync(ca, before);
    const store = join(cluster.data, 'store');
    const file = readdirSync(store).find((name) => name.endsWith('.mdb') && !name.includes('lock'))!;
    const content = readFileSync(join(store, file));
    writeFileSync(join(store, file), Buffer.alloc(content.length, 7));
    expect(await fails(up, cluster)).toContain(store);
    writeFileSync(join(store, file), content);
    expect(await ok(up, cluster)).toContain('is up at');
    // A name is the machine's: from another home it is the same cluster.
    const elsewhere = { env: { ...cluster.env, CORACLE_HOME: join(cluster.home, 'other') } };
    expect(await ok(['status', '--name', cluster.name], elsewhere)).toContain(cluster.data);
    await ok(['delete', '--name', cluster.name], elsewhere);
    expectNoTrace(cluster);
  });

  test('interrupted while it starts, at several moments', async () => {
    const cluster = fresh();
    for (const ms of [0, 40, 120, 240]) {
      const child = start([...SIMULATED, '--name', cluster.name, '--node-count', '200'], cluster);
      const ended = finished(child);
      await until('it begins', () => existsSync(join(cluster.data, 'pki')));
      await delay(ms);
      child.kill('SIGINT');
      const outcome = await ended;
      // On a quick machine it was up before.
      if (ms > 0 && outcome.code === 0) await ok(['delete', '--name', cluster.name], cluster);
      else expect(outcome).toMatchObject({ code: 130, err: 'coracle: interrupted: the cluster was not started\n' });
      expectNoTrace(cluster);
    }
  });

  test('killed while it starts, at several moments: its process goes with it, and the next one starts', async () => {
    const cluster = fresh();
    const up = [...SIMULATED, '--name', cluster.name];
    for (const ms of [150, 400]) {
      const child = start(up, cluster);
      const ended = finished(child);
      await delay(ms);
      child.kill('SIGKILL');
      await ended;
      expect(await ok(up, cluster)).toMatch(/is up (already )?at/);
      const { pid } = JSON.parse(await ok(['status', '--name', cluster.name, '-o', 'json'], cluster)) as {
        pid: number;
      };
      const own = findProcesses((words) => words.includes('--foreground') && words.includes(cluster.name));
      expect(own.map((one) => one.pid)).toEqual([pid]);
      await ok(['delete', '--name', cluster.name], cluster);
      expectNoTrace(cluster);
    }
  });

  test.skipIf(!ROOT)('not root: simulated nodes, and a sentence why', async () => {
    const cluster = fresh();
    for (const folder of [cluster.home]) chownSync(folder, NOBODY, NOBODY);
    const nobody = { ...cluster, nobody: true };
    const out = await ok(['up', '--name', cluster.name], nobody);
    expect(out).toContain('Real containers need root: run the same command with sudo. Nodes are SIMULATED instead');
    expect(await ok(['status', '--name', cluster.name], nobody)).toContain('SIMULATED');
    expect(await kubectlOf(cluster).ok('get nodes --show-labels')).toContain('coracle.dev/simulated=true');
    expect(await fails(['up', '--name', `${cluster.name}r`, '--nodes', 'real'], nobody)).toContain(
      'Real containers need root',
    );
    await ok(['delete', '--name', cluster.name], nobody);
    expectNoTrace(cluster);
    const foreign = { ...nobody, env: { ...cluster.env, CORACLE_HOME: '/var/lib/nowhere' } };
    expect(await fails(['up', '--name', cluster.name], foreign)).toContain(
      'set HOME or CORACLE_HOME to a folder of yours',
    );
    const locked = { ...nobody, env: { ...cluster.env, KUBECONFIG: '/etc/kubeconfig' } };
    expect(await fails(['up', '--name', cluster.name], locked)).toContain('/etc/kubeconfig cannot be written');
  });

  test.skipIf(!ROOT)('the disk is full', async () => {
    const cluster = fresh();
    const disk = join(cluster.home, 'disk');
    mkdirSync(disk);
    const prepare = `mount -t tmpfs -o size=64k tmpfs ${disk}`;
    const up = [...SIMULATED, '--name', cluster.name, '--data-dir', disk];
    expect(await fails(up, { ...cluster, prepare })).toMatch(/the disk of .* is full: make room/);
    expectNoTrace(cluster);
  });
});

describe.skipIf(!ROOT || !findProgram('containerd'))('machines that cannot run containers', () => {
  let fakes = 0;
  const fake = (script: string) => {
    const file = join(dir, `fake-${++fakes}`);
    writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return file;
  };
  const over = (program: string, file: string) => `mount --bind ${file} ${findProgram(program)}`;
  const failing = async (prepare: string) => {
    const cluster = fresh();
    const said = await fails(['up', '--nodes', 'real', '--name', cluster.name], { ...cluster, prepare });
    expectNoTrace(cluster);
    return said;
  };
  const noPlugins = `mkdir -p ${dir}/empty; for d in /usr/lib/cni /opt/cni/bin /usr/libexec/cni; do [ -d $d ] && mount --bind ${dir}/empty $d; done`;

  test('containerd is broken', async () => {
    const broken = fake(
      '[ "$1" = --version ] && echo containerd github.com/containerd/containerd v1.7.0 && exit\necho no luck >&2\nexit 3',
    );
    expect(await failing(over('containerd', broken))).toMatch(/containerd ended \(exit code 3\): no luck/);
    const old = fake('echo containerd github.com/containerd/containerd v1.2.0');
    expect(await failing(over('containerd', old))).toContain(
      'containerd 1.6 or newer is needed, and this is 1.2.0: upgrade it.',
    );
  });

  test.skipIf(!findProgram('apt-get'))('packages are missing', async () => {
    const apt = fake('echo "E: Unable to fetch some archives" >&2\nexit 100');
    expect(await failing(`${noPlugins}; ${over('apt-get', apt)}`)).toContain(
      'apt-get could not install containernetworking-plugins (Unable to fetch some archives): install them yourself and try again.',
    );
    const none = fake('');
    chmodSync(none, 0o644);
    expect(await failing(`${noPlugins}; ${over('apt-get', none)}`)).toContain(
      'Real containers need containernetworking-plugins: install them, for there is no apt-get here to do it.',
    );
  });

  test('the kernel lacks a file system', async () => {
    const file = join(dir, 'filesystems');
    writeFileSync(file, 'nodev\ttmpfs\n\text4\n');
    const prepare = `mount --bind ${file} /proc/filesystems`;
    expect(await failing(prepare)).toContain('This kernel has no overlay file system');
    const cluster = fresh();
    const out = await ok(['up', '--name', cluster.name], { ...cluster, prepare });
    expect(out).toMatch(/no overlay file system.*Nodes are SIMULATED instead/);
    await ok(['delete', '--name', cluster.name], cluster);
    expectNoTrace(cluster);
  });

  test('the disk has too little room', async () => {
    const cluster = fresh();
    const disk = join(cluster.home, 'disk');
    mkdirSync(disk);
    const prepare = `mount -t tmpfs -o size=20m tmpfs ${disk}`;
    const up = ['up', '--nodes', 'real', '--name', cluster.name, '--data-dir', disk];
    expect(await fails(up, { ...cluster, prepare })).toMatch(
      /Only \d+ MB are free for .*: make room for at least 1 GB/,
    );
    expectNoTrace(cluster);
  });
});

describe.skipIf(!ROOT || !findProgram('containerd') || !findProgram('busybox') || kubectls().size === 0)(
  'a real cluster',
  () => {
    test('its images; killed and taken away without a trace', async () => {
      const cluster = fresh();
      const of = (...args: string[]) => ok([...args, '--name', cluster.name], cluster);
      await of('up', '--nodes', 'real');
      try {
        await ok(['image', 'build', findProgram('busybox')!, '-t', 'cli.local/box:1', '-f', join(dir, 'box.tar')]);
        expect(await of('image', 'load', join(dir, 'box.tar'))).toBe('loaded cli.local/box:1\n');
        expect(await of('image', 'ls')).toMatch(/IMAGE +ID +SIZE\n[\s\S]*cli\.local\/box:1 +[0-9a-f]{12} +\d/);
        const { pid } = JSON.parse(await of('status', '-o', 'json')) as { pid: number };
        process.kill(pid, 'SIGKILL');
      } finally {
        await of('delete');
      }
      expectNoTrace(cluster);
      expect(execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })).not.toContain(cluster.name);
    });
  },
);
