// Whole pod lifecycles: a kubelet on the simulated runtime against the real API server, in virtual time. Its siblings
// kubelet-*.test.ts have the rest: containers that end, what goes wrong, configuration and resources.

import { afterEach, describe, expect, it } from 'vitest';
import { Lease } from '../api/kinds/coordination/lease.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { testNode, type TestNode } from '../cluster/test-node.ts';
import { forgetNodes, closeNodes, node, acting, SECOND, conditionsOf, remove, started } from '../cluster/test-pods.ts';

afterEach(closeNodes);

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
    forgetNodes();
    server.close();
  });

  /** Stops a kubelet while its runtime starts the container, which another start would do at once. */
  async function stoppedWhileStarting(how: (runtime: TestNode['runtime'], id: string) => void) {
    let starts = 0;
    const first = await testNode(acting({ c: () => (starts++ === 0 ? { startDelay: 30 * SECOND } : {}) }));
    await first.create({ name: 'p', restartPolicy: 'Never' });
    await first.settle(2 * SECOND);
    await first.stop();
    const { server, runtime, host } = first;
    const [made] = await runtime.listContainers();
    expect(made).toMatchObject({ state: 'created' });
    how(runtime, made!.id);
    return { server, runtime, host, id: made!.id };
  }

  it.each([
    ['goes on', () => {}],
    ['was given up', (runtime: TestNode['runtime'], id: string) => runtime.interrupt(id)],
  ])('makes anew what never ran: the start %s', async (_, how) => {
    const { server, runtime, host, id } = await stoppedWhileStarting(how);
    const second = await node({ server, runtime, host });
    await second.settle(60 * SECOND);
    expect(started(second)).toEqual(['c#0', 'c#0']);
    expect((await second.pod('p'))?.status).toMatchObject({
      phase: 'Running',
      containerStatuses: [{ restartCount: 0, lastState: {}, ready: true }],
    });
    expect((await runtime.listContainers()).map((c) => [c.id === id, c.state])).toEqual([[false, 'running']]);
    await second.close();
    forgetNodes();
    server.close();
  });

  it('tells a failed start that is no interrupted one as it is', async () => {
    const first = await testNode(acting({ c: { startDelay: SECOND, startError: 'exec: "nope": not found' } }));
    await first.create({ name: 'p', restartPolicy: 'Never' });
    await first.settle(500);
    await first.stop();
    const { server, runtime, host } = first;
    await server.clock.advance(2 * SECOND);
    const second = await node({ server, runtime, host });
    await second.settle(5 * SECOND);
    expect((await second.pod('p'))?.status).toMatchObject({
      phase: 'Failed',
      containerStatuses: [{ restartCount: 0, state: { terminated: { exitCode: 128, reason: 'StartError' } } }],
    });
    await second.close();
    forgetNodes();
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
    forgetNodes();
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
    forgetNodes();
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
