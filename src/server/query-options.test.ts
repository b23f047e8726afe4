import { describe, expect, test } from 'vitest';
import { StatusError } from '../api/errors.ts';
import type { PatchType, Verb } from '../api/op.ts';
import { deleteOptionsOf, queryOptions } from './query-options.ts';

const options = (verb: Verb, query: string, patchType?: PatchType) =>
  queryOptions(verb, query ? new URLSearchParams(query) : undefined, patchType);

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) return `${error.code} ${error.message}`;
    throw error;
  }
  throw new Error('nothing was refused');
}

test.each<[Verb, string, object]>([
  ['get', '', {}],
  ['get', 'resourceVersion=5&limit=1', { resourceVersion: '5' }],
  [
    'list',
    'limit=500&continue=x&labelSelector=a%3Db&fieldSelector=',
    { limit: 500, continue: 'x', labelSelector: 'a=b' },
  ],
  ['list', 'limit=0', {}],
  ['list', 'resourceVersion=5&resourceVersionMatch=Exact', { resourceVersion: '5', resourceVersionMatch: 'Exact' }],
  ['watch', 'allowWatchBookmarks=true&timeoutSeconds=7', { allowWatchBookmarks: true, timeoutSeconds: 7 }],
  [
    'watch',
    'sendInitialEvents=true&resourceVersionMatch=NotOlderThan',
    { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' },
  ],
  ['watch', 'allowWatchBookmarks=0', {}],
  [
    'create',
    'dryRun=All&fieldManager=m&fieldValidation=Strict',
    { dryRun: true, fieldManager: 'm', fieldValidation: 'Strict' },
  ],
  ['delete', 'gracePeriodSeconds=0&propagationPolicy=Orphan', { gracePeriodSeconds: 0, propagationPolicy: 'Orphan' }],
  ['delete', 'orphanDependents=false&dryRun=All', { propagationPolicy: 'Background', dryRun: true }],
  ['deletecollection', 'labelSelector=a&gracePeriodSeconds=3', { labelSelector: 'a', gracePeriodSeconds: 3 }],
])('%s ?%s', (verb, query, expected) => expect(options(verb, query)).toEqual(expected));

test.each<[Verb, string, string]>([
  ['list', 'limit=abc', '400 strconv.ParseInt: parsing "abc": invalid syntax'],
  ['list', 'limit=', '400 strconv.ParseInt: parsing "": invalid syntax'],
  ['list', 'limit=99999999999999999999', '400 strconv.ParseInt: parsing "99999999999999999999": value out of range'],
  [
    'list',
    'resourceVersionMatch=Exact',
    '422 ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
  ],
  [
    'list',
    'resourceVersion=0&resourceVersionMatch=Exact',
    '422 ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
  ],
  [
    'list',
    'sendInitialEvents=1',
    '422 ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list',
  ],
  [
    'watch',
    'sendInitialEvents=1',
    '422 ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
  ],
  [
    'create',
    'dryRun=Some',
    '422 CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
  ],
  [
    'update',
    'fieldValidation=strict',
    '422 UpdateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "strict": supported values: "", "Ignore", "Strict", "Warn"',
  ],
  [
    'create',
    `fieldManager=${'x'.repeat(129)}`,
    '422 CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes',
  ],
  [
    'create',
    'fieldManager=a%0Ab',
    '422 CreateOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: "a\\nb": invalid character U+000A (at position 1)',
  ],
  [
    'delete',
    'propagationPolicy=x',
    '422 DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "x": supported values: "Foreground", "Background", "Orphan", "nil"',
  ],
])('%s ?%s is refused', (verb, query, text) => expect(refusal(() => options(verb, query))).toBe(text));

describe('patch', () => {
  test('apply needs a manager and may force', () => {
    expect(options('patch', 'fieldManager=m&force=true', 'apply')).toEqual({ fieldManager: 'm', force: true });
    expect(refusal(() => options('patch', '', 'apply'))).toBe(
      '422 PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    );
  });
  test('the others may not force', () => {
    expect(refusal(() => options('patch', 'force=false', 'merge'))).toBe(
      '422 PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
    );
  });
});

describe('DeleteOptions body', () => {
  test('is read', () => {
    const body = {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      gracePeriodSeconds: 0,
      preconditions: { uid: 'u' },
      dryRun: ['All'],
      propagationPolicy: 'Foreground',
    };
    expect(deleteOptionsOf(body)).toEqual({
      gracePeriodSeconds: 0,
      preconditions: { uid: 'u' },
      dryRun: true,
      propagationPolicy: 'Foreground',
    });
    expect(deleteOptionsOf({})).toEqual({});
  });
  test.each([
    [[], '400 decoded object cannot be converted to DeleteOptions'],
    [{ kind: 'Pod' }, '400 decoded object cannot be converted to DeleteOptions'],
    [
      { gracePeriodSeconds: '5' },
      '400 json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64',
    ],
    [{ dryRun: 'All' }, '400 json: cannot unmarshal string into Go struct field DeleteOptions.dryRun of type []string'],
    [
      { orphanDependents: true, propagationPolicy: 'Orphan' },
      '422 DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
    ],
  ])('%j is refused', (body, text) => expect(refusal(() => deleteOptionsOf(body))).toBe(text));
});
