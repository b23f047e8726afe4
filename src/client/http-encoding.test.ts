import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ApiOp, NoUser, WatchEvent } from '../api/op.ts';
import { errorOf, requestOf, resultOf, warningTexts, WatchDecoder } from './http-encoding.ts';

const op = (more: Partial<NoUser<ApiOp>>): NoUser<ApiOp> => ({
  verb: 'get',
  group: '',
  version: 'v1',
  resource: 'pods',
  options: {},
  ...more,
});

test.each<[string, Partial<NoUser<ApiOp>>]>([
  ['GET /api/v1/pods', { verb: 'list' }],
  [
    'GET /apis/apps/v1/namespaces/a/deployments/b/scale',
    { group: 'apps', resource: 'deployments', namespace: 'a', name: 'b', subresource: 'scale' },
  ],
  ['GET /api/v1/nodes/a%2Fb', { resource: 'nodes', name: 'a/b' }],
  [
    'GET /api/v1/pods?labelSelector=a%3Db%2Cc&limit=5&continue=x',
    { verb: 'list', options: { labelSelector: 'a=b,c', limit: 5, continue: 'x' } },
  ],
  [
    'GET /api/v1/pods?watch=true&resourceVersion=7&allowWatchBookmarks=true&timeoutSeconds=9',
    { verb: 'watch', options: { resourceVersion: '7', allowWatchBookmarks: true, timeoutSeconds: 9 } },
  ],
  [
    'POST /api/v1/namespaces/a/pods?fieldManager=m&fieldValidation=Strict&dryRun=All',
    { verb: 'create', namespace: 'a', options: { fieldManager: 'm', fieldValidation: 'Strict', dryRun: true } },
  ],
  ['PUT /api/v1/namespaces/a/pods/b/status', { verb: 'update', namespace: 'a', name: 'b', subresource: 'status' }],
  ['DELETE /api/v1/pods?labelSelector=x', { verb: 'deletecollection', options: { labelSelector: 'x' } }],
  [
    'GET /api/v1/namespaces/a/pods/b/log?follow=true',
    {
      verb: 'connect',
      namespace: 'a',
      name: 'b',
      subresource: 'log',
      options: { query: new URLSearchParams('follow=true') },
    },
  ],
  [
    'PUT /api/v1/nodes/n/proxy/x/y',
    {
      verb: 'connect',
      resource: 'nodes',
      name: 'n',
      subresource: 'proxy',
      connect: { method: 'PUT', path: '/x/y', headers: {} },
    },
  ],
])('%s', (line, more) => {
  const { method, target } = requestOf(op(more));
  expect(`${method} ${target}`).toBe(line);
});

test('bodies', () => {
  expect(requestOf(op({ verb: 'create', body: { a: 1 } }))).toMatchObject({
    body: '{"a":1}',
    headers: { 'content-type': 'application/json' },
  });
  expect(requestOf(op({ verb: 'patch', patchType: 'apply', body: {} })).headers['content-type']).toBe(
    'application/apply-patch+yaml',
  );
  expect(requestOf(op({ verb: 'delete' })).body).toBeUndefined();
  const options = { gracePeriodSeconds: 0, dryRun: true, preconditions: { uid: 'u' } };
  expect(JSON.parse(requestOf(op({ verb: 'delete', options })).body!)).toEqual({
    kind: 'DeleteOptions',
    apiVersion: 'v1',
    gracePeriodSeconds: 0,
    preconditions: { uid: 'u' },
    dryRun: ['All'],
  });
});

test('results', () => {
  const list =
    '{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"a"}}]}';
  expect(resultOf(200, list)).toMatchObject({
    type: 'list',
    items: [{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } }],
  });
  expect(resultOf(201, '{"kind":"Pod"}', ['careful'])).toEqual({
    type: 'object',
    object: { kind: 'Pod' },
    code: 201,
    warnings: ['careful'],
  });
  expect(() => resultOf(200, '<html>')).toThrow('no JSON object');
  expect(warningTexts(['299 - "a \\"b\\" c", 299 x "d"', '199 - "no"'])).toEqual(['a "b" c', 'd']);
});

describe('errors', () => {
  test('are the Status that was sent', () => {
    const status = { kind: 'Status', message: 'no', reason: 'Conflict', code: 409, details: { name: 'a' } };
    expect(errorOf(409, JSON.stringify(status), '7')).toMatchObject({
      message: 'no',
      reason: 'Conflict',
      code: 409,
      details: { name: 'a', retryAfterSeconds: 7 },
    });
  });
  test.each([
    [404, '404 page not found\n', 'NotFound', '404 page not found'],
    [418, '', '', 'the server answered 418'],
    [503, '{"kind":"Other"}', 'ServiceUnavailable', '{"kind":"Other"}'],
    [500, 'null', 'InternalError', 'null'],
  ])('%i %s', (code, text, reason, message) => expect(errorOf(code, text)).toMatchObject({ code, reason, message }));
});

test('watch events come whole, however the bytes are cut', () => {
  const events = ['ü', '\n', '', '𝄞', 'x'.repeat(50)].map((name): WatchEvent => ({
    type: 'ADDED',
    object: { metadata: { name } } as WatchEvent['object'],
  }));
  const bytes = new TextEncoder().encode(events.map((e) => JSON.stringify(e) + '\n').join(''));
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 40 }), (sizes) => {
      const decoder = new WatchDecoder();
      const out: WatchEvent[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % sizes.length]!;
        out.push(...decoder.feed(bytes.subarray(at, at + size)));
        at += size;
      }
      expect(out).toEqual(events);
    }),
    { seed: 1 },
  );
  expect(() => new WatchDecoder().feed(new TextEncoder().encode('{"type":\n'))).toThrow(SyntaxError);
});
