// What pods are configured with: objects, environment, resources that change, logs and cgroups, in virtual time.

import { afterEach, describe, expect, it } from 'vitest';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { Service } from '../api/kinds/core/service.ts';
import type { ContainerConfig } from './runtime.ts';
import type { TestNode } from '../cluster/test-node.ts';
import { closeNodes, node, acting, SECOND, conditionsOf, remove } from '../cluster/test-pods.ts';

afterEach(closeNodes);

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
