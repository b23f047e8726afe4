// Whole pod lifecycles: a kubelet on the simulated runtime against the real API server, in virtual time.

import { afterEach, describe, expect, it } from 'vitest';
import type { PodCondition } from '../api/generated/core-v1.ts';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Lease } from '../api/kinds/coordination/lease.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { Service } from '../api/kinds/core/service.ts';
import { testNode, type TestNode, type TestNodeOptions } from '../cluster/test-node.ts';
import type { ContainerConfig } from './runtime.ts';
import type { ContainerBehaviour } from './simulated-behaviour.ts';

const open: TestNode[] = [];
async function node(options: TestNodeOptions = {}): Promise<TestNode> {
  const made = await testNode(options);
  open.push(made);
  return made;
}
afterEach(async () => {
  for (const n of open.splice(0)) await n.close();
});

/** Behaviour by container name. */
const acting = (by: Record<string, ContainerBehaviour | ((c: ContainerConfig) => ContainerBehaviour)>) => ({
  simulate: {
    scenario: (c: ContainerConfig) => {
      const known = by[c.name] ?? {};
      return typeof known === 'function' ? known(c) : known;
    },
  },
});

const SECOND = 1000;
const conditionsOf = (pod: Pod | undefined) =>
  (pod?.status?.conditions ?? []).map((c: PodCondition) => `${c.type}=${c.status}${c.reason ? `(${c.reason})` : ''}`);
const remove = (n: TestNode, name: string, gracePeriodSeconds?: number) =>
  n.client.delete(Pod, { namespace: 'default', name }, gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds });
const started = (n: TestNode) => n.runtime.calls.filter((c) => c.startsWith('createContainer')).map((c) => c.slice(16));

describe('a simple pod', () => {
  it('runs: two status writes, upstream events, the whole status', async () => {
    const n = await node({ simulate: { sandboxDelay: 50 } });
    const created = await n.create({
      name: 'web',
      containers: [{ resources: { requests: { cpu: '100m' }, limits: { memory: '64Mi' } } }],
    });
    await n.settle(30);
    const pending = await n.pod('web');
    expect(pending?.status).toMatchObject({
      phase: 'Pending',
      containerStatuses: [
        { name: 'c', ready: false, started: false, state: { waiting: { reason: 'ContainerCreating' } } },
      ],
    });
    expect(conditionsOf(pending)).toEqual([
      'PodReadyToStartContainers=False',
      'Initialized=True',
      'Ready=False(ContainersNotReady)',
      'ContainersReady=False(ContainersNotReady)',
      'PodScheduled=True',
    ]);
    await n.settle(SECOND);
    const pod = await n.pod('web');
    expect(conditionsOf(pod)).toEqual([
      'PodReadyToStartContainers=True',
      'Initialized=True',
      'Ready=True',
      'ContainersReady=True',
      'PodScheduled=True',
    ]);
    expect(pod?.status).toMatchObject({
      phase: 'Running',
      hostIP: '192.168.0.1',
      podIP: '10.64.0.1',
      podIPs: [{ ip: '10.64.0.1' }],
      qosClass: 'Burstable',
      observedGeneration: 1,
    });
    expect(pod?.status?.containerStatuses).toEqual([
      {
        allocatedResources: { cpu: '100m', memory: '64Mi' },
        containerID: 'simulated://000000000002',
        image: 'busybox:1',
        imageID: 'sha256:busybox:1',
        lastState: {},
        name: 'c',
        ready: true,
        resources: { limits: { memory: '64Mi' }, requests: { cpu: '100m', memory: '64Mi' } },
        restartCount: 0,
        started: true,
        state: { running: { startedAt: pod?.status?.startTime } },
      },
    ]);
    expect(n.events.filter((e) => !e.includes('Node') && !e.includes('kubelet'))).toEqual([
      'Pulled: Container image "busybox:1" already present on machine and can be accessed by the pod',
      'Created: Container created',
      'Started: Container started',
    ]);
    // Pending, then Running: nothing else is worth a write. The node and lease wrote three objects before.
    expect(Number(pod!.metadata.resourceVersion) - Number(created.metadata.resourceVersion)).toBe(2);
  });

  it('costs the runtime no more calls than it must', async () => {
    const n = await node();
    n.runtime.calls.length = 0;
    await n.create({ name: 'web' });
    await n.settle(SECOND);
    expect(n.runtime.calls.map((c) => c.split(' ')[0])).toEqual([
      'imageStatus',
      'runSandbox',
      'sandboxStatus',
      'createContainer',
      'startContainer',
      'containerStatus',
    ]);
  });

  it('is stopped, cleaned up and only then removed from the API', async () => {
    const n = await node(acting({ c: { stopAfter: 5 * SECOND, stopCode: 143 } }));
    await n.create({ name: 'web', terminationGracePeriodSeconds: 10 });
    await n.settle(SECOND);
    const podCgroups = () => [...n.host.cgroupPaths].filter((path) => path.includes('/pod'));
    expect(podCgroups()).toHaveLength(1);
    await remove(n, 'web');
    await n.settle(4 * SECOND);
    expect((await n.pod('web'))?.status?.phase).toBe('Running');
    const versions: string[] = [];
    const stream = await n.client.watch(Pod, { namespace: 'default' });
    stream.start({
      events: (batch) => versions.push(...batch.map((e) => `${e.type} ${e.object.status?.phase}`)),
      closed: () => {},
    });
    await n.settle(2 * SECOND);
    stream.stop();
    expect(versions).toContain('MODIFIED Failed');
    expect(versions.at(-1)).toBe('DELETED Failed');
    expect(await n.pod('web')).toBeUndefined();
    expect(n.events).toContain('Killing: Stopping container c');
    expect(await n.runtime.listSandboxes()).toEqual([]);
    expect(podCgroups()).toEqual([]);
    expect([...n.host.entries.keys()]).toEqual([]);
  });

  it('is killed when its grace is over, sooner when the grace is cut short', async () => {
    const n = await node(acting({ c: { stopAfter: 600 * SECOND } }));
    await n.create({ name: 'slow', terminationGracePeriodSeconds: 60 });
    await n.create({ name: 'cut', terminationGracePeriodSeconds: 60 });
    await n.settle(SECOND);
    await remove(n, 'slow');
    await remove(n, 'cut');
    await n.settle(5 * SECOND);
    await remove(n, 'cut', 2);
    await n.settle(3 * SECOND);
    expect(await n.pod('cut')).toBeUndefined();
    expect(await n.pod('slow')).toBeDefined();
    await n.settle(55 * SECOND);
    expect(await n.pod('slow')).toBeUndefined();
  });

  it('that is force-deleted is torn down after the fact', async () => {
    const n = await node(acting({ c: { stopAfter: 600 * SECOND } }));
    await n.create({ name: 'web' });
    await n.settle(SECOND);
    await remove(n, 'web', 0);
    expect(await n.pod('web')).toBeUndefined();
    await n.settle(31 * SECOND);
    expect(await n.runtime.listSandboxes()).toEqual([]);
  });

  it('deleted while its image is pulled ends at once', async () => {
    const n = await node({ simulate: { images: [], pullDelay: 600 * SECOND } });
    await n.create({ name: 'web' });
    await n.settle(SECOND);
    await remove(n, 'web');
    await n.settle(SECOND);
    expect(await n.pod('web')).toBeUndefined();
  });
});

describe('restarts', () => {
  it('back off from 10 s, doubling, and count', async () => {
    const n = await node(acting({ c: { exitAfter: SECOND, exitCode: 3 } }));
    await n.create({ name: 'crash' });
    await n.settle(2500);
    // The first restart is immediate; the second waits.
    expect(started(n)).toEqual(['c#0', 'c#1']);
    const pod = await n.pod('crash');
    expect(pod?.status?.phase).toBe('Running');
    const text = `back-off 10s restarting failed container=c pod=crash_default(${pod!.metadata.uid})`;
    expect(pod?.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      state: { waiting: { reason: 'CrashLoopBackOff', message: text } },
      lastState: { terminated: { exitCode: 3, reason: 'Error' } },
    });
    expect(n.events.filter((e) => e.startsWith('BackOff'))).toEqual([
      `BackOff: Back-off restarting failed container c in pod crash_default(${pod!.metadata.uid})`,
    ]);
    await n.settle(10 * SECOND);
    expect(started(n)).toEqual(['c#0', 'c#1', 'c#2']);
    await n.settle(20 * SECOND);
    expect(started(n)).toHaveLength(3);
    await n.settle(2 * SECOND);
    expect(started(n)).toHaveLength(4);
    // Dead instances do not pile up.
    expect((await n.runtime.listContainers()).length).toBeLessThanOrEqual(3);
  });

  it('forget the back-off after ten calm minutes', async () => {
    const n = await node(
      acting({ c: ({ attempt }) => ({ exitAfter: attempt === 2 ? 700 * SECOND : SECOND, exitCode: 1 }) }),
    );
    await n.create({ name: 'calm' });
    await n.settle(15 * SECOND);
    expect(started(n)).toHaveLength(3);
    await n.settle(700 * SECOND);
    expect(started(n)).toHaveLength(4);
    const { waiting } = (await n.pod('calm'))!.status!.containerStatuses![0]!.state!;
    expect(waiting?.message).toMatch(/^back-off 10s restarting/);
  });

  it.each([
    ['Never', 0, 'Succeeded'],
    ['Never', 1, 'Failed'],
    ['OnFailure', 0, 'Succeeded'],
    ['OnFailure', 1, 'Running'],
    ['Always', 0, 'Running'],
  ])('policy %s, exit %i: %s', async (restartPolicy, exitCode, phase) => {
    const n = await node(acting({ c: { exitAfter: SECOND, exitCode } }));
    await n.create({ name: 'job', restartPolicy });
    await n.settle(4 * SECOND);
    const pod = await n.pod('job');
    expect(pod?.status?.phase).toBe(phase);
    if (phase === 'Running') return;
    expect(conditionsOf(pod)).toEqual([
      'PodReadyToStartContainers=False',
      `Initialized=True${phase === 'Succeeded' ? '(PodCompleted)' : ''}`,
      `Ready=False(Pod${phase === 'Succeeded' ? 'Completed' : 'Failed'})`,
      `ContainersReady=False(Pod${phase === 'Succeeded' ? 'Completed' : 'Failed'})`,
      'PodScheduled=True',
    ]);
    expect(pod?.status?.podIP).toBe('10.64.0.1');
    await remove(n, 'job');
    await n.settle(SECOND);
    expect(await n.pod('job')).toBeUndefined();
    expect(await n.runtime.listSandboxes()).toEqual([]);
  });

  it('obey rules and policies of single containers', async () => {
    const n = await node(acting({ a: { exitAfter: SECOND, exitCode: 42 }, b: { exitAfter: SECOND, exitCode: 1 } }));
    await n.create({
      name: 'rules',
      restartPolicy: 'Never',
      containers: [
        {
          name: 'a',
          restartPolicy: 'Never',
          restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
        },
        { name: 'b' },
      ],
    });
    await n.settle(2 * SECOND + 500);
    expect(started(n)).toEqual(['a#0', 'b#0', 'a#1']);
    expect((await n.pod('rules'))?.status?.phase).toBe('Running');
  });
});

describe('init containers', () => {
  it('run one after the other, then the app', async () => {
    const n = await node(acting({ one: { exitAfter: SECOND }, two: { exitAfter: SECOND } }));
    await n.create({ name: 'p', initContainers: [init('one'), init('two')] });
    await n.settle(500);
    const first = await n.pod('p');
    expect(first?.status?.phase).toBe('Pending');
    expect(first?.status?.initContainerStatuses?.map((s) => Object.keys(s.state!)[0])).toEqual(['running', 'waiting']);
    expect(first?.status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe('PodInitializing');
    expect(first?.status?.conditions?.find((c) => c.type === 'Initialized')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotInitialized',
      message: 'containers with incomplete status: [one two]',
    });
    await n.settle(3 * SECOND);
    expect(started(n)).toEqual(['one#0', 'two#0', 'c#0']);
    expect((await n.pod('p'))?.status?.phase).toBe('Running');
  });

  it('that fail end a pod that never restarts, and are retried otherwise', async () => {
    const n = await node(acting({ bad: { exitAfter: SECOND, exitCode: 1 } }));
    await n.create({ name: 'never', restartPolicy: 'Never', initContainers: [init('bad')] });
    await n.create({ name: 'always', initContainers: [init('bad')] });
    await n.settle(3 * SECOND);
    expect((await n.pod('never'))?.status?.phase).toBe('Failed');
    expect(await n.pod('always')).toMatchObject({
      status: {
        phase: 'Pending',
        initContainerStatuses: [{ restartCount: 1, state: { waiting: { reason: 'CrashLoopBackOff' } } }],
      },
    });
  });

  it('sidecars start in order, stay, and end last in reverse order', async () => {
    const n = await node(acting({ one: {}, two: {}, three: { exitAfter: SECOND }, c: { stopAfter: 2 * SECOND } }));
    await n.create({
      name: 'p',
      initContainers: [
        { ...sidecar('one'), startupProbe: { exec: { command: ['up'] }, initialDelaySeconds: 2 } },
        sidecar('two'),
        init('three'),
      ],
    });
    await n.settle(SECOND);
    expect(started(n)).toEqual(['one#0']);
    await n.settle(4 * SECOND);
    expect(started(n)).toEqual(['one#0', 'two#0', 'three#0', 'c#0']);
    expect(conditionsOf(await n.pod('p'))).toContain('Ready=True');
    const ids = (await n.runtime.listContainers()).filter((c) => c.state === 'running');
    const id = (name: string) => ids.find((c) => c.name === name)!.id;
    n.runtime.calls.length = 0;
    await remove(n, 'p');
    await n.settle(SECOND);
    const stops = () => n.runtime.calls.filter((c) => c.startsWith('stopContainer'));
    expect(stops()).toEqual([`stopContainer ${id('c')} 30s`]);
    await n.settle(2 * SECOND);
    expect(stops().slice(1)).toEqual([`stopContainer ${id('two')} 28s`, `stopContainer ${id('one')} 28s`]);
  });

  it('sidecars do not keep a finished job alive', async () => {
    const n = await node(acting({ helper: {}, c: { exitAfter: SECOND } }));
    await n.create({ name: 'job', restartPolicy: 'OnFailure', initContainers: [sidecar('helper')] });
    await n.settle(3 * SECOND);
    expect((await n.pod('job'))?.status?.phase).toBe('Succeeded');
  });

  it('sidecars restart even where nothing else does', async () => {
    const n = await node(
      acting({ helper: ({ attempt }) => (attempt === 0 ? { exitAfter: SECOND, exitCode: 1 } : {}) }),
    );
    await n.create({ name: 'p', restartPolicy: 'Never', initContainers: [sidecar('helper')] });
    await n.settle(3 * SECOND);
    expect(started(n)).toEqual(['helper#0', 'c#0', 'helper#1']);
    expect((await n.pod('p'))?.status?.phase).toBe('Running');
  });
});

const init = (name: string) => ({ name, image: 'busybox:1' });
const sidecar = (name: string) => ({ name, image: 'busybox:1', restartPolicy: 'Always' });

describe('images', () => {
  it('are pulled, with the events of a pull', async () => {
    const n = await node({ simulate: { images: [], pullDelay: 1500 } });
    await n.create({ name: 'p' });
    await n.settle(3 * SECOND);
    expect(n.events).toContain('Pulling: Pulling image "busybox:1"');
    expect(n.events).toContain(
      'Pulled: Successfully pulled image "busybox:1" in 1.5s (1.5s including waiting). Image size: 1000 bytes.',
    );
  });

  it('that cannot be pulled: ErrImagePull, then ImagePullBackOff, then another try', async () => {
    let tries = 0;
    const pull = () => {
      if (++tries < 3) throw new Error('no such image');
    };
    const n = await node({ simulate: { images: [], pull } });
    await n.create({ name: 'p' });
    await n.settle(500);
    const waiting = async () => (await n.pod('p'))?.status?.containerStatuses?.[0]?.state?.waiting;
    expect(await waiting()).toEqual({ reason: 'ErrImagePull', message: 'no such image' });
    await n.settle(5 * SECOND);
    expect(await waiting()).toEqual({
      reason: 'ImagePullBackOff',
      message: 'Back-off pulling image "busybox:1": ErrImagePull: no such image',
    });
    await n.settle(26 * SECOND);
    expect(tries).toBe(3);
    expect((await n.pod('p'))?.status?.phase).toBe('Running');
    expect(n.events.filter((e) => /^(Failed|BackOff)/.test(e)).slice(0, 4)).toEqual([
      'Failed: Failed to pull image "busybox:1": no such image',
      'Failed: Error: ErrImagePull',
      'BackOff: Back-off pulling image "busybox:1"',
      'Failed: Error: ImagePullBackOff',
    ]);
  });

  it.each([
    [{ imagePullPolicy: 'Never' }, 'ErrImageNeverPull', /not present with pull policy of Never/],
    [{ image: 'Not:Valid:Name' }, 'InvalidImageName', /invalid reference format/],
  ])('%o waits with %s', async (container, reason, message) => {
    const n = await node({ simulate: { images: [] } });
    await n.create({ name: 'p', containers: [container] });
    await n.settle(SECOND);
    const waiting = (await n.pod('p'))?.status?.containerStatuses?.[0]?.state?.waiting;
    expect(waiting?.reason).toBe(reason);
    expect(waiting?.message).toMatch(message);
  });
});

describe('configuration', () => {
  it('a missing ConfigMap holds the container until it is there', async () => {
    const n = await node();
    await n.create({
      name: 'p',
      containers: [{ env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'cfg', key: 'a' } } }] }],
    });
    await n.settle(SECOND);
    expect((await n.pod('p'))?.status?.containerStatuses?.[0]?.state?.waiting).toEqual({
      reason: 'CreateContainerConfigError',
      message: 'configmap "cfg" not found',
    });
    expect(n.events).toContain('Failed: Error: configmap "cfg" not found');
    await n.client.create(ConfigMap, { metadata: { name: 'cfg', namespace: 'default' }, data: { a: '1' } });
    await n.settle(100);
    expect((await n.pod('p'))?.status?.phase).toBe('Running');
  });

  it('a missing volume holds the sandbox; live volumes follow their object', async () => {
    const n = await node();
    await n.create({
      name: 'p',
      volumes: [{ name: 'v', configMap: { name: 'cfg' } }],
      containers: [{ volumeMounts: [{ name: 'v', mountPath: '/v' }] }],
    });
    await n.settle(SECOND);
    expect(n.events).toContain('FailedMount: MountVolume.SetUp failed for volume "v" : configmap "cfg" not found');
    expect(await n.runtime.listSandboxes()).toEqual([]);
    const cfg = await n.client.create(ConfigMap, { metadata: { name: 'cfg', namespace: 'default' }, data: { a: '1' } });
    await n.settle(100);
    const pod = await n.pod('p');
    expect(pod?.status?.phase).toBe('Running');
    const file = `/var/lib/kubelet/pods/${pod!.metadata.uid}/volumes/kubernetes.io~configmap/v/a`;
    expect(n.host.text(file)).toBe('1');
    await n.client.update(ConfigMap, { ...cfg, data: { a: '2' } });
    await n.settle(100);
    expect(n.host.text(file)).toBe('2');
  });

  it('service account tokens are renewed at 80% of their life, and again after a failure', async () => {
    const n = await node();
    const tokens: string[] = [];
    let fails = false;
    const real = n.client.do.bind(n.client);
    n.client.do = async (op, signal) => {
      if (op.subresource !== 'token') return real(op, signal);
      if (fails) throw new Error('no signer');
      tokens.push(`token-${tokens.length}`);
      const expirationTimestamp = new Date(n.server.clock.now() + 1000 * SECOND).toISOString();
      return { type: 'object', object: { status: { token: tokens.at(-1), expirationTimestamp } } } as never;
    };
    const { metadata } = await n.create({
      name: 'p',
      serviceAccountName: 'default',
      volumes: [
        { name: 'v', projected: { sources: [{ serviceAccountToken: { path: 'token', expirationSeconds: 1000 } }] } },
      ],
    });
    const text = () => n.host.text(`/var/lib/kubelet/pods/${metadata.uid}/volumes/kubernetes.io~projected/v/token`);
    await n.settle(SECOND);
    expect(text()).toBe('token-0');
    await n.settle(798 * SECOND);
    expect(text()).toBe('token-0');
    await n.settle(2 * SECOND);
    expect(text()).toBe('token-1');
    fails = true;
    await n.settle(820 * SECOND);
    expect(text()).toBe('token-1');
    const told = n.events.filter((e) => e.includes('failed to fetch token: no signer'));
    expect(told).toHaveLength(1);
    fails = false;
    await n.settle(30 * SECOND);
    expect(text()).toBe('token-2');
    // The clock is put forward beyond its end: the node notices when it renews its lease.
    n.server.clock.jump(3600 * SECOND);
    await n.settle(11 * SECOND);
    expect(text()).toBe('token-3');
    n.server.clock.jump(-3600 * SECOND);
    await n.settle(11 * SECOND);
    expect(text()).toBe('token-3');
  });

  it('environment, arguments, mounts and identity reach the runtime', async () => {
    let seen: ContainerConfig | undefined;
    const n = await node({
      simulate: {
        scenario: (c) => {
          seen = c;
          return {};
        },
      },
      config: { clusterDNS: ['10.96.0.10'] },
    });
    await n.client.create(Service, {
      metadata: { name: 'my-db', namespace: 'default' },
      spec: { clusterIP: '10.96.1.1', ports: [{ port: 5432, protocol: 'TCP' }] },
    });
    await n.create({
      name: 'p',
      hostname: 'box',
      subdomain: 'sub',
      containers: [
        {
          command: ['run', '$(WHO)', '$$(WHO)', '$(NOPE)'],
          env: [
            { name: 'WHO', value: 'me' },
            { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
            { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
          ],
        },
      ],
    });
    await n.settle(SECOND);
    expect(seen?.command).toEqual(['run', 'me', '$(WHO)', '$(NOPE)']);
    const env = Object.fromEntries(seen!.env.map((e) => [e.key, e.value]));
    expect(env).toMatchObject({
      WHO: 'me',
      IP: '10.64.0.1',
      CPU: '32',
      MY_DB_SERVICE_HOST: '10.96.1.1',
      MY_DB_PORT_5432_TCP: 'tcp://10.96.1.1:5432',
    });
    expect(seen?.mounts.map((m) => m.containerPath)).toEqual(['/etc/hosts', '/dev/termination-log']);
    const hosts = n.host.text(seen!.mounts[0]!.hostPath);
    expect(hosts).toContain('10.64.0.1\tbox.sub.default.svc.cluster.local\tbox\n');
  });

  it('a start error shows and counts as a crash', async () => {
    const n = await node(acting({ c: { startError: 'exec: "nope": not found' } }));
    await n.create({ name: 'p' });
    await n.settle(SECOND);
    expect((await n.pod('p'))?.status?.containerStatuses?.[0]).toMatchObject({
      state: { waiting: { reason: 'RunContainerError', message: 'exec: "nope": not found' } },
      lastState: { terminated: { exitCode: 128, reason: 'StartError' } },
    });
  });
});

describe('probes', () => {
  const probe = (more = {}) => ({ exec: { command: ['check'] }, periodSeconds: 1, ...more });

  it('readiness comes and goes at once, without restarts', async () => {
    let healthy = true;
    const n = await node(acting({ c: { exec: () => ({ exitCode: healthy ? 0 : 1, output: 'no' }) } }));
    await n.create({
      name: 'p',
      containers: [{ readinessProbe: probe({ initialDelaySeconds: 2, failureThreshold: 2 }) }],
    });
    await n.settle(1500);
    expect((await n.pod('p'))?.status?.containerStatuses?.[0]).toMatchObject({ ready: false, started: true });
    expect((await n.pod('p'))?.status?.conditions?.find((c) => c.type === 'Ready')).toMatchObject({
      reason: 'ContainersNotReady',
      message: 'containers with unready status: [c]',
    });
    await n.settle(600);
    expect(conditionsOf(await n.pod('p'))).toContain('Ready=True');
    healthy = false;
    await n.settle(2 * SECOND);
    expect(conditionsOf(await n.pod('p'))).toContain('Ready=False(ContainersNotReady)');
    expect(n.events.filter((e) => e.startsWith('Unhealthy'))[0]).toBe('Unhealthy: Readiness probe failed: no');
    expect(started(n)).toEqual(['c#0']);
  });

  it('liveness kills and restarts, with its own grace', async () => {
    const n = await node(
      acting({ c: { stopAfter: 600 * SECOND, exec: (_, since) => ({ exitCode: since > 3 * SECOND ? 1 : 0 }) } }),
    );
    const livenessProbe = probe({ failureThreshold: 2, terminationGracePeriodSeconds: 5 });
    await n.create({ name: 'p', containers: [{ livenessProbe }] });
    await n.settle(7 * SECOND);
    expect(n.events).toContain('Killing: Container c failed liveness probe, will be restarted');
    expect(started(n)).toEqual(['c#0']);
    await n.settle(4 * SECOND);
    expect(started(n)).toEqual(['c#0', 'c#1']);
    expect((await n.pod('p'))?.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { exitCode: 137 } },
    });
  });

  it('nothing else is probed before the startup probe has succeeded', async () => {
    const n = await node(
      acting({ c: { exec: ([command], since) => ({ exitCode: command === 'boot' && since < 3 * SECOND ? 1 : 0 }) } }),
    );
    await n.create({
      name: 'p',
      containers: [
        {
          startupProbe: { exec: { command: ['boot'] }, periodSeconds: 1, failureThreshold: 30 },
          livenessProbe: probe(),
          readinessProbe: probe(),
        },
      ],
    });
    await n.settle(2500);
    expect(n.runtime.calls).not.toContain('execSync check');
    expect((await n.pod('p'))?.status?.containerStatuses?.[0]).toMatchObject({ started: false, ready: false });
    await n.settle(SECOND);
    expect((await n.pod('p'))?.status?.containerStatuses?.[0]).toMatchObject({ started: true, ready: true });
  });

  it('a probe that takes too long failed; one that cannot be made says nothing', async () => {
    const n = await node(acting({ c: { exec: () => ({ delay: 5 * SECOND }) } }));
    await n.create({ name: 'slow', containers: [{ readinessProbe: probe() }] });
    await n.create({ name: 'odd', containers: [{ readinessProbe: { httpGet: { port: 'nope' } } }] });
    await n.settle(3 * SECOND);
    expect(n.events).toContain('Unhealthy: Readiness probe failed: command timed out: "check" timed out after 1s');
    expect(n.events).toContain(
      'Unhealthy: Readiness probe errored and resulted in unknown state: strconv.Atoi: parsing "nope": invalid syntax',
    );
  });

  it('readiness gates hold the pod back until somebody sets them', async () => {
    const n = await node();
    await n.create({ name: 'p', readinessGates: [{ conditionType: 'x.io/ok' }] });
    await n.settle(SECOND);
    const pod = (await n.pod('p'))!;
    expect(conditionsOf(pod)).toContain('Ready=False(ReadinessGatesNotReady)');
    expect(conditionsOf(pod)).toContain('ContainersReady=True');
    const conditions = [...pod.status!.conditions!, { type: 'x.io/ok', status: 'True' }];
    await n.client.update(Pod, { ...pod, status: { ...pod.status, conditions } }, { subresource: 'status' });
    await n.settle(SECOND);
    expect(conditionsOf(await n.pod('p'))).toContain('Ready=True');
    expect(conditionsOf(await n.pod('p'))).toContain('x.io/ok=True');
  });
});

describe('hooks', () => {
  it('postStart holds the container back, and kills it when it fails', async () => {
    let hooks = 0;
    const n = await node(acting({ c: { exec: () => (++hooks === 1 ? { delay: 2 * SECOND } : { exitCode: 1 }) } }));
    const lifecycle = { postStart: { exec: { command: ['hook'] } } };
    await n.create({ name: 'good', containers: [{ lifecycle }] });
    await n.settle(SECOND);
    expect((await n.pod('good'))?.status?.phase).toBe('Pending');
    await n.settle(2 * SECOND);
    expect((await n.pod('good'))?.status?.phase).toBe('Running');
    await n.create({ name: 'bad', containers: [{ lifecycle }] });
    await n.settle(SECOND);
    expect(n.events).toContain('FailedPostStartHook: PostStartHook failed');
    expect((await n.pod('bad'))?.status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe('PostStartHookError');
  });

  it('preStop runs within the grace; its failure is told', async () => {
    const n = await node(acting({ c: { stopAfter: 60 * SECOND, exec: () => ({ delay: 4 * SECOND, exitCode: 1 }) } }));
    const lifecycle = { preStop: { exec: { command: ['bye'] } } };
    await n.create({ name: 'p', terminationGracePeriodSeconds: 10, containers: [{ lifecycle }] });
    await n.settle(SECOND);
    await remove(n, 'p');
    await n.settle(5 * SECOND);
    expect(n.events).toContain('FailedPreStopHook: PreStopHook failed');
    expect(n.runtime.calls.at(-1)).toMatch(/^stopContainer \w+ 6s$/);
    await n.settle(6 * SECOND);
    expect(await n.pod('p')).toBeUndefined();
  });
});

describe('trouble', () => {
  it('a killed pause process: the sandbox is made anew', async () => {
    const n = await node();
    await n.create({ name: 'p' });
    await n.settle(SECOND);
    const [sandbox] = await n.runtime.listSandboxes();
    n.runtime.killSandbox(sandbox!.id);
    await n.settle(2 * SECOND);
    expect(n.events).toContain('SandboxChanged: Pod sandbox changed, it will be killed and re-created.');
    const pod = await n.pod('p');
    expect(pod?.status).toMatchObject({ phase: 'Running', podIP: '10.64.0.2' });
    expect(pod?.status?.containerStatuses?.[0]?.restartCount).toBe(1);
  });

  it('an OOM kill shows as such', async () => {
    const n = await node();
    await n.create({ name: 'p' });
    await n.settle(SECOND);
    const [container] = await n.runtime.listContainers();
    n.runtime.crash(container!.id, 137, 'OOMKilled');
    await n.settle(100);
    expect((await n.pod('p'))?.status?.containerStatuses?.[0]?.lastState?.terminated?.reason).toBe('OOMKilled');
  });

  it('the deadline of a pod fails it', async () => {
    const n = await node(acting({ c: { stopAfter: 3 * SECOND } }));
    await n.create({ name: 'p', activeDeadlineSeconds: 10 });
    await n.settle(11 * SECOND);
    expect((await n.pod('p'))?.status?.phase).toBe('Running');
    await n.settle(3 * SECOND);
    expect((await n.pod('p'))?.status).toMatchObject({
      phase: 'Failed',
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    });
  });

  it.each([
    [
      { containers: [{ resources: { requests: { cpu: '64' } } }] },
      'OutOfcpu',
      /requested: 64000, used: 0, capacity: 32000/,
    ],
    [{ nodeSelector: { disk: 'ssd' } }, 'NodeAffinity', /didn't match Pod's node affinity/],
    [{ containers: [{ ports: [{ containerPort: 80, hostPort: 80 }] }] }, 'NodePorts', /free ports/],
    [{ securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } }, 'SysctlForbidden', /not allowlisted/],
  ])('%j is rejected: %s', async (spec, reason, message) => {
    const n = await node();
    await n.create({ name: 'first', containers: [{ ports: [{ containerPort: 80, hostPort: 80, protocol: 'TCP' }] }] });
    await n.settle(10);
    await n.create({ name: 'p', ...(spec as object) });
    await n.settle(SECOND);
    const pod = await n.pod('p');
    expect(pod?.status).toMatchObject({ phase: 'Failed', reason });
    expect(pod?.status?.message).toMatch(message);
    await remove(n, 'p');
    await n.settle(SECOND);
    expect(await n.pod('p')).toBeUndefined();
  });

  it('a failing sandbox is told of and tried again', async () => {
    const n = await node();
    n.runtime.runSandbox = (
      (original) => (config) =>
        n.server.clock.monotonic() < 3 * SECOND ? Promise.reject(new Error('no network')) : original(config)
    )(n.runtime.runSandbox.bind(n.runtime));
    await n.create({ name: 'p' });
    await n.settle(8 * SECOND);
    expect(n.events).toContain('FailedCreatePodSandBox: Failed to create pod sandbox: no network');
    expect((await n.pod('p'))?.status?.phase).toBe('Running');
  });

  it('an exit is seen even while an older answer is under way', async () => {
    const n = await node();
    const slow = n.runtime as unknown as { containerStatus: (id: string) => Promise<unknown> };
    const original = slow.containerStatus.bind(n.runtime);
    let first = true;
    slow.containerStatus = async (id) => {
      const answer = await original(id);
      if (!first) return answer;
      first = false;
      // It ends right after the runtime has said that it runs.
      n.runtime.crash(id, 3);
      await new Promise<void>((resolve) => void n.server.clock.setTimer(SECOND, resolve));
      return answer;
    };
    await n.create({ name: 'p', restartPolicy: 'Never' });
    await n.settle(3 * SECOND);
    expect((await n.pod('p'))?.status).toMatchObject({
      phase: 'Failed',
      containerStatuses: [{ state: { terminated: { exitCode: 3 } } }],
    });
  });

  it('events that were missed are made up for by listing', async () => {
    const n = await node();
    await n.create({ name: 'p', restartPolicy: 'Never' });
    await n.settle(SECOND);
    const [container] = await n.runtime.listContainers();
    const silent = n.runtime as unknown as { containerStatus: (id: string) => Promise<unknown> };
    const original = silent.containerStatus;
    silent.containerStatus = async () => container;
    n.runtime.crash(container!.id, 0, 'Completed');
    await n.settle(5 * SECOND);
    expect((await n.pod('p'))?.status?.phase).toBe('Running');
    silent.containerStatus = original;
    n.runtime.lose();
    await n.settle(SECOND);
    expect((await n.pod('p'))?.status?.phase).toBe('Succeeded');
  });
});

describe('a restarted kubelet', () => {
  it('takes up what runs, restarts nothing, keeps counting', async () => {
    const first = await testNode(acting({ c: ({ attempt }) => (attempt === 0 ? { exitAfter: SECOND } : {}) }));
    await first.create({ name: 'p' });
    await first.create({ name: 'gone' });
    await first.settle(3 * SECOND);
    await first.stop();
    const { server, runtime, host } = first;
    await first.client.delete(Pod, { namespace: 'default', name: 'gone' }, { gracePeriodSeconds: 0 });
    const before = (await first.pod('p'))!;
    runtime.calls.length = 0;
    const second = await node({ server, runtime, host });
    await second.settle(5 * SECOND);
    expect(runtime.calls.filter((c) => /^(run|create|start)/.test(c))).toEqual([]);
    const after = (await second.pod('p'))!;
    expect(after.metadata.resourceVersion).toBe(before.metadata.resourceVersion);
    expect((await runtime.listSandboxes()).map((s) => s.pod.name)).toEqual(['p']);
    const running = (await runtime.listContainers()).find((c) => c.state === 'running')!;
    expect(running.attempt).toBe(1);
    runtime.crash(running.id);
    await second.settle(SECOND);
    expect((await second.pod('p'))?.status?.containerStatuses?.[0]?.restartCount).toBe(2);
    await second.close();
    open.length = 0;
    server.close();
  });

  it('leaves containers as started and ready as they were, until a probe says otherwise', async () => {
    const probe = { exec: { command: ['check'] }, periodSeconds: 1, failureThreshold: 2 };
    let healthy = true;
    const first = await testNode(acting({ c: { exec: () => ({ exitCode: healthy ? 0 : 1 }) } }));
    await first.create({ name: 'p', containers: [{ startupProbe: probe, readinessProbe: probe }] });
    await first.settle(5 * SECOND);
    await first.stop();
    const { server, runtime, host } = first;
    const before = (await first.pod('p'))!;
    expect(conditionsOf(before)).toContain('Ready=True');
    const second = await node({ server, runtime, host });
    await second.settle(5 * SECOND);
    expect((await second.pod('p'))!.metadata.resourceVersion).toBe(before.metadata.resourceVersion);
    healthy = false;
    await second.settle(3 * SECOND);
    expect(conditionsOf(await second.pod('p'))).toContain('Ready=False(ContainersNotReady)');
    await second.close();
    open.length = 0;
    server.close();
  });

  it('finds its pods dead after a reboot and starts them again', async () => {
    const first = await testNode();
    await first.create({ name: 'p' });
    await first.settle(SECOND);
    await first.stop();
    const { server, host } = first;
    const second = await node({ server, host });
    await second.settle(SECOND);
    const pod = await second.pod('p');
    expect(pod?.status?.phase).toBe('Running');
    expect(pod?.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { reason: 'ContainerStatusUnknown', exitCode: 137 } },
    });
    await second.close();
    open.length = 0;
    server.close();
  });
});

describe('the node', () => {
  it('registers with labels, capacity, conditions, and keeps its lease', async () => {
    const n = await node({ config: { labels: { disk: 'ssd' }, reserved: { memory: '1Gi' } } });
    const made = await n.client.get(Node, { name: 'node-1' });
    expect(made.metadata.labels).toMatchObject({
      'kubernetes.io/hostname': 'node-1',
      'kubernetes.io/os': 'linux',
      disk: 'ssd',
    });
    expect(made.status).toMatchObject({
      capacity: { cpu: '32', memory: '256Gi', pods: '110' },
      allocatable: { memory: '255Gi', pods: '110' },
      addresses: [
        { type: 'InternalIP', address: '192.168.0.1' },
        { type: 'Hostname', address: 'node-1' },
      ],
    });
    expect(made.status?.conditions?.map((c) => `${c.type}=${c.status} ${c.reason}`)).toEqual([
      'MemoryPressure=False KubeletHasSufficientMemory',
      'DiskPressure=False KubeletHasNoDiskPressure',
      'PIDPressure=False KubeletHasSufficientPID',
      'Ready=True KubeletReady',
    ]);
    const lease = () => n.client.get(Lease, { namespace: 'kube-node-lease', name: 'node-1' });
    const first = await lease();
    expect(first.metadata.ownerReferences).toEqual([
      { apiVersion: 'v1', kind: 'Node', name: 'node-1', uid: made.metadata.uid },
    ]);
    await n.settle(25 * SECOND);
    expect(Date.parse((await lease()).spec!.renewTime!) - Date.parse(first.spec!.renewTime!)).toBeGreaterThan(19_000);
    // Nothing changed, so nothing was reported.
    expect((await n.client.get(Node, { name: 'node-1' })).metadata.resourceVersion).toBe(made.metadata.resourceVersion);
    await n.settle(300 * SECOND);
    const later = await n.client.get(Node, { name: 'node-1' });
    expect(later.status?.conditions?.[3]?.lastHeartbeatTime).not.toBe(made.status?.conditions?.[3]?.lastHeartbeatTime);
  });

  it('is not ready while the runtime is down', async () => {
    const n = await node();
    const { RuntimeError } = await import('./runtime.ts');
    n.runtime.down = new RuntimeError('UNAVAILABLE', 'connection refused');
    await n.settle(11 * SECOND);
    const ready = async () =>
      (await n.client.get(Node, { name: 'node-1' })).status?.conditions?.find((c) => c.type === 'Ready');
    expect(await ready()).toMatchObject({
      status: 'False',
      reason: 'KubeletNotReady',
      message: 'container runtime is down: connection refused',
    });
    n.runtime.down = undefined;
    await n.settle(11 * SECOND);
    expect(await ready()).toMatchObject({ status: 'True' });
    expect(n.events).toContain('NodeReady: Node node-1 status is now: NodeReady');
  });
});

describe('an in-place resize', () => {
  const sized = (cpu: string, memory: string, more = {}) => ({
    resources: { requests: { cpu, memory }, limits: { cpu, memory } },
    ...more,
  });
  const resize = (n: TestNode, name: string, cpu: string, memory: string) =>
    n.client.patch(
      Pod,
      { namespace: 'default', name },
      'strategic',
      { spec: { containers: [{ name: 'c', ...sized(cpu, memory) }] } },
      { subresource: 'resize' },
    );

  it('changes a running container without a restart', async () => {
    const n = await node();
    await n.create({ name: 'p', containers: [sized('1', '1Gi')] });
    await n.settle(SECOND);
    await resize(n, 'p', '2', '2Gi');
    await n.settle(SECOND);
    const pod = await n.pod('p');
    expect(pod?.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 0,
      allocatedResources: { cpu: '2', memory: '2Gi' },
      resources: { requests: { cpu: '2', memory: '2Gi' }, limits: { cpu: '2', memory: '2Gi' } },
    });
    expect(pod?.status?.observedGeneration).toBe(2);
    expect(n.runtime.calls.filter((c) => c.startsWith('updateResources'))).toHaveLength(1);
    expect(n.events.filter((e) => e.startsWith('Resize')).map((e) => e.split(':')[0])).toEqual([
      'ResizeStarted',
      'ResizeCompleted',
    ]);
    expect(conditionsOf(pod).filter((c) => c.startsWith('PodResize'))).toEqual([]);
  });

  it('restarts where the policy says so', async () => {
    const n = await node();
    const resizePolicy = [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }];
    await n.create({ name: 'p', containers: [sized('1', '1Gi', { resizePolicy })] });
    await n.settle(SECOND);
    await resize(n, 'p', '1', '2Gi');
    await n.settle(SECOND);
    expect((await n.pod('p'))?.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      resources: { limits: { memory: '2Gi' } },
    });
  });

  it('is infeasible beyond the node, deferred until others go', async () => {
    const n = await node();
    await n.create({ name: 'p', containers: [sized('10', '1Gi')] });
    await n.create({ name: 'other', containers: [sized('20', '1Gi')] });
    await n.settle(SECOND);
    await resize(n, 'p', '40', '1Gi');
    await n.settle(SECOND);
    const pending = async () => (await n.pod('p'))?.status?.conditions?.find((c) => c.type === 'PodResizePending');
    expect(await pending()).toMatchObject({
      status: 'True',
      reason: 'Infeasible',
      message: "Node didn't have enough capacity: cpu, requested: 40000, capacity: 32000",
    });
    await resize(n, 'p', '20', '1Gi');
    await n.settle(SECOND);
    expect(await pending()).toMatchObject({ reason: 'Deferred' });
    expect((await n.pod('p'))?.status?.containerStatuses?.[0]?.allocatedResources).toMatchObject({ cpu: '10' });
    await remove(n, 'other');
    await n.settle(2 * SECOND);
    expect(await pending()).toBeUndefined();
    expect((await n.pod('p'))?.status?.containerStatuses?.[0]?.allocatedResources).toMatchObject({ cpu: '20' });
  });

  it('that fails is told and tried again', async () => {
    const n = await node();
    await n.create({ name: 'p', containers: [sized('1', '1Gi')] });
    await n.settle(SECOND);
    const original = n.runtime.updateResources.bind(n.runtime);
    n.runtime.updateResources = () => Promise.reject(new Error('device or resource busy'));
    await resize(n, 'p', '1', '512Mi');
    await n.settle(SECOND);
    const pod = await n.pod('p');
    expect(pod?.status?.conditions?.find((c) => c.type === 'PodResizeInProgress')).toMatchObject({
      reason: 'Error',
      message: 'device or resource busy',
    });
    expect(pod?.status?.containerStatuses?.[0]).toMatchObject({
      allocatedResources: { memory: '512Mi' },
      resources: { limits: { memory: '1Gi' } },
    });
    n.runtime.updateResources = original;
    await n.settle(10 * SECOND);
    expect(conditionsOf(await n.pod('p')).filter((c) => c.startsWith('PodResize'))).toEqual([]);
  });
});

describe('housekeeping', () => {
  it('rotates logs that have grown too long, and keeps so many', async () => {
    const n = await node({ config: { logMaxBytes: 10, logMaxFiles: 3 } });
    const { metadata } = await n.create({ name: 'p' });
    await n.settle(SECOND);
    const log = `/var/log/pods/default_p_${metadata.uid}/c/0.log`;
    for (let i = 0; i < 4; i++) {
      await n.host.files.write(log, 'more than ten bytes', 0o644);
      await n.settle(10 * SECOND);
    }
    expect((await n.host.files.list(log.slice(0, -6))).sort()).toEqual([
      '0.log.20260101-000030',
      '0.log.20260101-000040',
    ]);
    expect(n.runtime.calls.filter((c) => c.startsWith('reopenLog'))).toHaveLength(4);
    await remove(n, 'p');
    await n.settle(SECOND);
    expect(await n.host.files.list(log.slice(0, -8))).toEqual([]);
  });

  it('weighs burstable pods by what they ask for', async () => {
    const n = await node();
    const limits: Record<string, number> = {};
    n.host.cgroups.apply = async (path, { cpuShares }) => void (limits[path] = cpuShares);
    await n.create({ name: 'p', containers: [{ resources: { requests: { cpu: '500m' } } }] });
    await n.create({ name: 'q', containers: [{ resources: { requests: { cpu: '1' } } }] });
    await n.settle(SECOND);
    expect(limits['/kubepods/burstable']).toBe(1536);
    await remove(n, 'q');
    await n.settle(2 * SECOND);
    expect(limits['/kubepods/burstable']).toBe(512);
  });

  it('an unknown RuntimeClass and an unsupported volume are told of', async () => {
    const n = await node();
    await n.create({ name: 'p', runtimeClassName: 'nope' });
    await n.create({ name: 'q', volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'x' } }] });
    await n.settle(SECOND);
    expect(n.events.find((e) => e.startsWith('FailedCreatePodSandBox'))).toContain('failed to get sandbox runtime');
    expect(n.events.find((e) => e.startsWith('FailedMount'))).toContain('"v" (persistentVolumeClaim) is not supported');
    await remove(n, 'q');
    await n.settle(SECOND);
    expect(await n.pod('q')).toBeUndefined();
  });
});

describe('what others ask of the node', () => {
  it('logs that cannot be given say why', async () => {
    const n = await node({
      simulate: {
        images: [],
        pull: () => {
          throw new Error('none');
        },
      },
    });
    const { createNodeApi } = await import('./node-api.ts');
    const { kubeletConfig } = await import('./config.ts');
    const { env } = n.server;
    const config = kubeletConfig({ nodeName: 'node-1', nodeIPs: [] });
    const api = createNodeApi({ pods: n.pods(), runtime: n.runtime, host: n.host, config, env });
    const { metadata } = await n.create({ name: 'p' });
    await n.settle(SECOND);
    const target = { namespace: 'default', pod: 'p', uid: metadata.uid!, container: 'c' };
    const context = { signal: new AbortController().signal };
    await expect(api.logs(target, {}, context)).rejects.toThrow(
      'container "c" in pod "p" is waiting to start: image can\'t be pulled',
    );
    await expect(api.logs(target, { previous: true }, context)).rejects.toThrow(
      'previous terminated container "c" in pod "p" not found',
    );
    await expect(api.logs({ ...target, container: 'x' }, {}, context)).rejects.toThrow('x is not valid');
    await expect(api.logs({ ...target, uid: 'other' }, {}, context)).rejects.toThrow('cannot be found');
    const exec = { command: ['x'], stdin: false, stdout: true, stderr: true, tty: false };
    await expect(api.exec(target, exec, {}, context)).rejects.toThrow('container not found ("c")');
  });

  it('ephemeral containers start beside the others and are never restarted', async () => {
    const n = await node(acting({ debug: { exitAfter: SECOND, exitCode: 1 } }));
    await n.create({ name: 'p' });
    await n.settle(SECOND);
    await n.client.patch(
      Pod,
      { namespace: 'default', name: 'p' },
      'strategic',
      { spec: { ephemeralContainers: [{ name: 'debug', image: 'busybox:1', targetContainerName: 'c' }] } },
      { subresource: 'ephemeralcontainers' },
    );
    await n.settle(30 * SECOND);
    expect(started(n)).toEqual(['c#0', 'debug#0']);
    const pod = await n.pod('p');
    expect(pod?.status?.phase).toBe('Running');
    expect(pod?.status?.ephemeralContainerStatuses?.[0]).toMatchObject({ state: { terminated: { exitCode: 1 } } });
  });
});

describe('an API that gives no answer', () => {
  it('for an object holds the pod for a while, and never its end', async () => {
    const n = await node();
    const list = n.client.list.bind(n.client);
    n.client.list = ((kind: never, options: { fieldSelector?: string }) =>
      options?.fieldSelector === 'metadata.name=held' ? new Promise(() => {}) : list(kind, options)) as never;
    await n.create({ name: 'p', volumes: [{ name: 'v', secret: { secretName: 'held' } }] });
    await n.settle(6 * SECOND);
    expect(n.events).toContain(
      'FailedMount: MountVolume.SetUp failed for volume "v" : failed to sync secret cache: timed out waiting for the condition',
    );
    await remove(n, 'p');
    await n.settle(SECOND);
    expect(await n.pod('p')).toBeUndefined();
  });
});
