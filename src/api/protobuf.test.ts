import * as fc from 'fast-check';
import type { KubeObject } from './object.ts';
import { describe, expect, it } from 'vitest';
import { decodeProtobuf, isProtobuf, openEnvelope, structForType } from './protobuf.ts';
import { encodeProtobuf } from './protobuf-encode.ts';
import type { TypeNode } from './schema.ts';
import { decodeTyped } from './typed.ts';

const bytes = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
const roundTrip = (object: Record<string, unknown>) => {
  const struct = structForType(object['apiVersion'] as string, object['kind'] as string)!;
  return decodeTyped(struct, decodeProtobuf(encodeProtobuf(object))).object;
};

describe('bodies', () => {
  it('opens the envelope', () => {
    const body = bytes('k8s\0\x0a\x0f\x0a\x02v1\x12\x09Namespace\x12\x07\x0a\x05\x0a\x01a"\x00\x1a\x00"\x00');
    expect(isProtobuf(body)).toBe(true);
    expect(openEnvelope(body)).toMatchObject({ apiVersion: 'v1', kind: 'Namespace', contentType: '' });
    expect(decodeProtobuf(body)).toEqual({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'a', selfLink: '' },
    });
  });

  it('writes what kubectl 1.33 sends for `create poddisruptionbudget`, byte for byte', () => {
    const budget = {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'p' } as KubeObject['metadata'],
      spec: { minAvailable: '50%', selector: { matchLabels: { a: 'b' } } },
      status: { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 },
    };
    const body = bytes(
      atob(
        'azhzAAogCglwb2xpY3kvdjESE1BvZERpc3J1cHRpb25CdWRnZXQSNgoRCgFwEgAaACIAKgAyADgAQgASFQoJCAEQABoDNTAlEggKBgoBYRIBYhoKCAAYACAAKAAwABoAIgA=',
      ),
    );
    expect(roundTrip(budget)).toEqual(budget);
    expect(encodeProtobuf(budget)).toEqual(body);
  });

  it('finds meta types in any group', () => {
    const options = {
      apiVersion: 'apps/v1',
      kind: 'DeleteOptions',
      gracePeriodSeconds: 0,
      propagationPolicy: 'Orphan',
      dryRun: ['All'],
    };
    expect(roundTrip(options)).toEqual(options);
  });

  it.each([
    ['{}', 'provided data does not appear to be a protobuf message'],
    ['k8s\0\x0a\x0f\x0a\x02v1', 'unexpected EOF'],
    ['k8s\0\x0a\x09\x0a\x02v1\x12\x03Foo\x12\x00', 'no kind "Foo" is registered for version "v1"'],
  ])('refuses %j', (body, message) => expect(() => decodeProtobuf(bytes(body))).toThrow(message));
});

describe('fields', () => {
  it('come back in normal form', () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'a',
        labels: { a: '' },
        creationTimestamp: '2026-01-02T03:04:05Z',
        managedFields: [{ fieldsV1: { 'f:a': {} } }],
      },
      spec: {
        containers: [
          {
            name: 'c',
            resources: { limits: { cpu: '500m', memory: '1Gi' } },
            ports: [{ containerPort: 80 }],
            securityContext: { runAsUser: 0, privileged: false },
            livenessProbe: { httpGet: { port: 'http', path: '/' }, periodSeconds: 5 },
            readinessProbe: { tcpSocket: { port: 80 } },
            env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'x', key: 'y', optional: false } } }],
          },
        ],
        ephemeralContainers: [{ name: 'e', targetContainerName: 'c', resources: {} }],
        volumes: [
          { name: 'v', emptyDir: {} },
          { name: 's', secret: { secretName: 'x', defaultMode: 420 } },
        ],
        securityContext: { supplementalGroups: [1, -2, 3] },
        terminationGracePeriodSeconds: 0,
        priority: -1,
      },
      status: {},
    };
    expect(roundTrip(pod)).toEqual(pod);
  });

  it.each([
    [
      {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        metadata: {},
        spec: { extra: { a: ['b', 'c'], d: [] }, user: 'u' },
        status: { allowed: false },
      },
    ],
    [{ apiVersion: 'v1', kind: 'Secret', metadata: {}, data: { a: 'AP8=', b: '' }, immutable: false }],
    [
      {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: {},
        spec: { renewTime: '2026-01-02T03:04:05.000006Z' },
      },
    ],
    [{ apiVersion: 'apps/v1', kind: 'ControllerRevision', metadata: {}, revision: 3, data: { a: [1, null] } }],
    [
      {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name: 'a' },
        deleteOptions: { preconditions: { uid: 'x' } },
      },
    ],
  ])('%j', (object) => expect(roundTrip(object)).toEqual(object));

  it('decodes what other encoders may send: packed numbers, unknown fields', () => {
    // PodSecurityContext {supplementalGroups(4): packed [5, 6], 99: "x"} inside spec(2).securityContext(14)
    const body = bytes('k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x0c\x12\x0a\x72\x08\x22\x02\x05\x06\x9a\x06\x01x');
    expect(decodeProtobuf(body)).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      spec: { securityContext: { supplementalGroups: [5, 6] } },
    });
  });
});

// Random objects straight from the schema.
function arbitrary(type: TypeNode, depth: number): fc.Arbitrary<unknown> {
  switch (type.node) {
    case 'struct': {
      const fields: Record<string, fc.Arbitrary<unknown>> = {};
      for (const field of type.fields.values()) {
        const deep = field.type.node !== 'scalar';
        if (deep && depth === 0) continue;
        fields[field.name] = fc.option(arbitrary(field.type, depth - 1), { nil: undefined, freq: deep ? 2 : 1 });
      }
      return fc.record(fields);
    }
    case 'list':
      return fc.array(arbitrary(type.items, depth), { maxLength: 2 });
    case 'map':
      return fc.dictionary(fc.string({ maxLength: 3 }), arbitrary(type.values, depth), { maxKeys: 2 });
    case 'scalar':
      switch (type.scalar) {
        case 'bool':
          return fc.boolean();
        case 'int32':
          return fc.integer();
        case 'int64':
          return fc.maxSafeInteger();
        case 'float64':
          return fc.double({ noNaN: true, noDefaultInfinity: true });
        case 'bytes':
          return fc.uint8Array({ maxLength: 5 }).map((b) => btoa(String.fromCharCode(...b)));
        case 'time':
          return fc.constant('1969-12-31T23:59:59Z');
        case 'microTime':
          return fc.constant('2026-01-01T00:00:00.000001Z');
        case 'quantity':
          return fc.constantFrom('0', '1500m', '1Gi');
        case 'intOrString':
          return fc.oneof(fc.integer(), fc.string());
        case 'any':
          return type.goType?.startsWith('apiextensions') ? fc.constant(undefined) : fc.constantFrom({ a: 1 }, [1]);
        default:
          return fc.string({ maxLength: 4 });
      }
  }
}

it.each([
  ['apps/v1', 'Deployment'],
  ['v1', 'Node'],
  ['v1', 'PersistentVolume'],
  ['networking.k8s.io/v1', 'Ingress'],
  ['resource.k8s.io/v1', 'ResourceClaim'],
  ['admissionregistration.k8s.io/v1', 'ValidatingAdmissionPolicy'],
  ['apiextensions.k8s.io/v1', 'CustomResourceDefinition'],
])('random objects of %s %s survive', (apiVersion, kind) => {
  const struct = structForType(apiVersion, kind)!;
  fc.assert(
    fc.property(arbitrary(struct, 5), (value) => {
      const object = { ...decodeTyped(struct, value).object, apiVersion, kind };
      expect(roundTrip(dropEmpty(object) as typeof object)).toEqual(dropEmpty(object));
    }),
    { numRuns: 15, seed: 1 },
  );
});

/** Empty lists and maps behind pointers and lists of null do not exist in protobuf. */
function dropEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(dropEmpty);
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      Array.isArray(item) && item.length === 0 ? null : dropEmpty(item),
    ]),
  );
}

it('knows every type of the JSON schema', () => {
  const crd = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {},
    spec: {
      group: 'g',
      names: { plural: 'p', kind: 'K' },
      scope: 'Namespaced',
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: {
                a: { type: 'array', items: { type: 'string' } },
                b: { additionalProperties: true, default: { x: 1 } },
                c: { additionalProperties: { type: 'string' }, enum: ['a', null] },
              },
            },
          },
        },
      ],
    },
    status: { acceptedNames: { kind: '', plural: '' }, conditions: null, storedVersions: null },
  };
  expect(roundTrip(crd)).toEqual(crd);
});
