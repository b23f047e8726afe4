import { describe, expect, test } from 'vitest';
import { fieldErrorText, type FieldError } from '../../errors.ts';
import type { ServiceSpec } from '../../generated/core-v1.ts';
import type { StrategyContext } from '../../kind.ts';
import { initIpFamilies } from '../../service-fields.ts';
import { Service } from './service.ts';

const context = {} as StrategyContext;
const texts = (errors: FieldError[]) => errors.map(fieldErrorText);
function service(spec: ServiceSpec, status?: Service['status']): Service {
  const s: Service = {
    metadata: {
      name: 'web',
      namespace: 'default',
      uid: 'u',
      resourceVersion: '',
      creationTimestamp: '2024-01-01T00:00:00Z',
    },
    spec: structuredClone(spec),
    ...(status ? { status } : {}),
  };
  Service.default!(s);
  return s;
}
const PORT = { ports: [{ port: 80 }] };
const errorsOf = (spec: ServiceSpec) => texts(Service.validate!(service(spec), context));

test('defaults', () => {
  expect(service(PORT).spec).toEqual({
    ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
    sessionAffinity: 'None',
    type: 'ClusterIP',
    internalTrafficPolicy: 'Cluster',
  });
  const balanced = service(
    { ...PORT, type: 'LoadBalancer', sessionAffinity: 'ClientIP' },
    { loadBalancer: { ingress: [{ ip: '1.2.3.4' }] } },
  );
  expect(balanced).toMatchObject({
    spec: {
      externalTrafficPolicy: 'Cluster',
      allocateLoadBalancerNodePorts: true,
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 10800 } },
    },
    status: { loadBalancer: { ingress: [{ ipMode: 'VIP' }] } },
  });
});

test.each<[string, ServiceSpec, string[]]>([
  ['fine', PORT, []],
  ['headless without ports', { clusterIP: 'None', clusterIPs: ['None'] }, []],
  ['no ports', {}, ['spec.ports: Required value']],
  [
    'type',
    { ...PORT, type: 'Magic' },
    expect.arrayContaining([
      'spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    ]) as string[],
  ],
  [
    'names and numbers',
    { ports: [{ port: 80, name: 'a' }, { port: 80, name: 'a', protocol: 'TCP' }, { port: 0 }] },
    [
      'spec.ports[1].name: Duplicate value: "a"',
      'spec.ports[2].name: Required value',
      'spec.ports[2].port: Invalid value: 0: must be between 1 and 65535, inclusive',
      'spec.ports[2].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive',
      'spec.ports[1]: Duplicate value: {"port":80,"protocol":"TCP"}',
    ],
  ],
  [
    'node port of a cluster service',
    { ports: [{ port: 80, nodePort: 30000 }] },
    ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
  ],
  [
    'external name',
    { type: 'ExternalName', externalName: 'UPPER' },
    [expect.stringContaining('spec.externalName: Invalid value: "UPPER": a lowercase RFC 1123 subdomain') as string],
  ],
  [
    'addresses',
    { ...PORT, clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.2'] },
    ['spec.clusterIPs: Invalid value: ["10.0.0.2"]: first value must match `clusterIP`'],
  ],
  [
    'families',
    { ...PORT, ipFamilies: ['IPv4', 'IPv4', 'IPv5'], ipFamilyPolicy: 'Both' },
    [
      'spec.ipFamilies[1]: Duplicate value: "IPv4"',
      'spec.ipFamilies[2]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"',
      'spec.ipFamilyPolicy: Unsupported value: "Both": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"',
    ],
  ],
  [
    'family of an address',
    { ...PORT, clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'], ipFamilies: ['IPv6'] },
    ['spec.clusterIPs[0]: Invalid value: "10.0.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`'],
  ],
  [
    'external addresses',
    { ...PORT, externalIPs: ['127.0.0.1'] },
    ['spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'],
  ],
  [
    'policies',
    { ...PORT, externalTrafficPolicy: 'Local', healthCheckNodePort: 1 },
    [
      'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
      "spec.healthCheckNodePort: Invalid value: 1: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
    ],
  ],
  [
    'balancer only',
    { ...PORT, loadBalancerClass: 'a/b', loadBalancerSourceRanges: ['10.0.0.0/8'] },
    [
      "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
      "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
    ],
  ],
])('%s', (_, spec, expected) => {
  expect(errorsOf(spec)).toEqual(expected);
});

describe('updates', () => {
  const old = service({
    ...PORT,
    type: 'NodePort',
    clusterIP: '10.0.0.1',
    clusterIPs: ['10.0.0.1'],
    ipFamilies: ['IPv4'],
    ipFamilyPolicy: 'SingleStack',
    ports: [{ name: 'http', port: 80, nodePort: 30000 }],
  });
  const update = (spec: ServiceSpec) => {
    const next = service(spec);
    Service.prepareForUpdate!(next, old, context);
    return {
      spec: next.spec,
      errors: texts([...Service.validate!(next, context), ...Service.validateUpdate!(next, old, context)]),
    };
  };
  test('what was allocated stays', () => {
    const { spec, errors } = update({ type: 'NodePort', ports: [{ name: 'http', port: 8080 }] });
    expect(spec).toMatchObject({ clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'], ports: [{ nodePort: 30000 }] });
    expect(errors).toEqual([]);
  });
  test('what the new type cannot have goes', () => {
    expect(update({ ...structuredClone(old.spec), type: 'ClusterIP' })).toMatchObject({
      spec: { ports: [{ port: 80 }] },
      errors: [],
    });
    const external = update({ ...structuredClone(old.spec), type: 'ExternalName', externalName: 'example.com' });
    expect(external.spec).not.toHaveProperty('clusterIP');
    expect(external.spec).not.toHaveProperty('externalTrafficPolicy');
    expect(external.errors).toEqual([]);
  });
  test('the address is for ever', () => {
    expect(update({ ...structuredClone(old.spec), clusterIP: '10.0.0.9', clusterIPs: ['10.0.0.9'] }).errors).toEqual([
      'spec.clusterIPs[0]: Invalid value: ["10.0.0.9"]: may not change once set',
    ]);
  });
});

test.each<[string, ServiceSpec, readonly ('IPv4' | 'IPv6')[], Partial<ServiceSpec>, string[]]>([
  ['single', PORT, ['IPv4'], { ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv4'] }, []],
  [
    'preferred dual',
    { ...PORT, ipFamilyPolicy: 'PreferDualStack' },
    ['IPv6', 'IPv4'],
    { ipFamilies: ['IPv6', 'IPv4'] },
    [],
  ],
  ['preferred dual on single', { ...PORT, ipFamilyPolicy: 'PreferDualStack' }, ['IPv4'], { ipFamilies: ['IPv4'] }, []],
  [
    'headless, no selector',
    { clusterIP: 'None', clusterIPs: ['None'] },
    ['IPv4'],
    { ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv4', 'IPv6'] },
    [],
  ],
  [
    'required dual on single',
    { ...PORT, ipFamilyPolicy: 'RequireDualStack' },
    ['IPv4'],
    {},
    ['spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services'],
  ],
  [
    'absent family',
    { ...PORT, ipFamilies: ['IPv6'] },
    ['IPv4'],
    {},
    ['spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'],
  ],
])('families: %s', (_, spec, cluster, expected, errors) => {
  const s = service(spec);
  expect(texts(initIpFamilies(s, cluster))).toEqual(errors);
  expect(s.spec).toMatchObject(expected);
});

test('rows', () => {
  const now = Date.UTC(2024, 0, 1, 0, 5);
  const row = (spec: ServiceSpec, status?: Service['status']) => Service.row!(service(spec, status), now);
  expect(row({ ...PORT, clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'], selector: { b: '2', a: '1' } })).toEqual([
    'web',
    'ClusterIP',
    '10.0.0.1',
    '<none>',
    '80/TCP',
    '5m',
    'a=1,b=2',
  ]);
  expect(
    row({
      type: 'LoadBalancer',
      ports: [
        { port: 80, nodePort: 30001 },
        { port: 53, protocol: 'UDP' },
      ],
    }).slice(1, 5),
  ).toEqual(['LoadBalancer', '<none>', '<pending>', '80:30001/TCP,53/UDP']);
  expect(
    row({ type: 'LoadBalancer', ...PORT }, { loadBalancer: { ingress: [{ hostname: 'b' }, { ip: 'a' }] } })[3],
  ).toBe('a,b');
  expect(row({ type: 'ExternalName', externalName: 'x.y' }).slice(2, 5)).toEqual(['<none>', 'x.y', '<none>']);
});
