import { expect, test } from 'vitest';
import type { MachineFacts } from './machine-facts.ts';
import { judge, PROGRAMS } from './preflight.ts';

const good: MachineFacts = {
  platform: 'linux',
  architecture: 'x64',
  uid: 0,
  capabilities: (1n << 41n) - 1n,
  cgroups: { version: 'v1', controllers: ['cpu', 'memory', 'pids', 'devices'], writable: true },
  missingNamespaces: [],
  overlay: undefined,
  overlayKnown: true,
  network: undefined,
  bridgeNetfilter: true,
  programs: new Set(['crun', ...Object.keys(PROGRAMS)]),
  cniPlugins: true,
  containerdVersion: '1.6.20',
  aptGet: true,
  dataDir: '/var/lib/coracle',
  freeBytes: 5e9,
};
const without = (...names: string[]) => new Set([...good.programs].filter((name) => !names.includes(name)));

test('a good machine', () => {
  expect(judge(good)).toEqual([]);
  expect(judge({ ...good, programs: new Set([...without('crun'), 'runc']), containerdVersion: '2.1.0' })).toEqual([]);
});

const cases: [Partial<MachineFacts>, boolean, string][] = [
  [{ platform: 'darwin' }, true, 'Real containers need Linux, and this is darwin.'],
  [{ architecture: 'riscv64' }, true, 'Real containers need an x86-64 or arm64 machine, and this is riscv64.'],
  [{ uid: 1000 }, true, 'Real containers need root: run the same command with sudo.'],
  [
    { capabilities: 0xa80425fbn },
    true,
    'Real containers need CAP_NET_ADMIN and CAP_SYS_ADMIN, which this root user does not have: ' +
      'run on the machine itself or in a privileged container.',
  ],
  [
    { cgroups: { version: 'none', controllers: [], writable: false } },
    true,
    'Real containers need cgroups, and none are mounted: mount them at /sys/fs/cgroup.',
  ],
  [
    { cgroups: { version: 'v2', controllers: ['cpu', 'pids'], writable: true } },
    true,
    'Real containers need the cgroup controllers memory: boot the kernel with cgroup_enable=memory.',
  ],
  [
    { cgroups: { ...good.cgroups, writable: false } },
    true,
    'Real containers need to make cgroups, and /sys/fs/cgroup is read-only here.',
  ],
  [{ missingNamespaces: ['net'] }, true, 'This kernel lacks net namespaces: real containers need them.'],
  [
    { overlay: 'wrong fs type', dataDir: '/data' },
    false,
    'Images cannot be kept below /data (wrong fs type): choose a folder on a plain disk with --data-dir.',
  ],
  [
    { overlay: 'unknown file system', overlayKnown: false },
    true,
    'This kernel has no overlay file system, which real containers need: load it with modprobe overlay.',
  ],
  [{ network: 'Unknown device type' }, true, 'This kernel cannot make pod networks: Unknown device type.'],
  [
    { bridgeNetfilter: false },
    false,
    'Services need the kernel module br_netfilter: load it with modprobe br_netfilter.',
  ],
  [{ containerdVersion: '1.4.13' }, false, 'containerd 1.6 or newer is needed, and this is 1.4.13: upgrade it.'],
  [
    { containerdVersion: undefined },
    false,
    'containerd 1.6 or newer is needed, and its version cannot be told: upgrade it.',
  ],
  [{ freeBytes: 3e8 }, false, 'Only 300 MB are free for /var/lib/coracle: make room for at least 1 GB.'],
];
test.each(cases)('%o', (facts, fatal, message) => {
  expect(judge({ ...good, ...facts })).toEqual([{ message, fatal }]);
});

test('missing programs: packages to install, or a sentence where there is no apt-get', () => {
  const bare = { ...good, programs: without('containerd', 'ctr', 'crun', 'nft'), cniPlugins: false };
  const packages = ['containerd', 'containernetworking-plugins', 'crun', 'nftables'];
  const names = 'containerd, containernetworking-plugins, crun and nftables';
  expect(judge(bare)).toEqual([{ message: `These Debian packages are missing: ${names}.`, fatal: false, packages }]);
  expect(judge({ ...bare, aptGet: false })).toEqual([
    { message: `Real containers need ${names}: install them, for there is no apt-get here to do it.`, fatal: true },
  ]);
});

test('the worst comes first', () => {
  const found = judge({ ...good, freeBytes: 0, bridgeNetfilter: false, missingNamespaces: ['pid'] });
  expect(found.map((finding) => finding.fatal)).toEqual([true, false, false]);
});
