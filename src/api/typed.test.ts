import { describe, expect, it } from 'vitest';
import { Deployment } from './kinds/apps/deployment.ts';
import { Secret } from './kinds/core/secret.ts';
import { structOf, type FieldNode, type StructNode } from './schema.ts';
import { decodeKind, decodeTyped } from './typed.ts';

const decode = (type: string, value: unknown) => decodeTyped(structOf(type), value).object;
const container = { name: 'c', image: 'i' };
const deployment = (spec: object) => ({ metadata: { name: 'a' }, spec });

describe('normal form', () => {
  it('fills in what Go would print and drops what it would not', () => {
    const input = {
      spec: {
        replicas: 0,
        paused: false,
        minReadySeconds: 0,
        selector: null,
        template: { spec: { containers: [{ ...container, args: [], workingDir: '', env: null }], nodeSelector: {} } },
      },
      metadata: { uid: '', name: 'a', labels: { a: 'b', c: null } },
    };
    const { object, warnings } = decodeKind(Deployment, input, { validation: 'Strict' });
    expect(warnings).toEqual([]);
    expect(JSON.stringify(object)).toBe(
      JSON.stringify({
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'a', labels: { a: 'b', c: '' } },
        spec: {
          replicas: 0,
          template: { spec: { containers: [{ ...container, resources: {} }] }, metadata: {} },
          selector: null,
          strategy: {},
        },
        status: {},
      }),
    );
  });

  it.each([
    [
      'core.v1.ContainerStatus',
      {},
      { image: '', imageID: '', lastState: {}, name: '', ready: false, restartCount: 0, state: {} },
    ],
    ['core.v1.PodCondition', {}, { lastProbeTime: null, lastTransitionTime: null, status: '', type: '' }],
    ['core.v1.ResourceFieldSelector', { resource: 'a' }, { resource: 'a', divisor: '0' }],
    ['core.v1.ServicePort', { port: 80, protocol: '' }, { port: 80, targetPort: 0 }],
    ['rbac.v1.Role', {}, { metadata: {}, rules: null }],
    ['rbac.v1.PolicyRule', { verbs: [] }, { verbs: [] }],
    ['apps.v1.ControllerRevision', {}, { metadata: {}, data: null, revision: 0 }],
    [
      'core.v1.ResourceRequirements',
      { limits: { cpu: '1000m', memory: 0.5 } },
      { limits: { cpu: '1', memory: '500m' } },
    ],
    ['core.v1.SecurityContext', { runAsUser: 0, privileged: false }, { runAsUser: 0, privileged: false }],
    ['core.v1.HTTPGetAction', { port: 'http' }, { port: 'http' }],
    [
      'meta.v1.ObjectMeta',
      { creationTimestamp: null, deletionTimestamp: '2026-01-02T03:04:05.6+01:00' },
      { deletionTimestamp: '2026-01-02T02:04:05Z' },
    ],
    [
      'coordination.v1.LeaseSpec',
      { renewTime: '2026-01-02T03:04:05.000006+01:00' },
      { renewTime: '2026-01-02T02:04:05.000006Z' },
    ],
    ['core.v1.Secret', { data: { a: 'YQ==\n' } }, { metadata: {}, data: { a: 'YQ==' } }],
    ['core.v1.Volume', { name: 'a', emptyDir: {} }, { name: 'a', emptyDir: {} }],
  ])('%s', (type, input, output) => expect(decode(type, input)).toEqual(output));

  it('gives fresh objects, safe from odd keys', () => {
    const input = { metadata: { labels: JSON.parse('{"__proto__":"x","a":"b"}') as object } };
    const object = decode('core.v1.ConfigMap', input) as typeof input;
    expect(object.metadata.labels).not.toBe(input.metadata.labels);
    expect(JSON.stringify(object.metadata.labels)).toBe('{"__proto__":"x","a":"b"}');
    expect(decode('core.v1.PodSpec', {})).not.toBe(decode('core.v1.PodSpec', {}));
  });
});

describe('unknown fields', () => {
  const body = deployment({
    foo: null,
    template: { spec: { containers: [container, { ...container, Image: 'x', ports: [{ x: 1 }] }] } },
  });
  const texts = [
    'unknown field "spec.foo"',
    'unknown field "spec.template.spec.containers[1].Image"',
    'unknown field "spec.template.spec.containers[1].ports[0].x"',
  ];

  it('warns, refuses or ignores as asked', () => {
    // What is unknown and there twice is only unknown.
    const duplicates = ['duplicate field "a"', 'duplicate field "spec.foo"'];
    expect(decodeKind(Deployment, body, { duplicates }).warnings).toEqual([]);
    expect(decodeKind(Deployment, body, { validation: 'Warn', duplicates }).warnings).toEqual([
      ...texts,
      'duplicate field "a"',
    ]);
    expect(() => decodeKind(Deployment, body, { validation: 'Strict' })).toThrow(
      `Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: ${texts.join(', ')}`,
    );
  });

  it('names keys of maps', () => {
    const value = { spec: { versions: [{ schema: { openAPIV3Schema: { properties: { 'a.b': { typ: 1 } } } } }] } };
    expect(decodeTyped(structOf('apiextensions.v1.CustomResourceDefinition'), value).unknown).toEqual([
      'unknown field "spec.versions[0].schema.openAPIV3Schema.properties.a.b.typ"',
    ]);
  });
});

describe('type mismatches', () => {
  const pod = (spec: object) => deployment({ template: { spec } });
  const regex = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
  it.each([
    [
      deployment({ replicas: '3' }),
      'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      deployment({ replicas: 1.5 }),
      'json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      deployment({ replicas: 2 ** 31 }),
      'json: cannot unmarshal number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      { metadata: { labels: { a: 1 } } },
      'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
    ],
    [
      { metadata: { uid: true } },
      'json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.uid of type types.UID',
    ],
    [{ spec: [] }, 'json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec'],
    [
      pod({ containers: {} }),
      'json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container',
    ],
    [
      pod({ containers: [container, 'x'] }),
      'json: cannot unmarshal string into Go struct field PodSpec.spec.template.spec.containers of type v1.Container',
    ],
    [
      pod({ restartPolicy: 1 }),
      'json: cannot unmarshal number into Go struct field PodSpec.spec.template.spec.restartPolicy of type v1.RestartPolicy',
    ],
    [pod({ containers: [{ resources: { limits: { cpu: 'x' } } }] }), regex],
    [pod({ containers: [{ resources: { limits: { cpu: true } } }] }), regex],
    [
      deployment({ strategy: { rollingUpdate: { maxSurge: 1.5 } } }),
      'json: cannot unmarshal number 1.5 into Go value of type int32',
    ],
    [
      { metadata: { creationTimestamp: 'x' } },
      'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"',
    ],
    [{ metadata: { creationTimestamp: '2026-02-30T00:00:00Z ' } }, 'parsing time'],
    [{ metadata: { creationTimestamp: 5 } }, 'json: cannot unmarshal number into Go value of type string'],
    ['x', 'json: cannot unmarshal string into Go value of type v1.Deployment'],
  ])('%j', (body, message) => {
    expect(() => decodeKind(Deployment, body)).toThrow(
      `Deployment in version "v1" cannot be handled as a Deployment: ${message}`,
    );
  });

  it('refuses bad base64', () => {
    expect(() => decodeKind(Secret, { data: { a: 'a*==' } })).toThrow('illegal base64 data at input byte 1');
    expect(() => decodeKind(Secret, { data: { a: 'abcde' } })).toThrow('illegal base64 data at input byte 4');
  });
});

describe('custom resources', () => {
  const field = (name: string, type: FieldNode['type']): [string, FieldNode] => [
    name,
    {
      name,
      type,
      pointer: true,
      omitEmpty: true,
      omitZero: false,
      required: false,
      default: undefined,
      number: undefined,
      patchStrategy: [],
      gate: undefined,
    },
  ];
  const struct = (fields: [string, FieldNode][], preserveUnknown = false): StructNode => ({
    node: 'struct',
    name: '',
    fields: new Map(fields),
    wireMessages: [],
    preserveUnknown,
    atomic: false,
  });
  const schema = struct([
    field('metadata', structOf('meta.v1.ObjectMeta')),
    field('count', { node: 'scalar', scalar: 'int32' }),
    field('free', struct([], true)),
    field('list', {
      node: 'list',
      items: { node: 'scalar', scalar: 'string' },
      listType: 'atomic',
      listMapKeys: [],
      patchStrategy: [],
      mergeKey: undefined,
    }),
  ]);

  it('keeps zero values, nulls and mismatches, prunes unknown fields', () => {
    const value = { metadata: { name: 'a' }, count: 0, free: { x: { y: null } }, list: [], other: 1 };
    const { object, unknown } = decodeTyped(schema, value);
    expect(object).toEqual({ metadata: { name: 'a' }, count: 0, free: { x: { y: null } }, list: [] });
    expect(unknown).toEqual(['unknown field "other"']);
    expect(decodeTyped(schema, { count: 'x', list: null, free: 3 }).object).toEqual({
      count: 'x',
      list: null,
      free: 3,
    });
    expect(() => decodeTyped(schema, { metadata: { name: 3 } })).toThrow('ObjectMeta.metadata.name of type string');
  });
});
