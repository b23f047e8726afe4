// Real containers below the kubelet: a private containerd, images, sandboxes, streams and recovery.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { realEnv } from '../src/base/real-env.ts';
import { findContainerds, findShims } from '../src/host/containerd/daemon.ts';
import { startContainerd } from '../src/host/containerd/start.ts';
import { buildImage } from '../src/host/images/build.ts';
import { loadImages } from '../src/host/images/load.ts';
import { unmountBelow } from '../src/host/mounts.ts';
import { commandLineOf, endProcess, isAlive, signalProcess, waitForExit } from '../src/host/processes.ts';
import { run } from '../src/host/run.ts';
import { RuntimeError, type ContainerStatus, type PullAuth, type RuntimeEvent } from '../src/kubelet/runtime.ts';
import { BUSYBOX_IMAGE } from './fixtures/busybox.ts';
import { startRegistry } from './fixtures/registry.ts';
import { bytes, collect, startRealNode, whyNoRealNodes, type RealNode } from './fixtures/real-node.ts';

const never = { signal: new AbortController().signal };
const text = (data: Uint8Array) => new TextDecoder().decode(data);
const output = { stdin: false, stdout: true, stderr: true, tty: false };
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function eventually(test: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await test()); waited += 5) {
    if (waited > 10_000) throw new Error(`it does not come true: ${test.toString()}`);
    await pause(5);
  }
}

const impossible = await whyNoRealNodes();
if (impossible) console.warn(`tests of real containers are skipped: ${impossible}`);

describe.skipIf(impossible)('containers', () => {
  let node: RealNode;
  let left: string[] = ['not removed yet'];
  const events: RuntimeEvent[] = [];
  const watching = new AbortController();
  let watched: Promise<void>;
  const happened = async (type: RuntimeEvent['type'], containerId: string) => {
    await eventually(() => events.some((event) => event.type === type && event.containerId === containerId));
  };
  const runtime = () => node.containerd.runtime;
  const reachable = async (id: string, host: string, port: number) => {
    const script = `until nc ${host} ${port} </dev/null >/dev/null 2>&1; do usleep 5000; done`;
    await runtime().execSync(id, ['sh', '-c', script], 10);
  };
  const finished = async (id: string): Promise<ContainerStatus> => {
    await happened('exited', id);
    // The status may take a moment longer.
    await eventually(async () => (await runtime().containerStatus(id))?.state === 'exited');
    return (await runtime().containerStatus(id))!;
  };

  beforeAll(async () => {
    node = await startRealNode('ct', '10.199.0.0/24');
    watched = runtime().events((event) => events.push(event), watching);
  });
  afterAll(async () => {
    watching.abort();
    await watched;
    left = await node.remove();
    expect(left).toEqual([]);
  });

  test('the runtime says who it is and that it is ready', async () => {
    expect(await runtime().info()).toMatchObject({ name: 'containerd', ready: true, networkReady: true, message: '' });
  });

  test('a container runs, logs, and its exit is told', async () => {
    const { sandboxId, containerId } = await node.run('simple', 'echo to stdout; echo to stderr >&2; exit 3');
    const status = await finished(containerId);
    expect(status).toMatchObject({ sandboxId, name: 'main', state: 'exited', exitCode: 3, reason: 'Error' });
    expect(status.startedAt).toBeGreaterThanOrEqual(status.createdAt);
    expect(status.finishedAt).toBeGreaterThanOrEqual(status.createdAt);
    const log = readFileSync(status.logPath, 'utf8').trim().split('\n');
    expect(log.map((line) => line.split(' ').slice(1).join(' ')).toSorted()).toEqual([
      'stderr F to stderr',
      'stdout F to stdout',
    ]);
    expect(await runtime().listContainers()).toContainEqual(status);
    await runtime().removeContainer(containerId);
    expect(await runtime().containerStatus(containerId)).toBeUndefined();
    const [sandbox] = (await runtime().listSandboxes()).filter((one) => one.id === sandboxId);
    expect(sandbox).toMatchObject({ state: 'ready', pod: { name: 'simple' }, labels: { app: 'simple' } });
    expect(sandbox!.ips).toEqual([expect.stringMatching(/^10\.199\.0\.\d+$/)]);
    await runtime().stopSandbox(sandboxId);
    expect((await runtime().sandboxStatus(sandboxId))!.state).toBe('notready');
    await runtime().removeSandbox(sandboxId);
    await runtime().removeSandbox(sandboxId);
    await runtime().stopSandbox(sandboxId);
    expect(await runtime().sandboxStatus(sandboxId)).toBeUndefined();
  });

  test('environment, resources and identity arrive', async () => {
    const { containerId } = await node.run('config', 'id -u; echo $GREETING; pwd; sleep 1000', {
      env: [{ key: 'GREETING', value: 'hello there' }],
      workingDir: '/home',
      resources: { cpuShares: 512, cpuQuota: 20_000, cpuPeriod: 100_000, memoryLimitBytes: 32 << 20, oomScoreAdj: 900 },
      security: { ...node.sandbox('x').security, runAsUser: 65534, runAsGroup: 65534, dropCapabilities: ['ALL'] },
    });
    const sh = async (script: string) => text((await runtime().execSync(containerId, ['sh', '-c', script], 5)).stdout);
    expect(await sh('id -u; echo $GREETING; pwd')).toBe('65534\nhello there\n/home\n');
    expect(await sh('grep CapEff /proc/self/status; cat /proc/1/oom_score_adj')).toBe(
      'CapEff:\t0000000000000000\n900\n',
    );
    const limit = () => sh('cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null');
    expect(await limit()).toBe(`${32 << 20}\n`);
    await runtime().updateResources(containerId, { memoryLimitBytes: 48 << 20, oomScoreAdj: 900 });
    expect(await limit()).toBe(`${48 << 20}\n`);
    const usage = (await runtime().usage()).find((one) => one.containerId === containerId);
    expect(usage!.memoryWorkingSetBytes).toBeGreaterThan(10_000);
    await runtime().stopContainer(containerId, 0);
    expect(await finished(containerId)).toMatchObject({ exitCode: 137, reason: 'Error' });
    await runtime().stopContainer(containerId, 0);
  });

  test('a command that is not there is a start error', async () => {
    const config = node.sandbox('bad');
    const sandboxId = await runtime().runSandbox(config);
    const wrong = node.container('main', '', { command: ['/no/such/thing'] });
    const id = await runtime().createContainer(sandboxId, wrong, config);
    const error = await runtime()
      .startContainer(id)
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(RuntimeError);
    expect((error as RuntimeError).message).toMatch(/no\/such\/thing/);
    expect(await runtime().containerStatus(id)).toMatchObject({ state: 'exited', exitCode: 128, reason: 'StartError' });
    await expect(
      runtime().createContainer(sandboxId, node.container('other', '', { image: 'nobody/knows:this' }), config),
    ).rejects.toThrow(/nobody\/knows/);
  });

  test('a container that takes too much memory is killed, and that is told', async () => {
    const { containerId } = await node.run('oom', 'dd if=/dev/zero of=/dev/null bs=200M count=1', {
      resources: { memoryLimitBytes: 16 << 20, oomScoreAdj: 1000 },
    });
    await happened('oom', containerId);
    const status = await finished(containerId);
    expect(status).toMatchObject({ state: 'exited', reason: 'OOMKilled', exitCode: 137 });
  });

  describe('streams', () => {
    let sandboxId: string;
    let containerId: string;
    beforeAll(async () => {
      const script = 'mkdir /tmp/w; echo page > /tmp/w/index.html; httpd -f -p 127.0.0.1:8080 -h /tmp/w';
      ({ sandboxId, containerId } = await node.run('streams', script));
      await reachable(containerId, '127.0.0.1', 8080);
    });

    test('exec and wait', async () => {
      const result = await runtime().execSync(containerId, ['sh', '-c', 'echo out; echo err >&2; exit 5'], 5);
      expect([text(result.stdout), text(result.stderr), result.exitCode]).toEqual(['out\n', 'err\n', 5]);
      const late = await runtime()
        .execSync(containerId, ['sleep', '20'], 1)
        .catch((e: unknown) => e);
      expect(late).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    });

    test('exec with input to its end, separate outputs and the exit code', async () => {
      const stdout = collect();
      const stderr = collect();
      const options = { ...output, stdin: true, command: ['sh', '-c', 'cat; echo done >&2; exit 7'] };
      const code = await runtime().exec(
        containerId,
        options,
        { stdin: bytes('one\n', 'two\n'), stdout, stderr },
        never,
      );
      expect([code, stdout.text(), stderr.text()]).toEqual([7, 'one\ntwo\n', 'done\n']);
    });

    test('exec moves megabytes both ways', async () => {
      const stdout = collect();
      const chunk = 'x'.repeat(1 << 16);
      const stdin = bytes(...Array.from({ length: 64 }, () => chunk));
      const code = await runtime().exec(
        containerId,
        { ...output, stdin: true, command: ['cat'] },
        { stdin, stdout },
        never,
      );
      expect([code, stdout.text().length]).toEqual([0, 4 << 20]);
    });

    test('exec in a terminal of the right size', async () => {
      const stdout = collect();
      async function* resize() {
        yield { width: 101, height: 37 };
        await pause(100);
      }
      const options = { command: ['sh'], stdin: true, stdout: true, stderr: true, tty: true };
      const stdin = bytes(stdout.until('#'), pause(100), 'stty size; echo $TERM; exit 4\n');
      const code = await runtime().exec(containerId, options, { stdin, stdout, resize: resize() }, never);
      expect(code).toBe(4);
      expect(stdout.text()).toContain('37 101\r\nxterm\r\n');
    });

    test('exec ends with its client', async () => {
      const gone = new AbortController();
      const stdout = collect();
      const running = runtime().exec(
        containerId,
        { ...output, command: ['sh', '-c', 'echo up; exec sleep 4711'] },
        { stdout },
        gone,
      );
      await stdout.until('up');
      gone.abort(new Error('the client went away'));
      await expect(running).rejects.toThrow('the client went away');
      const { stdout: list } = await runtime().execSync(containerId, ['ps'], 5);
      expect(text(list)).not.toContain('sleep 4711');
    });

    test('exec of what is not there', async () => {
      const running = runtime().exec(containerId, { ...output, command: ['nothing'] }, { stdout: collect() }, never);
      await expect(running).rejects.toThrow(/failed to exec in container: .*nothing/);
      await expect(runtime().exec('0'.repeat(64), { ...output, command: ['true'] }, {}, never)).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
    });

    test('port-forward to a server on the loopback address of the pod', async () => {
      const get = async () => {
        const answer = collect();
        await runtime().portForward(
          sandboxId,
          8080,
          { input: bytes('GET /index.html HTTP/1.0\r\n\r\n'), output: answer },
          never,
        );
        return answer.text();
      };
      const answers = await Promise.all([get(), get(), get()]);
      for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.[01] 200 OK[\s\S]*page\n$/);
    });

    test('port-forward keeps the other direction open after one has ended', async () => {
      const answer = collect();
      const server = runtime().exec(
        containerId,
        { ...output, command: ['nc', '-l', '-p', '9090', '-e', 'sh', '-c', 'cat; sleep 0.2; echo late'] },
        {},
        never,
      );
      const listening = 'until netstat -ltn | grep -q :9090; do usleep 5000; done';
      await runtime().execSync(containerId, ['sh', '-c', listening], 5);
      await runtime().portForward(sandboxId, 9090, { input: bytes('early\n'), output: answer }, never);
      expect(answer.text()).toBe('early\nlate\n');
      expect(await server).toBe(0);
    });

    test('port-forward to a closed port and into a pod that is not there', async () => {
      const streams = () => ({ input: bytes('x'), output: collect() });
      await expect(runtime().portForward(sandboxId, 81, streams(), never)).rejects.toThrow(/ECONNREFUSED/);
      await expect(runtime().portForward('0'.repeat(64), 81, streams(), never)).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
    });

    test('attach: output as it comes, input to its end', async () => {
      const { containerId: id } = await node.run('attach', 'echo first; cat; echo last >&2', {
        stdin: true,
        stdinOnce: true,
      });
      const stdout = collect();
      const stderr = collect();
      const stdin = bytes('typed\n', stdout.until('typed'), 'more\n');
      await runtime().attach(id, { ...output, stdin: true }, { stdin, stdout, stderr }, never);
      expect(stdout.text().replace('first\n', '')).toBe('typed\nmore\n');
      expect(stderr.text()).toBe('last\n');
      expect(await finished(id)).toMatchObject({ exitCode: 0, reason: 'Completed' });
    });

    test('attach to a terminal; leaving it lets the container run', async () => {
      const { containerId: id } = await node.run('attachtty', 'while read line; do echo "got $line"; stty size; done', {
        stdin: true,
        tty: true,
      });
      const stdout = collect();
      const gone = new AbortController();
      async function* resize() {
        yield { width: 90, height: 30 };
      }
      const stdin = bytes(pause(100), 'this\n', new Promise(() => {}));
      const options = { stdin: true, stdout: true, stderr: false, tty: true };
      const attached = runtime().attach(id, options, { stdin, stdout, resize: resize() }, gone);
      await stdout.until('30 90');
      expect(stdout.text()).toContain('got this\r\n');
      gone.abort(new Error('detached'));
      await expect(attached).rejects.toThrow('detached');
      expect(await runtime().containerStatus(id)).toMatchObject({ state: 'running' });
    });
  });

  test('a host port leads into the pod, from this machine and after a restart of Coracle', async () => {
    const config = node.sandbox('hostport', {
      ports: [{ protocol: 'TCP', containerPort: 80, hostPort: 18_099, hostIP: '' }],
    });
    const sandboxId = await runtime().runSandbox(config);
    const script = 'mkdir /tmp/w; echo through > /tmp/w/index.html; httpd -f -p 80 -h /tmp/w';
    const id = await runtime().createContainer(sandboxId, node.container('main', script), config);
    await runtime().startContainer(id);
    const get = async () => (await fetch('http://127.0.0.1:18099/')).text();
    await reachable(id, '127.0.0.1', 80);
    expect(await get()).toBe('through\n');
    await node.network.setRange({ podCidr: '10.199.0.0/24', clusterCidr: '10.199.0.0/16' });
    expect(await get()).toBe('through\n');
    const self = ['wget', '-q', '-O', '-', 'http://10.199.0.1:18099/'];
    expect(text((await runtime().execSync(id, self, 5)).stdout)).toBe('through\n');
    await runtime().stopSandbox(sandboxId);
    await expect(get()).rejects.toThrow();
  });

  test('pods reach each other by address', async () => {
    const { sandboxId } = await node.run('server', 'echo pong > /tmp/index.html; httpd -f -p 80 -h /tmp');
    const [ip] = (await runtime().sandboxStatus(sandboxId))!.ips;
    const { containerId } = await node.run('client', 'sleep 1000');
    await reachable(containerId, ip!, 80);
    const fetched = await runtime().execSync(containerId, ['wget', '-q', '-O', '-', `http://${ip}/`], 5);
    expect(text(fetched.stdout)).toBe('pong\n');
  });

  test('a pod on the network of the node', async () => {
    const onNode = { ...node.sandbox('x').security, network: 'node' } as const;
    const config = node.sandbox('hostnet', { security: onNode });
    const sandboxId = await runtime().runSandbox(config);
    const script = 'echo host > /tmp/index.html; httpd -f -p 127.0.0.1:18098 -h /tmp';
    const id = await runtime().createContainer(sandboxId, node.container('main', script, { security: onNode }), config);
    await runtime().startContainer(id);
    expect((await runtime().sandboxStatus(sandboxId))!.ips).toEqual([]);
    await reachable(id, '127.0.0.1', 18_098);
    expect(await (await fetch('http://127.0.0.1:18098/')).text()).toBe('host\n');
    const answer = collect();
    await runtime().portForward(sandboxId, 18_098, { input: bytes('GET / HTTP/1.0\r\n\r\n'), output: answer }, never);
    expect(answer.text()).toMatch(/host\n$/);
    await runtime().removeSandbox(sandboxId);
  });

  test('mounts made later reach containers, and theirs reach the node', async () => {
    const [folder] = node.parts.sharedFolders;
    const volume = join(folder!, 'volume');
    mkdirSync(volume);
    await run('mount', ['-t', 'tmpfs', 'tmpfs', volume]);
    writeFileSync(join(volume, 'before'), 'one');
    mkdirSync(join(volume, 'late'));
    const privileged = { ...node.sandbox('x').security, privileged: true };
    const config = node.sandbox('mounts', { security: privileged });
    const sandboxId = await runtime().runSandbox(config);
    const mounts = (['hostToContainer', 'bidirectional'] as const).map((propagation) => ({
      containerPath: `/${propagation}`,
      hostPath: volume,
      readonly: false,
      propagation,
    }));
    const container = node.container('main', 'sleep 1000', { security: privileged, mounts });
    const id = await runtime().createContainer(sandboxId, container, config);
    await runtime().startContainer(id);
    const sh = async (script: string) => text((await runtime().execSync(id, ['sh', '-c', script], 5)).stdout);
    expect(await sh('cat /hostToContainer/before')).toBe('one');
    await run('mount', ['-t', 'tmpfs', 'tmpfs', join(volume, 'late')]);
    writeFileSync(join(volume, 'late', 'after'), 'two');
    expect(await sh('cat /hostToContainer/late/after')).toBe('two');
    await sh('mkdir /bidirectional/own; mount -t tmpfs tmpfs /bidirectional/own; echo three > /bidirectional/own/file');
    expect(readFileSync(join(volume, 'own', 'file'), 'utf8')).toBe('three\n');
    await runtime().removeSandbox(sandboxId);
    await unmountBelow(volume);
  });

  test('a log that was moved away is written anew', async () => {
    const { containerId } = await node.run('logs', 'mkfifo /tmp/go; echo old; read x < /tmp/go; echo new; sleep 1000');
    const { logPath } = (await runtime().containerStatus(containerId))!;
    await eventually(() => readFileSync(logPath, 'utf8').includes('old'));
    renameSync(logPath, `${logPath}.1`);
    await runtime().reopenLog(containerId);
    await runtime().execSync(containerId, ['sh', '-c', 'echo x > /tmp/go'], 5);
    await eventually(() => readFileSync(logPath, 'utf8').includes('new'));
    expect(readFileSync(`${logPath}.1`, 'utf8')).not.toContain('new');
  });

  test('images: by every name, load errors, removal', async () => {
    const image = (await runtime().imageStatus(BUSYBOX_IMAGE))!;
    expect(image.tags).toEqual([BUSYBOX_IMAGE]);
    expect(await runtime().imageStatus(image.id)).toEqual(image);
    expect(await runtime().imageStatus('no/such:image')).toBeUndefined();
    const file = join(node.dir, 'hello.tar');
    const built = await buildImage({
      name: 'example/hello:1',
      output: file,
      singleBinary: '/bin/busybox',
      user: '1000',
    });
    const store = { socket: node.containerd.paths.socket, runtime: runtime() };
    expect(await loadImages(store, file)).toEqual(['docker.io/example/hello:1']);
    expect(await runtime().imageStatus('example/hello:1')).toMatchObject({ id: built.id, uid: 1000 });
    await runtime().removeImage('example/hello:1');
    expect(await runtime().imageStatus('example/hello:1')).toBeUndefined();
    await runtime().removeImage('example/hello:1');
    writeFileSync(file, 'not an archive');
    await expect(loadImages(store, file)).rejects.toThrow(/cannot load .*hello\.tar/);
    await expect(loadImages(store, '/no/such/file')).rejects.toThrow('there is no image archive /no/such/file');
    await expect(runtime().pullImage('127.0.0.1:1/no:image', undefined)).rejects.toThrow(/connection refused/);
  });

  test('images are pulled: by tag, by digest, with a password', async () => {
    const archive = join(node.dir, 'pulled.tar');
    const built = await buildImage({
      name: 'pulled',
      output: archive,
      singleBinary: '/bin/busybox',
      labels: { a: 'b' },
    });
    const open = await startRegistry({ archive });
    const locked = await startRegistry({ archive, username: 'user', password: 'pass' });
    try {
      const tag = `${open.host}/team/app:1`;
      expect(await runtime().pullImage(tag, undefined)).toBe(built.id);
      const digest = `${open.host}/team/app@${built.digest}`;
      expect(await runtime().imageStatus(tag)).toMatchObject({ id: built.id, tags: [tag], digests: [digest] });
      await runtime().removeImage(tag);
      expect(await runtime().pullImage(digest, undefined)).toBe(built.id);
      await runtime().removeImage(digest);
      const pull = (reference: string, auth?: PullAuth) =>
        runtime()
          .pullImage(reference, auth)
          .catch((e: unknown) => e);
      expect(await pull(`${open.host}/team/app:missing`)).toMatchObject({ code: 'NOT_FOUND' });
      const secret = `${locked.host}/app:1`;
      expect(await pull(secret)).toMatchObject({ message: expect.stringMatching(/no basic auth credentials|401/) });
      expect(await pull(secret, { username: 'user', password: 'wrong' })).toMatchObject({
        message: expect.stringContaining('401'),
      });
      expect(await pull(secret, { username: 'user', password: 'pass' })).toBe(built.id);
      await runtime().removeImage(built.id);
    } finally {
      await open.close();
      await locked.close();
    }
  });

  test('containerd is killed: containers live on, and what happened meanwhile is known', async () => {
    const stays = await node.run('stays', 'sleep 1000');
    const ends = await node.run('ends', 'sleep 0.3; exit 9');
    const before = node.containerd.daemon.process;
    events.length = 0;
    signalProcess(before, 'SIGKILL');
    expect(await waitForExit(before, 5000)).toBe(true);
    await happened('lost', '');
    await eventually(() => node.containerd.daemon.process.pid !== before.pid);
    expect(await runtime().containerStatus(stays.containerId)).toMatchObject({ state: 'running' });
    await eventually(async () => (await runtime().containerStatus(ends.containerId))?.state === 'exited');
    expect(await runtime().containerStatus(ends.containerId)).toMatchObject({ exitCode: 9 });
    const { stdout } = await runtime().execSync(stays.containerId, ['echo', 'still here'], 5);
    expect(text(stdout)).toBe('still here\n');
  });

  test('Coracle restarts: the running containerd is taken over and supervised', async () => {
    const { containerId } = await node.run('over', 'sleep 1000');
    const before = node.containerd.daemon.process;
    watching.abort();
    await watched;
    const containerd = await node.restart();
    expect(containerd.daemon.process).toEqual(before);
    expect(await containerd.runtime.containerStatus(containerId)).toMatchObject({ state: 'running' });
    signalProcess(before, 'SIGKILL');
    await eventually(() => !isAlive(before) && containerd.daemon.process.pid !== before.pid);
    expect(await containerd.runtime.containerStatus(containerId)).toMatchObject({ state: 'running' });
  });

  test('Coracle ends while containerd comes up: the next one has one containerd that serves', async () => {
    const { containerId } = await node.run('twice', 'sleep 1000');
    const { daemon, paths } = node.containerd;
    const [shim] = findShims(paths.socket);
    const command = commandLineOf(daemon.process.pid);
    watching.abort();
    await watched;
    node.containerd.release();
    await endProcess(daemon.process, 0);
    rmSync(paths.socket, { force: true });
    const left = spawn('nsenter', [`--mount=/proc/${shim!.pid}/ns/mnt`, '--', ...command], { stdio: 'ignore' });
    left.unref();
    await eventually(() => existsSync(paths.socket));
    const { runtime } = await node.restart();
    expect(findContainerds(node.parts.runDir)).toEqual([node.containerd.daemon.process]);
    expect(await runtime.containerStatus(containerId)).toMatchObject({ state: 'running' });
  });

  test('a containerd that cannot start says why in one sentence', async () => {
    const dataDir = join(node.dir, 'broken');
    writeFileSync(dataDir, 'a file where a folder should be');
    const location = { dataDir, runDir: join(node.dir, 'brokenrun'), logFile: join(node.dir, 'broken.log') };
    await expect(startContainerd({ env: realEnv(), ...location })).rejects.toThrow(
      /^containerd ended \(exit code 1\): .*(not a directory|ENOTDIR)/,
    );
  });
});
