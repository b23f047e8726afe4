import { expect, test } from 'vitest';
import { fieldErrorText, type FieldError } from '../errors.ts';
import type { LabelSelector, ObjectMeta } from '../object.ts';
import {
  fillObjectMeta,
  utf8Length,
  validateLabelSelector,
  validateObjectMeta,
  validateObjectMetaUpdate,
} from './object-meta.ts';
import { sameValue } from './same-value.ts';

const stored: ObjectMeta = {
  name: 'web',
  namespace: 'default',
  uid: 'u1',
  resourceVersion: '7',
  creationTimestamp: '2024-01-01T00:00:00Z',
};
const texts = (errors: FieldError[]) => errors.map(fieldErrorText);
const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'a', uid: 'u', controller: true };

test.each<[Partial<ObjectMeta>, string[]]>([
  [{}, []],
  [{ name: '' }, ['metadata.name: Required value: name or generateName is required']],
  [
    { name: 'Web' },
    [expect.stringContaining('metadata.name: Invalid value: "Web": a lowercase RFC 1123 subdomain') as string],
  ],
  [{ namespace: '' }, ['metadata.namespace: Required value']],
  [
    { labels: { 'a b': 'x' } },
    [expect.stringMatching(/^metadata.labels: Invalid value: "a b": name part must/) as string],
  ],
  [
    { labels: { a: '-' } },
    [expect.stringMatching(/^metadata.labels: Invalid value: "-": a valid label must/) as string],
  ],
  [{ annotations: { 'Example.COM/x': 'ä'.repeat(10) } }, []],
  [
    { annotations: { a: 'x'.repeat(256 * 1024) } },
    ['metadata.annotations: Too long: may not be more than 262144 bytes'],
  ],
  [
    { ownerReferences: [{ ...owner, apiVersion: 'a/b/c' }] },
    ['metadata.ownerReferences.apiVersion: Invalid value: "a/b/c": version must not be empty'],
  ],
  [
    { ownerReferences: [{ ...owner, uid: '' }] },
    ['metadata.ownerReferences.uid: Invalid value: "": must not be empty'],
  ],
  [
    { ownerReferences: [owner, { ...owner, name: 'b' }] },
    [
      expect.stringContaining(
        'Only one reference can have Controller set to true. Found "true" in references for ReplicaSet/a and ReplicaSet/b',
      ) as string,
    ],
  ],
  [
    { finalizers: ['a/b/c'] },
    [expect.stringMatching(/^metadata.finalizers: Invalid value: "a\/b\/c": a qualified name/) as string],
  ],
  [
    { finalizers: ['orphan', 'foregroundDeletion'] },
    [
      'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set',
    ],
  ],
  [
    { managedFields: [{ manager: 'a\nb', operation: 'Write' }] },
    [
      'metadata.managedFields[0].operation: Invalid value: "Write": must be `Apply` or `Update`',
      'metadata.managedFields[0].manager: Invalid value: "a\\nb": invalid character U+000A (at position 1)',
    ],
  ],
])('create %j', (part, expected) => {
  expect(texts(validateObjectMeta({ ...stored, ...part }, { namespaced: true }))).toEqual(expected);
});

test('cluster-scoped objects have no namespace', () => {
  expect(texts(validateObjectMeta(stored, { namespaced: false }))).toEqual([
    'metadata.namespace: Forbidden: not allowed on this type',
  ]);
});

test.each<[Partial<ObjectMeta>, Partial<ObjectMeta>, string[]]>([
  [{}, {}, []],
  [{ resourceVersion: '' }, {}, ['metadata.resourceVersion: Invalid value: "": must be specified for an update']],
  [{ name: 'other' }, {}, ['metadata.name: Invalid value: "other": field is immutable']],
  [{ uid: 'u2' }, {}, ['metadata.uid: Invalid value: "u2": field is immutable']],
  [{ generation: 1 }, { generation: 2 }, ['metadata.generation: Invalid value: 1: must not be decremented']],
  [
    { finalizers: ['b', 'a'] },
    { deletionTimestamp: 't', finalizers: ['b'] },
    [
      'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"a"}',
    ],
  ],
])('update %j of %j', (part, oldPart, expected) => {
  const draft = { ...stored, ...part };
  const old = { ...stored, ...oldPart };
  fillObjectMeta(draft, old);
  expect(texts(validateObjectMetaUpdate(draft, old))).toEqual(expected);
});

test.each<[LabelSelector, string[]]>([
  [{ matchExpressions: [{ key: 'a', operator: 'In', values: ['x'] }] }, []],
  [
    { matchExpressions: [{ key: 'a', operator: 'In' }] },
    ["s.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"],
  ],
  [
    { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['x'] }] },
    ["s.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"],
  ],
  [
    { matchExpressions: [{ key: 'a', operator: 'Like' }] },
    ['s.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator'],
  ],
])('selector %j', (selector, expected) => {
  const out: FieldError[] = [];
  validateLabelSelector(selector, 's', out);
  expect(texts(out)).toEqual(expected);
});

test('utf8Length and sameValue', () => {
  expect(['a', 'ä', '€', '😀', '\ud800'].map(utf8Length)).toEqual([1, 2, 3, 4, 3]);
  expect(sameValue({ a: [], b: { c: 1 } }, { b: { c: 1 } })).toBe(true);
  expect(sameValue({ a: [1, 2] }, { a: [2, 1] })).toBe(false);
  expect(sameValue({ a: 0 }, {})).toBe(false);
});
