import { expect, test } from 'vitest';
import type { Service } from '../api/generated/core-v1.ts';
import type { EndpointSlice } from '../api/generated/discovery-v1.ts';
import { answer, type DnsView } from './names.ts';

const meta = (name: string, labels: Record<string, string> = {}) => ({
  name,
  namespace: 'shop',
  uid: name,
  resourceVersion: '1',
  creationTimestamp: '',
  labels,
});
const service = (name: string, spec: Partial<Service['spec']>): Service => ({ metadata: meta(name), spec });
const services = [
  service('web', {
    clusterIP: '10.96.0.7',
    clusterIPs: ['10.96.0.7'],
    ports: [
      { name: 'http', port: 80, protocol: 'TCP' },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ],
  }),
  service('db', { clusterIP: 'None', clusterIPs: ['None'], ports: [{ name: 'sql', port: 5432 }] }),
  service('six', { clusterIP: 'fd00::7', clusterIPs: ['fd00::7'], ports: [{ port: 80 }] }),
  service('empty', { clusterIP: 'None', clusterIPs: ['None'] }),
  service('far', { type: 'ExternalName', externalName: 'example.org' }),
];
const slice: EndpointSlice = {
  metadata: meta('db-1', { 'kubernetes.io/service-name': 'db' }),
  addressType: 'IPv4',
  ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }],
  endpoints: [
    { addresses: ['10.244.0.5'], hostname: 'db-0', conditions: { ready: true } },
    { addresses: ['10.244.0.6'], conditions: { ready: true } },
    { addresses: ['10.244.0.9'], conditions: { ready: false } },
  ],
};
const view: DnsView = {
  service: (namespace, name) => services.find((s) => s.metadata.namespace === namespace && s.metadata.name === name),
  slices: (_, name) => (name === 'db' ? [slice] : []),
  hasNamespace: (namespace) => namespace === 'shop',
  servicesByIp: (ip) => services.filter((s) => s.spec.clusterIPs?.includes(ip)),
  slicesByIp: (ip) => (slice.endpoints?.some((e) => e.addresses.includes(ip)) ? [slice] : []),
};
const ask = (name: string, type = 'A') => {
  const { status, answers, additionals } = answer({ name, type }, 'cluster.local', view);
  const show = (r: (typeof answers)[number]) => (r.type === 'SRV' ? `${r.data.port} ${r.data.target}` : r.data);
  return [status, ...answers.map(show), ...(additionals.length ? ['+', ...additionals.map(show)] : [])].join(' ');
};

test.each([
  ['web.shop.svc.cluster.local', 'A', 'found 10.96.0.7'],
  ['WEB.Shop.svc.cluster.local.', 'A', 'found 10.96.0.7'],
  ['web.shop.svc.cluster.local', 'AAAA', 'empty'],
  [
    'web.shop.svc.cluster.local',
    'SRV',
    'found 80 web.shop.svc.cluster.local 53 web.shop.svc.cluster.local + 10.96.0.7',
  ],
  ['_http._tcp.web.shop.svc.cluster.local', 'SRV', 'found 80 web.shop.svc.cluster.local + 10.96.0.7'],
  ['_http._udp.web.shop.svc.cluster.local', 'SRV', 'nxdomain'],
  ['db.shop.svc.cluster.local', 'A', 'found 10.244.0.5 10.244.0.6'],
  ['db-0.db.shop.svc.cluster.local', 'A', 'found 10.244.0.5'],
  ['10-244-0-6.db.shop.svc.cluster.local', 'A', 'found 10.244.0.6'],
  ['db-7.db.shop.svc.cluster.local', 'A', 'nxdomain'],
  [
    '_sql._tcp.db.shop.svc.cluster.local',
    'SRV',
    'found 5432 db-0.db.shop.svc.cluster.local 5432 10-244-0-6.db.shop.svc.cluster.local + 10.244.0.5 10.244.0.6',
  ],
  ['empty.shop.svc.cluster.local', 'A', 'nxdomain'],
  ['far.shop.svc.cluster.local', 'A', 'found example.org'],
  ['nobody.shop.svc.cluster.local', 'A', 'nxdomain'],
  ['shop.svc.cluster.local', 'A', 'empty'],
  ['none.svc.cluster.local', 'A', 'nxdomain'],
  ['svc.cluster.local', 'A', 'empty'],
  ['10-244-0-5.shop.pod.cluster.local', 'A', 'found 10.244.0.5'],
  ['10-244-0-555.shop.pod.cluster.local', 'A', 'nxdomain'],
  ['fd00--5.shop.pod.cluster.local', 'AAAA', 'found fd00::5'],
  ['fd00--5.shop.pod.cluster.local', 'A', 'empty'],
  ['a-b.shop.pod.cluster.local', 'AAAA', 'nxdomain'],
  [
    `${'7'.padEnd(32, '0').split('').join('.').slice(0, 55)}.0.0.d.f.ip6.arpa`,
    'PTR',
    'found six.shop.svc.cluster.local',
  ],
  ['1.0.ip6.arpa', 'PTR', 'outside'],
  ['dns-version.cluster.local', 'TXT', 'found 1.1.0'],
  ['7.0.96.10.in-addr.arpa', 'PTR', 'found web.shop.svc.cluster.local'],
  ['5.0.244.10.in-addr.arpa', 'PTR', 'found db-0.db.shop.svc.cluster.local'],
  ['1.1.1.1.in-addr.arpa', 'PTR', 'outside'],
  ['example.org', 'A', 'outside'],
])('%s %s: %s', (name, type, expected) => {
  expect(ask(name, type)).toBe(expected);
});
