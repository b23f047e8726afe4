import { expect, test } from 'vitest';
import { realEnv } from '../../base/real-env.ts';
import { drainMicrotasks, VirtualClock } from '../../base/virtual-clock.ts';
import type { ContainerConfig, LinuxSecurity, SandboxConfig } from '../../kubelet/runtime.ts';
import { TaskDelete, TaskEvent } from '../containerd/messages.ts';
import type { GrpcChannel } from '../rpc/grpc.ts';
import { containerConfigMessage, containerStatusOf, ipsOf, sandboxConfigMessage, signalNumber } from './convert.ts';
import { happeningOf, watchEvents } from './events.ts';
import { execProcess } from './exec.ts';
import { Cri } from './messages.ts';

const security: LinuxSecurity = {
  privileged: false,
  supplementalGroups: [1, 2],
  readonlyRootfs: true,
  noNewPrivileges: true,
  addCapabilities: ['NET_ADMIN'],
  dropCapabilities: ['ALL'],
  network: 'pod',
  pid: 'target',
  ipc: 'node',
  targetId: 'abc',
  maskedPaths: ['/proc/kcore'],
  readonlyPaths: ['/proc/sys'],
  seccomp: { localhost: '/var/lib/kubelet/seccomp/my.json' },
};
const sandbox: SandboxConfig = {
  pod: { name: 'web', namespace: 'shop', uid: 'u-1' },
  attempt: 2,
  hostname: 'web',
  logDirectory: '/var/log/pods/shop_web_u-1',
  dns: { servers: ['10.96.0.10'], searches: ['shop.svc.cluster.local'], options: ['ndots:5'] },
  ports: [{ protocol: 'UDP', containerPort: 53, hostPort: 5353, hostIP: '127.0.0.1' }],
  labels: { app: 'web' },
  annotations: {},
  cgroupParent: '/kubepods/podu-1',
  sysctls: { 'net.core.somaxconn': '1024' },
  security,
  runtimeHandler: '',
};
const container: ContainerConfig = {
  name: 'main',
  attempt: 1,
  image: 'sha256:1',
  command: ['/app'],
  args: ['-v'],
  workingDir: '/srv',
  env: [{ key: 'A', value: '' }],
  mounts: [{ containerPath: '/data', hostPath: '/host', readonly: true, propagation: 'bidirectional' }],
  devices: [{ hostPath: '/dev/fuse', containerPath: '/dev/fuse', permissions: 'rwm' }],
  labels: {},
  annotations: {},
  logPath: 'main/1.log',
  stdin: true,
  stdinOnce: false,
  tty: true,
  resources: { cpuShares: 2, cpuQuota: -1, cpuPeriod: 100_000, memoryLimitBytes: 2 ** 33, oomScoreAdj: -997 },
  security: { ...security, runAsUser: 0, runAsGroup: 7 },
  stopSignal: 'SIGRTMIN+3',
};

test('what the kubelet says of a sandbox arrives on the other side', () => {
  const bytes = Cri.runPodSandbox.request.encode({ config: sandboxConfigMessage(sandbox), runtimeHandler: 'runc' });
  const { config, runtimeHandler } = Cri.runPodSandbox.request.decode(bytes);
  expect(runtimeHandler).toBe('runc');
  expect(config).toMatchObject({
    metadata: { name: 'web', namespace: 'shop', uid: 'u-1', attempt: 2 },
    hostname: 'web',
    dnsConfig: { servers: ['10.96.0.10'], searches: ['shop.svc.cluster.local'], options: ['ndots:5'] },
    portMappings: [{ protocol: 1, containerPort: 53, hostPort: 5353, hostIp: '127.0.0.1' }],
    labels: { app: 'web' },
    linux: {
      cgroupParent: '/kubepods/podu-1',
      sysctls: { 'net.core.somaxconn': '1024' },
      securityContext: {
        namespaceOptions: { network: 0, pid: 3, ipc: 2, targetId: 'abc' },
        runAsUser: undefined,
        runAsGroup: undefined,
        supplementalGroups: [1, 2],
        seccomp: { profileType: 2, localhostRef: '/var/lib/kubelet/seccomp/my.json' },
      },
    },
  });
  const onHost = sandboxConfigMessage({
    ...sandbox,
    security: { ...security, network: 'node', seccomp: 'Unconfined' },
  });
  expect(onHost).toMatchObject({
    hostname: '',
    linux: { securityContext: { namespaceOptions: { network: 2 }, seccomp: { profileType: 1 } } },
  });
});

test('what the kubelet says of a container arrives on the other side', () => {
  const bytes = Cri.createContainer.request.encode({ config: containerConfigMessage(container) });
  expect(Cri.createContainer.request.decode(bytes).config).toMatchObject({
    metadata: { name: 'main', attempt: 1 },
    image: { image: 'sha256:1' },
    command: ['/app'],
    args: ['-v'],
    envs: [{ key: 'A', value: '' }],
    mounts: [{ containerPath: '/data', hostPath: '/host', readonly: true, propagation: 2 }],
    devices: [{ hostPath: '/dev/fuse', containerPath: '/dev/fuse', permissions: 'rwm' }],
    stdin: true,
    stdinOnce: false,
    tty: true,
    stopSignal: 38,
    linux: {
      resources: { cpuShares: 2, cpuQuota: -1, cpuPeriod: 100_000, memoryLimitInBytes: 2 ** 33, oomScoreAdj: -997 },
      securityContext: {
        capabilities: { addCapabilities: ['NET_ADMIN'], dropCapabilities: ['ALL'] },
        runAsUser: { value: 0 },
        runAsGroup: { value: 7 },
        readonlyRootfs: true,
        noNewPrivs: true,
        maskedPaths: ['/proc/kcore'],
      },
    },
  });
});

test.each([
  ['SIGABRT', 1],
  ['SIGTERM', 23],
  ['SIGXFSZ', 34],
  ['SIGRTMIN', 35],
  ['SIGRTMIN+15', 50],
  ['SIGRTMAX-14', 51],
  ['SIGRTMAX', 65],
  ['SIGNONSENSE', 0],
])('%s has the number %i', (name, number) => {
  expect(signalNumber(name)).toBe(number);
});

test('a status in the kubelet’s words', () => {
  const status = Cri.containerStatus.response.decode(
    Cri.containerStatus.response.encode({
      status: {
        id: 'c',
        metadata: { name: 'main', attempt: 3 },
        state: 2,
        createdAt: 1_790_000_000_123_000_000,
        finishedAt: -62_135_596_800_000_000_000 % 2 ** 63,
        exitCode: -1,
        image: { image: 'busybox', userSpecifiedImage: '' },
        imageRef: 'docker.io/library/busybox@sha256:1',
        reason: 'OOMKilled',
      },
    }),
  ).status!;
  expect(containerStatusOf(status, 's')).toMatchObject({
    id: 'c',
    sandboxId: 's',
    name: 'main',
    attempt: 3,
    state: 'exited',
    createdAt: 1_790_000_000_123,
    startedAt: 0,
    finishedAt: 0,
    exitCode: -1,
    image: 'busybox',
    imageId: 'docker.io/library/busybox@sha256:1',
    reason: 'OOMKilled',
  });
  const { status: pod } = Cri.podSandboxStatus.response.decode(
    Cri.podSandboxStatus.response.encode({
      status: { network: { ip: '10.0.0.1', additionalIps: [{ ip: 'fd00::1' }] } },
    }),
  );
  expect(ipsOf(pod!)).toEqual(['10.0.0.1', 'fd00::1']);
  expect(ipsOf({ ...pod!, network: { ip: '', additionalIps: [] } })).toEqual([]);
});

test.each([
  [
    'StartError',
    'failed to create containerd task: failed to start shim: start failed: : signal: killed: unknown',
    true,
  ],
  ['StartError', 'failed to create containerd task: failed to create shim task: context canceled: unknown', true],
  ['StartError', 'failed to start containerd task "abc": context canceled: unknown', undefined],
  ['StartError', 'failed to create containerd task: OCI runtime create failed: "nope": not found', undefined],
  ['Error', 'failed to create containerd task: context canceled', undefined],
])('a start that fails with %s, %s', (reason, message, interrupted) => {
  const { status } = Cri.containerStatus.response.decode(
    Cri.containerStatus.response.encode({ status: { id: 'c', state: 2, exitCode: 128, reason, message } }),
  );
  expect(containerStatusOf(status!, 's').interrupted).toBe(interrupted);
});

test('an exec process is the container’s own with another command', () => {
  const own = { args: ['/app'], env: ['A=1'], cwd: '/srv', terminal: true, consoleSize: { height: 1, width: 1 } };
  expect(execProcess(own, ['ls'], false)).toEqual({ args: ['ls'], env: ['A=1'], cwd: '/srv', terminal: false });
  expect(execProcess(own, ['sh'], true).env).toEqual(['A=1', 'TERM=xterm']);
  expect(execProcess({ ...own, env: ['TERM=vt100'] }, ['sh'], true).env).toEqual(['TERM=vt100']);
});

const envelope = (topic: string, value: Uint8Array) => ({ namespace: 'k8s.io', topic, event: { typeUrl: '', value } });
const task = (topic: string, containerId: string, id = '') => envelope(topic, TaskEvent.encode({ containerId, id }));

test.each([
  ['/tasks/oom', '', { what: 'oom', containerId: 'c' }],
  ['/tasks/exit', 'c', { what: 'exit', containerId: 'c' }],
  ['/tasks/exit', 'exec-1', undefined],
  ['/tasks/paused', '', undefined],
])('%s of %s', (topic, id, happening) => {
  expect(happeningOf(task(topic, 'c', id))).toEqual(happening);
});

const deletion = (id: string) => envelope('/tasks/delete', TaskDelete.encode({ containerId: 'c', id }));

test('/tasks/delete of the container and of an exec', () => {
  expect(happeningOf(deletion('c'))).toEqual({ what: 'delete', containerId: 'c' });
  expect(happeningOf(deletion(''))).toEqual({ what: 'delete', containerId: 'c' });
  expect(happeningOf(deletion('exec-1'))).toBeUndefined();
});

/** What watchEvents tells while its subscription hears what `deliver` is given. */
async function listening() {
  const clock = new VirtualClock();
  const seen: string[] = [];
  const stop = new AbortController();
  let deliver: (message: unknown) => void = () => {};
  const channel = {
    call: async () => deliver(envelope('/coracle/mark', new Uint8Array())),
    subscribe: (
      _method: unknown,
      _request: unknown,
      onMessage: typeof deliver,
      { signal }: { signal: AbortSignal },
    ) => {
      deliver = onMessage;
      return new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    },
  } as unknown as GrpcChannel;
  const watching = watchEvents(
    { env: { ...realEnv(), clock }, channel },
    ({ type, containerId }) => seen.push(`${type} ${containerId}`),
    {
      signal: stop.signal,
    },
  );
  await drainMicrotasks();
  return {
    seen,
    clock,
    deliver: (message: unknown) => deliver(message),
    end: async () => {
      stop.abort();
      await watching;
    },
  };
}

test('events: lost comes first, an exit when the task has been deleted too', async () => {
  const { seen, deliver, end } = await listening();
  deliver(task('/tasks/exit', 'c', 'c'));
  expect(seen).toEqual(['lost ']);
  deliver(deletion('c'));
  deliver(task('/tasks/oom', 'd'));
  expect(seen).toEqual(['lost ', 'exited c', 'oom d']);
  await end();
});

test('events: an exit is told though nobody deletes the task', async () => {
  const { seen, deliver, clock, end } = await listening();
  deliver(task('/tasks/exit', 'c', 'c'));
  await clock.advance(499);
  expect(seen).toEqual(['lost ']);
  await clock.advance(1);
  expect(seen).toEqual(['lost ', 'exited c']);
  await end();
});
