// ConfigMap, Secret, ServiceAccount, Event, Endpoints, EndpointSlice, Lease, RBAC and CertificateSigningRequest.

import { describe, expect, test } from 'vitest';
import { encodeText } from '../base64.ts';
import { fieldErrorText, type FieldError } from '../errors.ts';
import type { StrategyContext } from '../kind.ts';
import type { ObjectMeta } from '../object.ts';
import { CertificateSigningRequest } from './certificates/certificate-signing-request.ts';
import { Lease } from './coordination/lease.ts';
import { ConfigMap } from './core/config-map.ts';
import { Endpoints } from './core/endpoints.ts';
import { Event } from './core/event.ts';
import { Secret } from './core/secret.ts';
import { ServiceAccount } from './core/service-account.ts';
import { EndpointSlice } from './discovery/endpoint-slice.ts';
import { Event as EventsEvent } from './events/event.ts';
import { builtinKinds } from './index.ts';
import { ClusterRole } from './rbac/cluster-role.ts';
import { ClusterRoleBinding } from './rbac/cluster-role-binding.ts';
import { Role } from './rbac/role.ts';
import { RoleBinding } from './rbac/role-binding.ts';

const context = { now: Date.UTC(2024, 0, 1), user: { name: 'jane', groups: ['dev'] } } as unknown as StrategyContext;
const NOW = Date.UTC(2024, 0, 1, 0, 5);
const texts = (errors: FieldError[]) => errors.map(fieldErrorText);
const metadata: ObjectMeta = {
  name: 'x',
  namespace: 'default',
  uid: 'u',
  resourceVersion: '',
  creationTimestamp: '2024-01-01T00:00:00Z',
};

test('every kind with columns has a row as long', () => {
  for (const kind of builtinKinds)
    expect([kind.kind, kind.columns === undefined]).toEqual([kind.kind, kind.row === undefined]);
});

describe('ConfigMap', () => {
  const map = (more: Partial<ConfigMap>): ConfigMap => ({ metadata, ...more });
  test.each<[Partial<ConfigMap>, string[]]>([
    [{ data: { 'a.b': '1' }, binaryData: { c: 'AA==' } }, []],
    [
      { data: { a: '' }, binaryData: { a: '' } },
      ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
    ],
    [{ data: { '..a': '' } }, ['data[..a]: Invalid value: "..a": must not start with \'..\'']],
    [{ data: { a: 'x'.repeat(1024 * 1024 + 1) } }, [': Too long: may not be more than 1048576 bytes']],
  ])('validation', (more, expected) => {
    expect(texts(ConfigMap.validate!(map(more), context))).toEqual(expected);
  });
  test('immutable', () => {
    const old = map({ immutable: true, data: { a: '1' } });
    expect(texts(ConfigMap.validateUpdate!(map({ data: { a: '2' } }), old, context))).toEqual([
      'immutable: Forbidden: field is immutable when `immutable` is set',
      'data: Forbidden: field is immutable when `immutable` is set',
    ]);
    expect(ConfigMap.row!(old, NOW)).toEqual(['x', 1, '5m']);
  });
});

describe('Secret', () => {
  const secret = (more: Partial<Secret>): Secret => {
    const s: Secret = { metadata, ...more };
    Secret.default!(s);
    return s;
  };
  test('stringData becomes data', () => {
    expect(secret({ stringData: { a: 'ä' }, data: { a: 'AA==', b: 'AA==' } })).toEqual({
      metadata,
      type: 'Opaque',
      data: { a: 'w6Q=', b: 'AA==' },
    });
  });
  test.each<[string, Record<string, string>, string[]]>([
    ['kubernetes.io/tls', {}, ['data[tls.crt]: Required value', 'data[tls.key]: Required value']],
    ['kubernetes.io/basic-auth', { username: '' }, []],
    ['kubernetes.io/basic-auth', {}, ['data[username]: Required value', 'data[password]: Required value']],
    ['kubernetes.io/ssh-auth', {}, ['data[ssh-privatekey]: Required value']],
    ['kubernetes.io/dockerconfigjson', { '.dockerconfigjson': encodeText('{"auths":{}}') }, []],
    [
      'kubernetes.io/dockerconfigjson',
      { '.dockerconfigjson': encodeText('{') },
      ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": must be valid JSON'],
    ],
    [
      'kubernetes.io/service-account-token',
      {},
      ['metadata.annotations[kubernetes.io/service-account.name]: Required value'],
    ],
  ])('%s', (type, data, expected) => {
    expect(texts(Secret.validate!(secret({ type, data }), context))).toEqual(expected);
  });
  test('type is for ever', () => {
    expect(texts(Secret.validateUpdate!(secret({ type: 'a/b' }), secret({}), context))).toEqual([
      'type: Invalid value: "a/b": field is immutable',
    ]);
    expect(Secret.row!(secret({ data: { a: '' } }), NOW)).toEqual(['x', 'Opaque', 1, '5m']);
  });
});

test('ServiceAccount keeps the names of its secrets', () => {
  const account: ServiceAccount = { metadata, secrets: [{ name: 'a', kind: 'Secret' }] };
  ServiceAccount.prepareForCreate!(account, context);
  expect(account.secrets).toEqual([{ name: 'a' }]);
  expect(ServiceAccount.row!(account, NOW)).toEqual(['x', 1, '5m']);
});

describe('Events', () => {
  const event: Event = {
    metadata,
    involvedObject: { kind: 'Pod', name: 'web', namespace: 'default', fieldPath: 'spec.containers{c}' },
    reason: 'Pulled',
    message: ' done\n',
    type: 'Normal',
    source: { component: 'kubelet', host: 'n1' },
    firstTimestamp: '2024-01-01T00:00:00Z',
    lastTimestamp: '2024-01-01T00:04:00Z',
    count: 3,
  };
  test('row', () => {
    expect(Event.row!(event, NOW)).toEqual([
      '60s',
      'Normal',
      'Pulled',
      'pod/web',
      'spec.containers{c}',
      'kubelet, n1',
      'done',
      '5m',
      3,
      'x',
    ]);
  });
  test('the other form and back', () => {
    const { storedAs } = EventsEvent;
    const other = storedAs!.from(event);
    expect(other).toMatchObject({
      apiVersion: 'events.k8s.io/v1',
      regarding: { name: 'web' },
      note: ' done\n',
      deprecatedCount: 3,
    });
    expect(storedAs!.to(other)).toEqual({ ...event, apiVersion: 'v1', kind: 'Event' });
    expect(EventsEvent.row!(other, NOW)).toEqual(Event.row!(event, NOW));
    expect(EventsEvent.selectableFields!['regarding.name']!(other)).toBe('web');
  });
  test('rules', () => {
    expect(texts(Event.validate!(event, context))).toEqual([]);
    expect(texts(Event.validate!({ ...event, involvedObject: { namespace: 'other' } }, context))).toEqual([
      'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
    ]);
    const strict: EventsEvent = {
      metadata,
      eventTime: '2024-01-01T00:00:00.000000Z',
      regarding: { namespace: 'default' },
      type: 'Odd',
      deprecatedCount: 1,
    };
    expect(texts(EventsEvent.validate!(strict, context))).toEqual([
      'reportingController: Required value',
      'reportingController: Invalid value: "": name part must be non-empty',
      expect.stringContaining('reportingController: Invalid value: "": name part must consist of') as string,
      'reportingInstance: Required value',
      'action: Required value',
      'reason: Required value',
      'type: Invalid value: "": has invalid value: Odd',
      'count: Invalid value: "": needs to be unset',
    ]);
    const old: EventsEvent = { ...strict, note: 'a' };
    expect(
      texts(
        EventsEvent.validateUpdate!({ ...strict, note: 'b', series: { count: 1, lastObservedTime: '' } }, old, context),
      ),
    ).toEqual([
      'series.count: Invalid value: "": should be at least 2',
      'series.lastObservedTime: Required value',
      'message: Invalid value: "b": field is immutable',
    ]);
  });
});

test('Endpoints', () => {
  const endpoints: Endpoints = {
    metadata,
    subsets: [{ addresses: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }], ports: [{ port: 80 }, { port: 443 }] }],
  };
  Endpoints.default!(endpoints);
  expect(Endpoints.row!(endpoints, NOW)).toEqual(['x', '10.0.0.1:80,[fd00::1]:80,10.0.0.1:443 + 1 more...', '5m']);
  expect(texts(Endpoints.validate!(endpoints, context))).toEqual([
    'subsets[0].ports[0].name: Required value',
    'subsets[0].ports[1].name: Required value',
  ]);
  expect(texts(Endpoints.validate!({ metadata, subsets: [{ addresses: [] }] }, context))).toEqual([
    'subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`',
  ]);
  expect(Endpoints.row!({ metadata }, NOW)[1]).toBe('<none>');
});

test('EndpointSlice', () => {
  const slice: EndpointSlice = {
    metadata,
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.0.0.1', '10.0.0.2'] }, { addresses: ['10.0.0.3', '10.0.0.4'] }],
    ports: [{ port: 80 }, {}],
  };
  EndpointSlice.default!(slice);
  expect(slice.ports).toEqual([
    { port: 80, name: '', protocol: 'TCP' },
    { name: '', protocol: 'TCP' },
  ]);
  expect(EndpointSlice.row!(slice, NOW)).toEqual(['x', 'IPv4', '80,*', '10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...', '5m']);
  const bad: EndpointSlice = {
    ...slice,
    addressType: 'IPv6',
    endpoints: [{ addresses: [] }, { addresses: ['10.0.0.1'] }],
  };
  expect(texts(EndpointSlice.validate!(bad, context))).toEqual([
    'endpoints[0].addresses: Required value: must contain at least 1 address',
    'endpoints[1].addresses[0]: Invalid value: "10.0.0.1": must be a valid IPv6 address',
    'ports[1].name: Duplicate value: ""',
  ]);
  expect(texts(EndpointSlice.validateUpdate!(bad, slice, context))).toEqual([
    'addressType: Invalid value: "IPv6": field is immutable',
  ]);
});

test('Lease', () => {
  const lease: Lease = { metadata, spec: { holderIdentity: 'me', leaseDurationSeconds: 0, leaseTransitions: -1 } };
  expect(texts(Lease.validate!(lease, context))).toEqual([
    'spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0',
    'spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0',
  ]);
  expect(Lease.row!(lease, NOW)).toEqual(['x', 'me', '5m']);
});

describe('RBAC', () => {
  const rule = { verbs: ['get'], apiGroups: [''], resources: ['pods'] };
  test('rules', () => {
    expect(
      texts(
        Role.validate!({ metadata, rules: [rule, { verbs: [], nonResourceURLs: ['/x'] }, { verbs: ['*'] }] }, context),
      ),
    ).toEqual([
      'rules[1].verbs: Required value: verbs must contain at least one value',
      'rules[1].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
      'rules[2].apiGroups: Required value: resource rules must supply at least one api group',
      'rules[2].resources: Required value: resource rules must supply at least one resource',
    ]);
    expect(texts(ClusterRole.validate!({ metadata, aggregationRule: {} }, context))).toEqual([
      'aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil',
    ]);
    expect(Role.row!({ metadata }, NOW)).toEqual(['x', '2024-01-01T00:00:00Z']);
  });
  test('bindings', () => {
    const binding: RoleBinding = {
      metadata,
      roleRef: { kind: 'Role', name: 'r' },
      subjects: [
        { kind: 'User', name: 'jane' },
        { kind: 'Group', name: 'dev' },
        { kind: 'ServiceAccount', name: 'sa', namespace: 'ns' },
      ],
    };
    RoleBinding.default!(binding);
    expect(texts(RoleBinding.validate!(binding, context))).toEqual([]);
    expect(RoleBinding.row!(binding, NOW)).toEqual(['x', 'Role/r', '5m', 'jane', 'dev', 'ns/sa']);
    const other = { ...binding, roleRef: { ...binding.roleRef, name: 's' } };
    expect(texts(RoleBinding.validateUpdate!(other, binding, context))).toEqual([
      'roleRef: Invalid value: {"kind":"Role","name":"s","apiGroup":"rbac.authorization.k8s.io"}: cannot change roleRef',
    ]);
    expect(
      texts(
        ClusterRoleBinding.validate!(
          {
            ...binding,
            subjects: [
              { kind: 'ServiceAccount', name: 'a' },
              { kind: 'Robot', name: '' },
            ],
          },
          context,
        ),
      ),
    ).toEqual([
      'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
      'subjects[0].namespace: Required value',
      'subjects[1].name: Required value',
      'subjects[1].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
    ]);
  });
});

describe('CertificateSigningRequest', () => {
  const request = encodeText('-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n');
  const csr = (): CertificateSigningRequest => ({
    metadata,
    spec: {
      request,
      signerName: 'example.com/x',
      usages: ['client auth'],
      username: 'forged',
      expirationSeconds: 3600,
    },
  });
  test('the asker is who asks', () => {
    const c = csr();
    CertificateSigningRequest.prepareForCreate!(c, context);
    expect(c.spec).toMatchObject({ username: 'jane', groups: ['dev'] });
    expect(texts(CertificateSigningRequest.validate!(c, context))).toEqual([]);
    c.status = { conditions: [{ type: 'Approved', status: 'True' }], certificate: 'AA==' };
    expect(CertificateSigningRequest.row!(c, NOW)).toEqual([
      'x',
      '5m',
      'example.com/x',
      'jane',
      '60m',
      'Approved,Issued',
    ]);
  });
  test('validation', () => {
    const spec = {
      request: 'x',
      signerName: 'nope',
      usages: ['fun', 'client auth', 'client auth'],
      expirationSeconds: 1,
    };
    expect(texts(CertificateSigningRequest.validate!({ metadata, spec }, context))).toEqual([
      'spec.request: Invalid value: "x": PEM block type must be CERTIFICATE REQUEST',
      expect.stringContaining('spec.usages[0]: Unsupported value: "fun": supported values: "any"') as string,
      'spec.usages[2]: Duplicate value: "client auth"',
      'spec.signerName: Invalid value: "nope": must be a fully qualified domain and path of the form "example.com/signer-name"',
      'spec.expirationSeconds: Invalid value: 1: may not specify a duration less than 600 seconds (10 minutes)',
    ]);
  });
  test('status', () => {
    const old = { ...csr(), status: { certificate: 'AA==' } };
    const next = {
      ...csr(),
      status: {
        certificate: 'BB==',
        conditions: [
          { type: 'Approved', status: 'True' },
          { type: 'Failed', status: 'False' },
        ],
      },
    };
    CertificateSigningRequest.status!.prepareForUpdate!(next, old, context);
    expect(texts(CertificateSigningRequest.status!.validateUpdate!(next, old, context))).toEqual([
      'status.conditions: Forbidden: updates may not add a condition of type "Approved"',
      'status.conditions[1].status: Unsupported value: "False": supported values: "True"',
      'status.certificate: Forbidden: updates may not modify existing certificate content',
    ]);
  });
});
