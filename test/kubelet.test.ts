// The kubelet over real containers: volumes, configuration, probes, restarts, recovery and removal, as a pod sees them.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Pod as PodObject } from '../src/api/generated/core-v1.ts';
import { ConfigMap } from '../src/api/kinds/core/config-map.ts';
import { Pod } from '../src/api/kinds/core/pod.ts';
import { Secret } from '../src/api/kinds/core/secret.ts';
import { BUSYBOX_IMAGE } from './fixtures/busybox.ts';
import { startRealKubelet, type RealKubelet } from './fixtures/real-kubelet.ts';

const SLEEP = 'trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done';
const isReady = (pod: PodObject | undefined) =>
  pod?.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True';
const statusOf = (pod: PodObject | undefined) => pod?.status?.containerStatuses?.[0];

describe.skipIf(process.getuid?.() !== 0)('pods', () => {
  let k: RealKubelet;
  beforeAll(async () => {
    k = await startRealKubelet('kt', '10.198.0.0/24');
  });
  afterAll(async () => {
    expect(await k.remove()).toEqual([]);
  });
  const remove = async (name: string) => {
    await k.client.delete(Pod, { namespace: 'default', name });
    await k.until(name, (pod) => pod === undefined);
  };

  test('see their configuration', async () => {
    const meta = { namespace: 'default' };
    await k.client.create(ConfigMap, { metadata: { ...meta, name: 'cfg' }, data: { a: 'from-map', b: '2' } });
    await k.client.create(Secret, {
      metadata: { ...meta, name: 'sec' },
      data: { key: Buffer.from('hidden').toString('base64') },
    });
    await k.create('config', SLEEP, {
      hostname: 'box',
      subdomain: 'sub',
      volumes: [
        { name: 'map', configMap: { name: 'cfg', items: [{ key: 'a', path: 'deep/a' }] } },
        { name: 'secret', secret: { secretName: 'sec', defaultMode: 0o400 } },
        { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
        { name: 'disk', emptyDir: {} },
        {
          name: 'all',
          projected: {
            sources: [
              { downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] } },
              { configMap: { name: 'cfg' } },
            ],
          },
        },
      ],
      securityContext: { fsGroup: 2000 },
      initContainers: [
        {
          name: 'prepare',
          image: BUSYBOX_IMAGE,
          command: ['sh', '-c', 'echo prepared > /disk/file'],
          volumeMounts: [{ name: 'disk', mountPath: '/disk', subPath: 'sub/path' }],
        },
      ],
      container: {
        env: [
          { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
          { name: 'B', valueFrom: { configMapKeyRef: { name: 'cfg', key: 'b' } } },
          { name: 'KEY', valueFrom: { secretKeyRef: { name: 'sec', key: 'key' } } },
        ],
        resources: { limits: { cpu: '500m', memory: '64Mi' } },
        securityContext: { runAsUser: 1000, runAsGroup: 1000, readOnlyRootFilesystem: true },
        volumeMounts: [
          { name: 'map', mountPath: '/map' },
          { name: 'secret', mountPath: '/secret' },
          { name: 'memory', mountPath: '/memory' },
          { name: 'disk', mountPath: '/disk' },
          { name: 'all', mountPath: '/all' },
        ],
      },
    });
    const pod = await k.until('config', isReady);
    const sh = (script: string) => k.exec('config', 'sh', '-c', script);
    expect(await sh('echo $IP $B $KEY')).toBe(`${pod!.status!.podIP} 2 hidden\n`);
    expect(await sh('cat /map/deep/a /all/name /all/a')).toBe('from-mapconfigfrom-map');
    expect(await sh('cat /secret/key; cat /disk/sub/path/file')).toBe('hiddenprepared\n');
    expect(await sh('id -u; id -g; id -G')).toBe('1000\n1000\n1000 2000\n');
    expect(await sh('mount | grep -c "tmpfs on /memory"')).toBe('1\n');
    expect(await sh('touch /memory/x /disk/x && stat -c %g /memory/x /disk/x')).toBe('2000\n2000\n');
    expect(await sh('touch /x 2>&1')).toContain('Read-only file system');
    expect(await sh('hostname; cat /etc/hosts')).toContain(
      `${pod!.status!.podIP}\tbox.sub.default.svc.cluster.local\tbox`,
    );
    expect(await sh('cat /etc/resolv.conf')).toContain(
      'search default.svc.cluster.local svc.cluster.local cluster.local',
    );
    const memory = '/sys/fs/cgroup/memory/memory.limit_in_bytes';
    if (existsSync(memory)) expect(await sh(`cat ${memory}`)).toBe(`${64 << 20}\n`);
    const map = (await k.client.get(ConfigMap, { namespace: 'default', name: 'cfg' }))!;
    await k.client.update(ConfigMap, { ...map, data: { a: 'changed', b: '2' } });
    expect(await sh('until grep -q changed /map/deep/a /all/a; do usleep 10000; done; echo seen')).toBe('seen\n');
    const directory = join(k.rootDirectory, 'pods', pod!.metadata.uid!);
    expect(existsSync(directory)).toBe(true);
    await remove('config');
    await expect.poll(() => existsSync(directory)).toBe(false);
    await expect.poll(() => readdirSync(join(k.rootDirectory, 'memory'))).toEqual([]);
  });

  test('are resized while they run', async () => {
    const sized = (cpu: string, memory: string) => ({ limits: { cpu, memory }, requests: { cpu, memory } });
    await k.create('sized', SLEEP, { container: { resources: sized('100m', '32Mi') } });
    await k.until('sized', isReady);
    await k.client.patch(
      Pod,
      { namespace: 'default', name: 'sized' },
      'strategic',
      { spec: { containers: [{ name: 'c', resources: sized('200m', '64Mi') }] } },
      { subresource: 'resize' },
    );
    const pod = await k.until('sized', (p) => statusOf(p)?.resources?.limits?.['memory'] === '64Mi');
    expect(statusOf(pod)?.restartCount).toBe(0);
    const memory = '/sys/fs/cgroup/memory/memory.limit_in_bytes';
    if (existsSync(memory)) expect(await k.exec('sized', 'cat', memory)).toBe(`${64 << 20}\n`);
    await remove('sized');
  });

  test('see the content of images', async () => {
    await k.create('imaged', SLEEP, {
      volumes: [{ name: 'v', image: { reference: BUSYBOX_IMAGE, pullPolicy: 'IfNotPresent' } }],
      container: { volumeMounts: [{ name: 'v', mountPath: '/v' }] },
    });
    await k.until('imaged', isReady);
    expect(await k.exec('imaged', 'sh', '-c', 'ls -d /v/bin/busybox; touch /v/x 2>&1')).toMatch(
      /^\/v\/bin\/busybox\n.*Read-only file system/,
    );
    await remove('imaged');
  });

  test('log, end, and leave their last words', async () => {
    await k.create('words', 'echo out; echo err >&2; echo -n bye > /dev/termination-log; exit 3', {
      restartPolicy: 'Never',
    });
    const pod = await k.until('words', (p) => p?.status?.phase === 'Failed');
    expect(statusOf(pod)?.state?.terminated).toMatchObject({ exitCode: 3, reason: 'Error', message: 'bye' });
    expect((await k.logs('words')).split('\n').sort()).toEqual(['', 'err', 'out']);
    await k.create('fallback', 'echo the end; exit 1', {
      restartPolicy: 'Never',
      container: { terminationMessagePolicy: 'FallbackToLogsOnError' },
    });
    const other = await k.until('fallback', (p) => p?.status?.phase === 'Failed');
    expect(statusOf(other)?.state?.terminated?.message).toBe('the end\n');
    await Promise.all([remove('words'), remove('fallback')]);
  });

  test('are killed for too much memory and for bad health', async () => {
    await k.create('greedy', 'tail /dev/zero', {
      restartPolicy: 'Never',
      container: { resources: { limits: { memory: '16Mi' } } },
    });
    await k.create('sick', `touch /tmp/ok; (sleep 1; rm /tmp/ok) & ${SLEEP}`, {
      container: { livenessProbe: { exec: { command: ['cat', '/tmp/ok'] }, periodSeconds: 1, failureThreshold: 1 } },
    });
    const greedy = await k.until('greedy', (p) => p?.status?.phase === 'Failed');
    expect(statusOf(greedy)?.state?.terminated).toMatchObject({ reason: 'OOMKilled', exitCode: 137 });
    await k.until('sick', (p) => (statusOf(p)?.restartCount ?? 0) > 0 && isReady(p));
    const events = await k.events('sick');
    expect(events).toContain(
      "Unhealthy: Liveness probe failed: cat: can't open '/tmp/ok': No such file or directory\n",
    );
    expect(events).toContain('Killing: Container c failed liveness probe, will be restarted');
    expect(await k.logs('sick', 'c', true)).toBe('');
    await Promise.all([remove('greedy'), remove('sick')]);
  });

  test('are probed over the network', async () => {
    await k.create(
      'web',
      'mkdir -p /tmp/www; sleep 1; echo hi > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www',
      {
        container: {
          ports: [{ name: 'http', containerPort: 8080 }],
          readinessProbe: { httpGet: { port: 'http' }, periodSeconds: 1 },
        },
      },
    );
    await k.until('web', (p) => statusOf(p)?.state?.running !== undefined);
    expect(isReady(k.pod('web'))).toBe(false);
    await k.until('web', isReady);
    expect((await k.events('web')).some((e) => e.includes('connect: connection refused'))).toBe(true);
    await remove('web');
  });

  test('go on through restarts of the kubelet and of containerd', async () => {
    await k.create('steady', SLEEP);
    await k.create('deleted', SLEEP);
    const before = await k.until('steady', isReady);
    await k.until('deleted', isReady);
    await k.restart(async () => {
      await k.client.delete(Pod, { namespace: 'default', name: 'deleted' }, { gracePeriodSeconds: 0 });
      await k.node.restart();
    });
    await expect
      .poll(async () => (await k.node.containerd.runtime.listSandboxes()).map((s) => s.pod.name))
      .toEqual(['steady']);
    const after = k.pod('steady')!;
    expect(statusOf(after)).toEqual(statusOf(before));
    await k.exec('steady', 'kill', '1');
    const again = await k.until('steady', (p) => statusOf(p)?.restartCount === 1 && isReady(p));
    expect(statusOf(again)?.lastState?.terminated).toMatchObject({ exitCode: 0, reason: 'Completed' });
    await remove('steady');
  });

  test('tell what is wrong with them', async () => {
    await k.create('nocommand', '', { container: { command: ['/no/such/program'] } });
    await k.create('noimage', SLEEP, { container: { image: '127.0.0.1:1/none:1' } });
    await k.create('noroot', SLEEP, { securityContext: { runAsNonRoot: true } });
    const reason = (pod: PodObject | undefined) => statusOf(pod)?.state?.waiting?.reason;
    const nocommand = await k.until('nocommand', (p) => reason(p) === 'RunContainerError');
    expect(statusOf(nocommand)?.state?.waiting?.message).toContain('/no/such/program');
    await k.until('noimage', (p) => reason(p) === 'ErrImagePull');
    await k.until('noimage', (p) => reason(p) === 'ImagePullBackOff');
    const noroot = await k.until('noroot', (p) => reason(p) === 'CreateContainerConfigError');
    expect(statusOf(noroot)?.state?.waiting?.message).toContain(
      'container has runAsNonRoot and image will run as root (pod: "noroot_default(',
    );
    await Promise.all(['nocommand', 'noimage', 'noroot'].map(remove));
  });

  test('leave nothing behind', async () => {
    await expect.poll(() => k.node.containerd.runtime.listSandboxes()).toEqual([]);
    await expect.poll(() => readdirSync(join(k.rootDirectory, 'pods'))).toEqual([]);
    const cgroups = `/sys/fs/cgroup/memory${k.node.parts.cgroupRoot}`;
    const pods = (path: string) => (existsSync(path) ? readdirSync(path).filter((n) => n.startsWith('pod')) : []);
    await expect.poll(() => [cgroups, `${cgroups}/burstable`, `${cgroups}/besteffort`].flatMap(pods)).toEqual([]);
  });
});
