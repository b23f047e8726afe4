// Cluster IPs and node ports, over the real pipeline.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { Service } from '../api/kinds/core/service.ts';
import { seededRandom } from '../base/virtual-clock.ts';
import { createTestServer, type TestServer } from '../cluster/test-server.ts';
import { addressIn, hostsOf, ServiceAllocator } from './service-allocator.ts';
import { NumberPool } from './number-pool.ts';

let t: TestServer;
beforeEach(() => void (t = createTestServer()));
afterEach(() => t.close());

const service = (name: string, spec: object = {}) =>
  ({ metadata: { name, namespace: 'ns' }, spec: { ports: [{ port: 80 }], ...spec } }) as Service;
const create = (name: string, spec?: object) => t.client.create(Service, service(name, spec));
const remove = (name: string) => t.client.delete(Service, { namespace: 'ns', name });

test('addresses are given, honoured, refused and given back', async () => {
  const a = await create('a');
  expect(a.spec.clusterIP).toMatch(/^10\.(9[6-9]|10\d|11[01])\./);
  expect(a.spec).toMatchObject({ clusterIPs: [a.spec.clusterIP], ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' });
  const b = await create('b', { clusterIP: '10.96.0.10' });
  expect(b.spec.clusterIPs).toEqual(['10.96.0.10']);
  await expect(create('c', { clusterIP: '10.96.0.10' })).rejects.toMatchObject({
    code: 422,
    message:
      'Service "c" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: provided IP is already allocated',
  });
  await expect(create('c', { clusterIP: '10.0.0.1' })).rejects.toMatchObject({ code: 422 });
  await remove('b');
  await create('c', { clusterIP: '10.96.0.10' });
  expect((await create('d', { clusterIP: 'None' })).spec.clusterIP).toBe('None');
  const e = await create('e', { type: 'ExternalName', externalName: 'x.y' });
  expect(e.spec.clusterIP).toBeUndefined();
});

test('an update keeps what was given, and gets what it lacks', async () => {
  const a = await create('a', { type: 'NodePort' });
  const port = a.spec.ports![0]!.nodePort!;
  expect(port).toBeGreaterThanOrEqual(30_086);
  const again = await t.client.update(Service, service('a', { type: 'NodePort', ports: [{ port: 81 }] }));
  expect(again.spec).toMatchObject({ clusterIP: a.spec.clusterIP, ports: [{ port: 81, nodePort: port }] });
  const plain = await t.client.update(Service, service('a'));
  expect(plain.spec.ports![0]!.nodePort).toBeUndefined();
  await create('b', { type: 'NodePort', ports: [{ port: 80, nodePort: port }] });
  const external = await t.client.update(
    Service,
    service('a', { type: 'ExternalName', externalName: 'x.y', ports: [] }),
  );
  expect(external.spec.clusterIP).toBeUndefined();
  const back = await t.client.update(Service, service('a', { clusterIP: a.spec.clusterIP }));
  expect(back.spec.clusterIP).toBe(a.spec.clusterIP);
  const change = t.client.patch(Service, { namespace: 'ns', name: 'a' }, 'merge', {
    spec: { clusterIP: '10.96.0.99', clusterIPs: ['10.96.0.99'] },
  });
  await expect(change).rejects.toMatchObject({ message: expect.stringContaining('may not change once set') as string });
});

test('node ports', async () => {
  await create('a', { type: 'NodePort', ports: [{ port: 80, nodePort: 30_000 }] });
  await expect(create('b', { type: 'NodePort', ports: [{ port: 80, nodePort: 30_000 }] })).rejects.toMatchObject({
    message: 'Service "b" is invalid: spec.ports[0].nodePort: Invalid value: 30000: provided port is already allocated',
  });
  await expect(create('b', { type: 'NodePort', ports: [{ port: 80, nodePort: 80 }] })).rejects.toMatchObject({
    message:
      'Service "b" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767',
  });
  const dns = await create('dns', {
    type: 'NodePort',
    ports: [
      { name: 'u', port: 53, protocol: 'UDP' },
      { name: 't', port: 53, protocol: 'TCP' },
    ],
  });
  expect(dns.spec.ports![0]!.nodePort).toBe(dns.spec.ports![1]!.nodePort);
});

test('many at once never clash, and a failed or dry write holds nothing', async () => {
  t.close();
  t = createTestServer();
  const small = new ServiceAllocator(t.server.caches, seededRandom(1), { clusterIPs: '10.0.0.0/28' });
  (t.server.allocators as Map<string, unknown>).set('services', small);
  const twice = await Promise.allSettled([create('a'), create('a'), create('x', { ports: [{ port: -1 }] })]);
  expect(twice.map((r) => r.status)).toEqual(['fulfilled', 'rejected', 'rejected']);
  await t.client.create(Service, service('dry'), { dryRun: true });
  const rest = await Promise.all(Array.from({ length: 13 }, (_, i) => create(`s${i}`)));
  const ips = new Set(rest.map((s) => s.spec.clusterIP));
  expect(ips.size).toBe(13);
  await expect(create('z')).rejects.toMatchObject({
    code: 500,
    message: expect.stringContaining('range is full') as string,
  });
  await remove('s0');
  expect((await create('z')).spec.clusterIP).toBe(rest[0]!.spec.clusterIP);
});

test('a restarted server knows what is taken', async () => {
  const a = await create('a', { clusterIP: '10.96.0.7' });
  const { store } = t;
  t.close();
  t = createTestServer({ store });
  await expect(create('b', { clusterIP: a.spec.clusterIP })).rejects.toMatchObject({ code: 422 });
});

test('blocks and pools', () => {
  expect(hostsOf('10.96.0.0/30')).toEqual({ first: 0x0a600001, last: 0x0a600002 });
  expect(addressIn('10.96.0.0/12', 10)).toBe('10.96.0.10');
  for (const block of ['10.0.0.0', '10.0.0.0/32', 'fd00::/64', 'x/8']) expect(() => hostsOf(block)).toThrow(RangeError);
  const pool = new NumberPool(1, 4, 2);
  const [a, b] = [{}, {}];
  const random = seededRandom(1);
  expect([pool.reserveAny(a, random), pool.reserveAny(a, random)].sort()).toEqual([3, 4]);
  expect(pool.reserve(b, 'b', 3)).toBe('allocated');
  expect(pool.reserve(b, 'b', 9)).toBe('out of range');
  pool.own('a', [], [3]);
  pool.release(a, 3);
  expect(pool.reserve(a, 'a', 3)).toBeUndefined();
  expect(pool.reserve(b, 'b', 3)).toBe('allocated');
});
