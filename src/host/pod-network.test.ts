import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cniConfig, networkTable } from './cni.ts';
import { containerdConfig } from './containerd/config.ts';
import { lastWords } from './containerd/daemon.ts';
import { elementCommands, publishedPorts } from './host-ports.ts';
import { isBelow, mountOf, parseMountInfo } from './mounts.ts';
import { readSysctl } from './sysctls.ts';
import { writeFileSync } from 'node:fs';

test('the bridge has the node’s addresses', () => {
  const config = cniConfig({ bridge: 'cor0', dataDir: '/run/x' }, { podCidr: '10.244.1.0/24', mtu: 1450 });
  expect(config).toMatchObject({
    name: 'coracle-cor0',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cor0',
        mtu: 1450,
        ipam: { type: 'host-local', dataDir: '/run/x', ranges: [[{ subnet: '10.244.1.0/24' }]] },
      },
    ],
  });
});

test('traffic among all pods keeps its source', () => {
  const table = networkTable('cor0', { podCidr: '10.244.1.0/24', clusterCidr: '10.244.0.0/16' });
  expect(table).toContain('ip saddr 10.244.1.0/24 ip daddr != { 10.244.0.0/16, 224.0.0.0/4 }');
  expect(table.startsWith('table ip coracle_cor0 {}\ndelete table ip coracle_cor0\n')).toBe(true);
});

test('host ports: for all addresses, for one, not for other families', () => {
  const port = { protocol: 'TCP', containerPort: 80, hostPort: 8080, hostIP: '' } as const;
  const published = publishedPorts(
    [
      port,
      { ...port, hostPort: 53, protocol: 'UDP', hostIP: '0.0.0.0' },
      { ...port, hostPort: 81, hostIP: '192.0.2.1' },
      { ...port, hostPort: 82, hostIP: '::1' },
    ],
    ['fd00::5', '10.244.0.5'],
  );
  expect(elementCommands('t', 'add', published).split('\n')).toEqual([
    'add element ip t any_keys { tcp . 8080 }',
    'add element ip t any_ports { tcp . 8080 : 10.244.0.5 . 80 }',
    'add element ip t any_keys { udp . 53 }',
    'add element ip t any_ports { udp . 53 : 10.244.0.5 . 80 }',
    'add element ip t one_keys { 192.0.2.1 . tcp . 81 }',
    'add element ip t one_ports { 192.0.2.1 . tcp . 81 : 10.244.0.5 . 80 }',
    '',
  ]);
  expect(publishedPorts([port], ['fd00::5'])).toEqual([]);
});

test('mounts as the kernel lists them', () => {
  const mounts = parseMountInfo(
    [
      '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
      '28 27 0:25 / /mnt/with\\040blank rw shared:4 master:1 - tmpfs none rw,size=4k',
      '29 27 254:0 /sub /mnt/with\\040blank/sub rw - ext4 /dev/vda rw',
      '',
    ].join('\n'),
  );
  expect(mounts).toEqual([
    { mountPoint: '/', type: 'ext4', source: '/dev/vda', shared: false },
    { mountPoint: '/mnt/with blank', type: 'tmpfs', source: 'none', shared: true },
    { mountPoint: '/mnt/with blank/sub', type: 'ext4', source: '/dev/vda', shared: false },
  ]);
  expect(mountOf(mounts, '/mnt/with blank/x/y')!.shared).toBe(true);
  expect(mountOf(mounts, '/mnt/with blankets')!.mountPoint).toBe('/');
  expect(isBelow('/a/b', '/a')).toBe(true);
  expect(isBelow('/ab', '/a')).toBe(false);
});

test('the configuration of containerd is TOML', () => {
  const text = containerdConfig({
    root: '/data/"root"',
    state: '/run/c',
    socket: '/run/c.sock',
    cniBinDirs: ['/usr/lib/cni'],
    cniConfDir: '/run/cni',
    registryDir: '/data/certs.d',
    streamAddress: '127.0.0.1',
    runtimes: [
      { name: 'crun', binary: '/usr/bin/crun' },
      { name: 'runc', binary: '/usr/sbin/runc' },
    ],
    features: { apparmor: false, hugetlb: true, lowerOomScores: false },
  });
  expect(text).toMatch(/^version = 2\nroot = "\/data\/\\"root\\""\n/);
  expect(text).toContain('\n["grpc"]\naddress = "/run/c.sock"\n');
  expect(text).toContain('\n["plugins"."io.containerd.grpc.v1.cri"."containerd"]\nsnapshotter = "overlayfs"\n');
  expect(text).toContain('"runtimes"."crun"."options"]\nBinaryName = "/usr/bin/crun"\n');
  expect(text).toContain('restrict_oom_score_adj = true\ndisable_hugetlb_controller = false\n');
  expect(text.indexOf('disabled_plugins')).toBeLessThan(text.indexOf('\n['));
});

test('the last words of containerd', () => {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-words-'));
  const file = join(dir, 'log');
  try {
    writeFileSync(
      file,
      'time="x" level=error msg="first"\ncontainerd: plain \nlevel=fatal msg="it \\"broke\\"" error="disk full"\n',
    );
    expect(lastWords(file)).toBe('first; containerd: plain ; it "broke": disk full');
    writeFileSync(file, '');
    expect(lastWords(file)).toBe('it left no log');
    expect(lastWords(join(dir, 'none'))).toBe('it left no log');
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('a kernel setting that is not there', async () => {
  expect(await readSysctl('net.no.such.setting')).toBeUndefined();
  expect(await readSysctl('kernel.ostype')).toBe('Linux');
});
