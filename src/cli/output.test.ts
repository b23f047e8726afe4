import { expect, test } from 'vitest';
import { printStatus } from './output.ts';
import type { ClusterStatus } from './platform.ts';

const now = Date.parse('2030-01-01T00:00:00Z');
const running: ClusterStatus = {
  name: 'a',
  state: 'running',
  nodes: 'real',
  server: 'https://192.0.2.7:6443',
  dataDir: '/data',
  pid: 7,
  startedAt: now - 90_000,
  now,
  residentBytes: 110e6,
  components: [
    { name: 'etcd', healthy: true, message: '' },
    { name: 'informer-sync', healthy: false, message: 'failed: reason withheld' },
  ],
  workload: { nodes: { Ready: 2, NotReady: 1 }, pods: { Running: 3, Pending: 1 }, restarts: 4 },
  certificates: [
    { name: 'apiserver', notAfter: '2030-01-11T00:00:00.000Z' },
    { name: 'ca', notAfter: '2039-01-01T00:00:00.000Z' },
  ],
  figures: [['store', '9 objects']],
};

function printed(status: ClusterStatus): string {
  let text = '';
  printStatus(status, { out: (more) => (text += more), err: () => {}, isTTY: false, debug: false });
  // eslint-disable-next-line no-control-regex
  return text.replaceAll(/\u001b\[\d+m/g, '');
}

test('state of nodes, pods and certificates', () => {
  expect(printed(running)).toBe(`cluster        a
state          running
data           /data
server         https://192.0.2.7:6443
process        7, 110 MB resident
started        90s ago
nodes          2 Ready, 1 NotReady
pods           3 Running, 1 Pending; 4 restarts
certificates   2; apiserver ends in 10d (2030-01-11)
store          9 objects
  ok  etcd
  bad informer-sync: failed: reason withheld
`);
});

test('nothing to run, a certificate that has ended', () => {
  const certificates = [{ name: 'apiserver', notAfter: '2029-01-11T00:00:00.000Z' }];
  const text = printed({ ...running, workload: { nodes: {}, pods: {}, restarts: 0 }, certificates });
  expect(text).toContain('\npods           none; 0 restarts\n');
  expect(text).toContain('1; apiserver HAS ENDED (2029-01-11)');
});
