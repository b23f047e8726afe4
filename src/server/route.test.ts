import { describe, expect, test } from 'vitest';
import { route, type ResourceRoute } from './route.ts';

const at = (method: string, path: string, watch?: string) => route(method, path, watch);
const resource = (method: string, path: string, watch?: string): Partial<ResourceRoute> | string => {
  const found = at(method, path, watch);
  if (found.type !== 'resource') return found.type;
  const { verb, group, version, resource: r, namespace, name, subresource, rest } = found.route;
  const text = [verb, group || 'core', version, r, namespace ?? '-', name ?? '-', subresource ?? '-'].join(' ');
  return rest ? `${text} ${rest}` : text;
};

test.each([
  ['GET', '/api/v1/pods', 'list core v1 pods - - -'],
  ['GET', '/api/v1/pods/', 'list core v1 pods - - -'],
  ['HEAD', '/api/v1/namespaces/a/pods/b', 'get core v1 pods a b -'],
  ['GET', '/apis/apps/v1/namespaces/a/deployments/b/scale', 'get apps v1 deployments a b scale'],
  ['PUT', '/api/v1/namespaces/a/status', 'update core v1 namespaces - a status'],
  ['PUT', '/api/v1/namespaces/a/finalize', 'update core v1 namespaces - a finalize'],
  ['GET', '/api/v1/namespaces/a', 'get core v1 namespaces - a -'],
  ['GET', '/api/v1/namespaces', 'list core v1 namespaces - - -'],
  ['POST', '/api/v1/namespaces', 'create core v1 namespaces - - -'],
  ['DELETE', '/api/v1/namespaces/a/pods', 'deletecollection core v1 pods a - -'],
  ['DELETE', '/api/v1/namespaces/a/pods/b', 'delete core v1 pods a b -'],
  ['PATCH', '/api/v1/nodes/n', 'patch core v1 nodes - n -'],
  ['GET', '/api/v1/watch/namespaces/a/pods', 'watch core v1 pods a - -'],
  ['GET', '/api/v1/watch/namespaces/a/pods/b', 'watch core v1 pods a b -'],
  ['GET', '/apis/apps/v1/watch/deployments', 'watch apps v1 deployments - - -'],
  ['POST', '/api/v1/namespaces/a/pods/b/exec', 'connect core v1 pods a b exec'],
  ['GET', '/api/v1/namespaces/a/pods/b/log', 'connect core v1 pods a b log'],
  [
    'GET',
    '/api/v1/namespaces/a/services/http:b:80/proxy/x/y%20z',
    'connect core v1 services a http:b:80 proxy /x/y%20z',
  ],
  ['PUT', '/api/v1/nodes/n/proxy/', 'connect core v1 nodes - n proxy /'],
  ['GET', '/api/v1/nodes/n%3a1', 'get core v1 nodes - n:1 -'],
  ['GET', '/apis/x/v1/pods/b/exec', 'get x v1 pods - b exec'],
])('%s %s', (method, path, expected) => {
  expect(resource(method, path)).toBe(expected);
});

test.each(['/', '/api', '/api/v1', '/apis', '/apis/apps', '/apis/apps/v1', '/healthz', '/metrics', '/api/v1/watch'])(
  '%s is a plain path',
  (path) => expect(at('GET', path)).toEqual({ type: 'path' }),
);

test.each([
  ['POST', '/api/v1/namespaces/a/pods/b'],
  ['PUT', '/api/v1/namespaces/a/pods'],
  ['PATCH', '/api/v1/pods'],
  ['OPTIONS', '/api/v1/pods'],
  ['POST', '/api/v1/watch/pods'],
  ['DELETE', '/api/v1/namespaces/a/pods/b/exec'],
  ['POST', '/api/v1/namespaces/a/pods/b/log'],
])('%s %s makes no sense', (method, path) => expect(at(method, path)).toEqual({ type: 'method' }));

describe('watch parameter', () => {
  test.each([
    ['true', 'watch'],
    ['1', 'watch'],
    ['', 'watch'],
    ['0', 'list'],
    ['False', 'list'],
    [undefined, 'list'],
  ])('%j', (value, verb) => expect(resource('GET', '/api/v1/pods', value)).toMatch(new RegExp(`^${verb} `)));
  test('means nothing for one object', () => expect(resource('GET', '/api/v1/nodes/n', 'true')).toMatch(/^get /));
});

test('escapes that are none', () => expect(() => at('GET', '/api/v1/nodes/%zz')).toThrow(URIError));
