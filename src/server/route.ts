// From method and path to what a request is about, by upstream's rules (apiserver's RequestInfo): resource requests are
// /api/{version}/... and /apis/{group}/{version}/..., everything else is a plain path.

import type { Verb } from '../api/op.ts';

export interface ResourceRoute {
  readonly verb: Verb;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  /** What follows the subresource, percent-encoded as sent, with its leading slash; '' when nothing does. */
  readonly rest: string;
  /** The deprecated /watch/ form: a name stands for a field selector. */
  readonly watchPrefix: boolean;
}

export type Route =
  | { readonly type: 'resource'; readonly route: ResourceRoute }
  | { readonly type: 'path' }
  /** The method makes no sense there. */
  | { readonly type: 'method' };

const METHOD_VERBS: Readonly<Record<string, Verb>> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Parts of /namespaces/{name}/... that belong to the namespace itself. */
const NAMESPACE_SUBRESOURCES = new Set(['status', 'finalize']);

/** Subresources that are conversations, by resource of the core group. */
const CONNECT: Readonly<Record<string, readonly string[]>> = {
  pods: ['exec', 'attach', 'portforward', 'proxy', 'log'],
  services: ['proxy'],
  nodes: ['proxy'],
};

const PATH: Route = { type: 'path' };
const METHOD: Route = { type: 'method' };

/** `path` is percent-encoded; throws URIError when an escape is malformed. `watch` is the query parameter's first value. */
export function route(method: string, path: string, watch: string | undefined): Route {
  const raw = segments(path);
  const core = raw[0] === 'api';
  if ((!core && raw[0] !== 'apis') || raw.length < (core ? 3 : 4)) return PATH;
  const parts = raw.map((p) => (p.includes('%') ? decodeURIComponent(p) : p));
  const group = core ? '' : parts[1]!;
  const version = parts[core ? 1 : 2]!;
  let at = core ? 2 : 3;

  let verb = METHOD_VERBS[method];
  const watchPrefix = parts[at] === 'watch';
  if (watchPrefix) {
    if (parts.length === ++at) return PATH;
    verb = verb === 'get' ? 'watch' : undefined;
  }
  let namespace: string | undefined;
  if (parts[at] === 'namespaces' && parts.length > at + 1) {
    namespace = parts[at + 1];
    if (parts.length > at + 2 && !NAMESPACE_SUBRESOURCES.has(parts[at + 2]!)) at += 2;
  }
  const resource = parts[at]!;
  const name = parts[at + 1];
  const subresource = parts[at + 2];
  if (resource === 'namespaces') namespace = undefined;
  const rest = parts.length > at + 3 ? '/' + raw.slice(at + 3).join('/') + (path.endsWith('/') ? '/' : '') : '';
  const actual = verbOf(verb, group, resource, name, subresource, watch);
  if (!actual) return METHOD;
  // Only proxies have paths of their own behind the subresource.
  if (rest && subresource !== 'proxy') return PATH;
  const tail = rest || (subresource === 'proxy' && path.endsWith('/') ? '/' : '');
  return {
    type: 'resource',
    route: { verb: actual, group, version, resource, namespace, name, subresource, rest: tail, watchPrefix },
  };
}

function verbOf(
  verb: Verb | undefined,
  group: string,
  resource: string,
  name: string | undefined,
  subresource: string | undefined,
  watch: string | undefined,
): Verb | undefined {
  if (subresource !== undefined && group === '' && CONNECT[resource]?.includes(subresource)) {
    if (subresource === 'log') return verb === 'get' ? 'connect' : undefined;
    if (subresource === 'proxy') return 'connect';
    return verb === 'get' || verb === 'create' ? 'connect' : undefined;
  }
  if (name === undefined) {
    if (verb === 'get') return isTrue(watch) ? 'watch' : 'list';
    if (verb === 'delete') return 'deletecollection';
    return verb === 'create' || verb === 'watch' ? verb : undefined;
  }
  return verb === 'create' && subresource === undefined ? undefined : verb;
}

function segments(path: string): string[] {
  let start = 0;
  let end = path.length;
  while (start < end && path[start] === '/') start++;
  while (end > start && path[end - 1] === '/') end--;
  return start === end ? [] : path.slice(start, end).split('/');
}

/** How a boolean query parameter reads: present and neither `0` nor `false`. */
export function isTrue(value: string | null | undefined): boolean {
  return value !== undefined && value !== null && value !== '0' && value.toLowerCase() !== 'false';
}
