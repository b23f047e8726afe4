import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Service } from '../api/generated/core-v1.ts';
import type { Endpoint, EndpointSlice } from '../api/generated/discovery-v1.ts';
import { FrontendClaims } from './frontend-claims.ts';
import { keepSlots, planService } from './plan.ts';
import type { Backend } from './rule-set.ts';

const HERE = { name: 'n1', zone: 'a' };
const service = (spec: Partial<Service['spec']> = {}, more: object = {}): Service =>
  ({
    metadata: { name: 'web', namespace: 'shop', uid: 'u' },
    spec: { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'], ports: [{ port: 80, protocol: 'TCP' }], ...spec },
    ...more,
  }) as unknown as Service;
/** `ip[@node] [not-ready] [terminating] [serving] [zone=x] [node=x]` */
function endpoint(text: string): Endpoint {
  const [where = '', ...flags] = text.split(' ');
  const [ip = '', nodeName = ''] = where.split('@');
  const hint = (kind: string) => flags.filter((f) => f.startsWith(`${kind}=`)).map((f) => ({ name: f.split('=')[1]! }));
  const terminating = flags.includes('terminating');
  const ready = !flags.includes('not-ready') && !terminating;
  const [forZones, forNodes] = [hint('zone'), hint('node')];
  return {
    addresses: [ip],
    ...(nodeName ? { nodeName } : {}),
    conditions: { ready, serving: ready || flags.includes('serving'), terminating },
    hints: { ...(forZones.length ? { forZones } : {}), ...(forNodes.length ? { forNodes } : {}) },
  };
}
const slice = (
  endpoints: string[],
  ports: object[] = [{ name: '', port: 8080, protocol: 'TCP' }],
  more: object = {},
): EndpointSlice =>
  ({
    metadata: { name: 's' },
    addressType: 'IPv4',
    ports,
    endpoints: endpoints.map(endpoint),
    ...more,
  }) as unknown as EndpointSlice;

/** `frontend -> backends` with what is special about the rule. */
const plan = (s: Service, slices: EndpointSlice[], node: { name: string; zone?: string } = HERE) =>
  planService(s, slices, node).map(({ frontend, backends, drop, affinitySeconds, keepSource }) => {
    const to = backends.map((b) => `${b.ip}:${b.port}`).join(' ') || (drop ? 'drop' : 'refuse');
    const flags = `${affinitySeconds ? ` sticky ${affinitySeconds}` : ''}${keepSource ? ' keep-source' : ''}`;
    return `${frontend.protocol} ${frontend.ip ?? '*'}:${frontend.port} -> ${to}${flags}`;
  });
const VIP = 'tcp 10.96.0.1:80 ->';
const both = [slice(['10.0.0.1@n1', '10.0.0.2@n2'])];
const local = { internalTrafficPolicy: 'Local' };
const outside = { externalTrafficPolicy: 'Local', type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] };

describe('planService', () => {
  test.each<[string, Service, EndpointSlice[], string[]]>([
    ['all ready ones', service(), both, [`${VIP} 10.0.0.1:8080 10.0.0.2:8080`]],
    ['nobody', service(), [], [`${VIP} refuse`]],
    ['nobody ready', service(), [slice(['10.0.0.1 not-ready'])], [`${VIP} refuse`]],
    [
      'ready rather than going',
      service(),
      [slice(['10.0.0.1', '10.0.0.2 terminating serving'])],
      [`${VIP} 10.0.0.1:8080`],
    ],
    [
      'going ones that still serve',
      service(),
      [slice(['10.0.0.1 terminating', '10.0.0.2 terminating serving'])],
      [`${VIP} 10.0.0.2:8080`],
    ],
    ['the same address in two slices', service(), [slice(['10.0.0.1']), slice(['10.0.0.1'])], [`${VIP} 10.0.0.1:8080`]],
    [
      'no conditions means ready',
      service(),
      [slice([], undefined, { endpoints: [{ addresses: ['10.0.0.1'] }] })],
      [`${VIP} 10.0.0.1:8080`],
    ],
    ['other families', service(), [slice(['fd00::1'], undefined, { addressType: 'IPv6' })], [`${VIP} refuse`]],
    [
      'ports by name and protocol',
      service({
        ports: [
          { name: 'dns', port: 53, protocol: 'UDP' },
          { name: 'web', port: 80 },
        ],
      }),
      [
        slice(
          ['10.0.0.1'],
          [
            { name: 'web', port: 8080 },
            { name: 'dns', port: 5353, protocol: 'UDP' },
          ],
        ),
      ],
      ['udp 10.96.0.1:53 -> 10.0.0.1:5353', `${VIP} 10.0.0.1:8080`],
    ],
    ['a port no pod has', service(), [slice(['10.0.0.1'], [])], [`${VIP} refuse`]],
    [
      'affinity',
      service({ sessionAffinity: 'ClientIP' }),
      [slice(['10.0.0.1'])],
      [`${VIP} 10.0.0.1:8080 sticky 10800`],
    ],
    [
      'affinity for a while',
      service({ sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } }),
      [slice(['10.0.0.1'])],
      [`${VIP} 10.0.0.1:8080 sticky 60`],
    ],
    ['local inside', service(local), both, [`${VIP} 10.0.0.1:8080`]],
    ['local inside, none here', service(local), [slice(['10.0.0.2@n2'])], [`${VIP} drop`]],
    [
      'local inside, going here',
      service(local),
      [slice(['10.0.0.1@n1 terminating serving', '10.0.0.2@n2'])],
      [`${VIP} 10.0.0.1:8080`],
    ],
    ['local inside, none anywhere', service(local), [], [`${VIP} refuse`]],
    [
      'node port',
      service({ ...outside, externalTrafficPolicy: 'Cluster' }),
      both,
      [`${VIP} 10.0.0.1:8080 10.0.0.2:8080`, 'tcp *:30080 -> 10.0.0.1:8080 10.0.0.2:8080'],
    ],
    [
      'local outside',
      service(outside),
      both,
      [`${VIP} 10.0.0.1:8080 10.0.0.2:8080`, 'tcp *:30080 -> 10.0.0.1:8080 keep-source'],
    ],
    [
      'local outside, none here',
      service(outside),
      [slice(['10.0.0.2@n2'])],
      [`${VIP} 10.0.0.2:8080`, 'tcp *:30080 -> drop keep-source'],
    ],
    [
      'external addresses',
      service({ externalIPs: ['192.0.2.1', '2001:db8::1'] }),
      [slice(['10.0.0.1'])],
      [`${VIP} 10.0.0.1:8080`, 'tcp 192.0.2.1:80 -> 10.0.0.1:8080'],
    ],
    [
      'a load balancer',
      service(
        {},
        {
          status: {
            loadBalancer: { ingress: [{ ip: '192.0.2.9' }, { ip: '192.0.2.8', ipMode: 'Proxy' }, { hostname: 'x' }] },
          },
        },
      ),
      [slice(['10.0.0.1'])],
      [`${VIP} 10.0.0.1:8080`, 'tcp 192.0.2.9:80 -> 10.0.0.1:8080'],
    ],
    ['headless', service({ clusterIP: 'None' }), both, []],
    ['by another name', service({ type: 'ExternalName', clusterIP: '' }), both, []],
    [
      'another proxy',
      service({}, { metadata: { name: 'w', labels: { 'service.kubernetes.io/service-proxy-name': 'x' } } }),
      both,
      [],
    ],
    ['meant for zones', service(), [slice(['10.0.0.1 zone=a', '10.0.0.2 zone=b'])], [`${VIP} 10.0.0.1:8080`]],
    [
      'meant for nodes',
      service(),
      [slice(['10.0.0.1 node=n1 zone=a', '10.0.0.2 node=n2 zone=a'])],
      [`${VIP} 10.0.0.1:8080`],
    ],
    [
      'none meant for this node, some for its zone',
      service(),
      [slice(['10.0.0.1 node=n3 zone=a', '10.0.0.2 node=n2 zone=b'])],
      [`${VIP} 10.0.0.1:8080`],
    ],
    [
      'none meant for here',
      service(),
      [slice(['10.0.0.1 zone=c', '10.0.0.2 zone=b'])],
      [`${VIP} 10.0.0.1:8080 10.0.0.2:8080`],
    ],
    [
      'not all say for whom',
      service(),
      [slice(['10.0.0.1 zone=a', '10.0.0.2'])],
      [`${VIP} 10.0.0.1:8080 10.0.0.2:8080`],
    ],
    [
      'local counts more than what is meant',
      service(local),
      [slice(['10.0.0.1@n1 zone=b', '10.0.0.2@n2 zone=a'])],
      [`${VIP} 10.0.0.1:8080`],
    ],
  ])('%s', (_, s, slices, rules) => {
    expect(plan(s, slices)).toEqual(rules);
  });

  test('only the load balancer addresses are for its source ranges', () => {
    const loadBalancerSourceRanges = [' 192.0.2.0/24', '2001:db8::/32', '10.0.0.0/8'];
    const status = { loadBalancer: { ingress: [{ ip: '203.0.113.9' }] } };
    const plan = (ranges: string[]) =>
      planService(
        service({ type: 'LoadBalancer', loadBalancerSourceRanges: ranges, externalIPs: ['203.0.113.1'] }, { status }),
        [slice(['10.0.0.1'])],
        HERE,
      ).flatMap(({ frontend, sources }) => (sources ? [[frontend.ip, ...sources]] : []));
    expect(plan(loadBalancerSourceRanges)).toEqual([['203.0.113.9', '10.0.0.0/8', '192.0.2.0/24']]);
    expect(plan(['2001:db8::/32'])).toEqual([]);
  });

  test('a node whose zone is not known takes all', () => {
    expect(plan(service(), [slice(['10.0.0.1 zone=a', '10.0.0.2 zone=b'])], { name: 'n1' })).toEqual([
      `${VIP} 10.0.0.1:8080 10.0.0.2:8080`,
    ]);
  });
});

describe('keepSlots', () => {
  const backends = fc
    .uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 20 })
    .map((numbers) => numbers.map((n): Backend => ({ ip: `10.0.0.${n}`, port: 80 })));
  test('holds exactly the wanted ones; who stays and fits keeps its slot', () => {
    fc.assert(
      fc.property(backends, backends, (wanted, before) => {
        const slots = keepSlots(wanted, before);
        const ips = (list: readonly Backend[]) => list.map((b) => b.ip);
        expect(ips(slots).sort()).toEqual(ips(wanted).sort());
        before.slice(0, wanted.length).forEach((b, i) => {
          if (ips(wanted).includes(b.ip)) expect(slots[i]!.ip).toBe(b.ip);
        });
      }),
      { numRuns: 200, seed: 1 },
    );
  });
});

test('the first Service keeps an address; the next in line gets it when it is given up', () => {
  const claims = new FrontendClaims();
  expect(claims.claim('a', ['x', 'y'])).toMatchObject({ lost: [], freed: [] });
  expect(claims.claim('b', ['y', 'z'])).toEqual({ owned: new Set(['z']), lost: ['y'], freed: [] });
  expect(claims.claim('a', ['x']).freed).toEqual(['b']);
  expect([...claims.claim('b', ['y', 'z']).owned]).toEqual(['y', 'z']);
  expect(claims.claim('c', ['y']).lost).toEqual(['y']);
  expect(claims.claim('c', []).freed).toEqual([]);
  expect(claims.claim('b', []).freed).toEqual([]);
});
