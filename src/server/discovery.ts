// What the server serves, in the three forms clients ask for: the legacy lists, and the aggregated documents v2 and
// v2beta1. Documents are made once per state of the kinds and kept as bytes with an ETag.
// https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api

import { fnv1a64 } from '../api/hash.ts';
import type { AnyKind } from '../api/kind.ts';
import { compareVersions } from '../api/version-priority.ts';

/** The verbs of the main resource in upstream's order. */
const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const;

interface ApiResource {
  name: string;
  singularName: string;
  namespaced: boolean;
  group?: string;
  version?: string;
  kind: string;
  verbs: string[];
  shortNames?: readonly string[];
  categories?: readonly string[];
}

const verbsOf = (kind: AnyKind): string[] => VERBS.filter((verb) => !kind.verbs || kind.verbs.includes(verb));

function resourcesOf(kind: AnyKind): ApiResource[] {
  const { plural, namespaced } = kind;
  const main: ApiResource = {
    name: plural,
    singularName: kind.singular,
    namespaced,
    kind: kind.kind,
    verbs: verbsOf(kind),
    ...(kind.shortNames ? { shortNames: kind.shortNames } : {}),
    ...(kind.categories ? { categories: kind.categories } : {}),
  };
  const resources = main.verbs.length ? [main] : [];
  const sub = (
    name: string,
    verbs: readonly string[],
    other: { group?: string; version?: string; kind?: string } = {},
  ) =>
    resources.push({
      name: `${plural}/${name}`,
      singularName: '',
      namespaced,
      ...(other.group !== undefined ? { group: other.group } : {}),
      ...(other.version !== undefined ? { version: other.version } : {}),
      kind: other.kind ?? kind.kind,
      verbs: [...verbs].sort(),
    });
  if (kind.scale) sub('scale', ['get', 'patch', 'update'], { group: 'autoscaling', version: 'v1', kind: 'Scale' });
  if (kind.status) sub('status', ['get', 'patch', 'update']);
  for (const [name, s] of Object.entries(kind.subresources ?? {})) sub(name, s.verbs, s);
  return resources;
}

interface Group {
  readonly name: string;
  /** Best version first. */
  readonly versions: readonly string[];
}

/** Upstream's order: clients take the first group that has a resource of an ambiguous name. Others follow by name. */
const GROUP_ORDER = [
  ' apiregistration.k8s.io apps events.k8s.io authentication.k8s.io authorization.k8s.io autoscaling batch',
  'certificates.k8s.io networking.k8s.io policy rbac.authorization.k8s.io storage.k8s.io admissionregistration.k8s.io',
  'apiextensions.k8s.io scheduling.k8s.io coordination.k8s.io node.k8s.io discovery.k8s.io resource.k8s.io',
  'flowcontrol.apiserver.k8s.io',
].flatMap((line) => line.split(' '));
function rankOf({ name }: Group): number {
  const rank = GROUP_ORDER.indexOf(name);
  return rank < 0 ? GROUP_ORDER.length : rank;
}

function groupsOf(kinds: readonly AnyKind[]): Group[] {
  const byGroup = Map.groupBy(kinds, (k) => k.group);
  return [...byGroup]
    .map(([name, members]) => ({ name, versions: [...new Set(members.map((k) => k.version))].sort(compareVersions) }))
    .sort((a, b) => rankOf(a) - rankOf(b) || (a.name < b.name ? -1 : 1));
}

const groupVersion = (group: string, version: string) => (group ? `${group}/${version}` : version);

function groupDocument(group: Group) {
  const versions = group.versions.map((version) => ({ groupVersion: groupVersion(group.name, version), version }));
  return { name: group.name, versions, preferredVersion: versions[0] };
}

function aggregatedVersion(kinds: readonly AnyKind[], group: string, version: string) {
  const members = kinds.filter((k) => k.group === group && k.version === version);
  const resources = members.flatMap((kind) => {
    const [first, ...rest] = resourcesOf(kind);
    const main = first && !first.name.includes('/') ? first : undefined;
    const subs = main ? rest : first ? [first, ...rest] : [];
    if (!main && !subs.length) return [];
    return [
      {
        resource: kind.plural,
        ...(main ? { responseKind: { group, version, kind: kind.kind } } : {}),
        scope: kind.namespaced ? 'Namespaced' : 'Cluster',
        singularResource: kind.singular,
        verbs: main?.verbs ?? [],
        ...(kind.shortNames ? { shortNames: kind.shortNames } : {}),
        ...(kind.categories ? { categories: kind.categories } : {}),
        ...(subs.length ? { subresources: subs.map((s) => aggregatedSubresource(s, group, version)) } : {}),
      },
    ];
  });
  return { version, resources, freshness: 'Current' };
}

function aggregatedSubresource(s: ApiResource, group: string, version: string) {
  return {
    subresource: s.name.slice(s.name.indexOf('/') + 1),
    responseKind: { group: s.group ?? group, version: s.version ?? version, kind: s.kind },
    verbs: s.verbs,
  };
}

function aggregated(kinds: readonly AnyKind[], core: boolean, apiVersion: string) {
  const items = groupsOf(kinds)
    .filter((group) => (group.name === '') === core)
    .map((group) => ({
      metadata: { ...(group.name ? { name: group.name } : {}), creationTimestamp: null },
      versions: group.versions.map((version) => aggregatedVersion(kinds, group.name, version)),
    }));
  return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${apiVersion}`, metadata: {}, items };
}

function legacy(kinds: readonly AnyKind[], path: string): unknown {
  if (path === '/api') {
    return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
  }
  const groups = groupsOf(kinds).filter((g) => g.name !== '');
  if (path === '/apis') return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(groupDocument) };
  const [, root, ...rest] = path.split('/');
  const [group, version] = root === 'api' ? ['', rest[0]] : [rest[0]!, rest[1]];
  if (version === undefined) {
    const found = groups.find((g) => g.name === group);
    return found && { kind: 'APIGroup', apiVersion: 'v1', ...groupDocument(found) };
  }
  const members = kinds.filter((k) => k.group === group && k.version === version);
  if (!members.length) return undefined;
  const resources = members.flatMap(resourcesOf).sort((a, b) => (a.name < b.name ? -1 : 1));
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: groupVersion(group, version), resources };
}

export interface DiscoveryDocument {
  readonly contentType: string;
  readonly etag: string;
  readonly body: Uint8Array;
}

const encoder = new TextEncoder();
/** Among the media types of an Accept header, the first aggregated form this server has. */
function aggregatedVersionAsked(accept: string): 'v2' | 'v2beta1' | undefined {
  for (const part of accept.split(',')) {
    const parameters = new Map(
      part
        .split(';')
        .slice(1)
        .map((p) => p.trim().split('=') as [string, string]),
    );
    const type = part.split(';')[0]!.trim();
    if (type !== 'application/json' && type !== '*/*') continue;
    const version = parameters.get('v');
    const asked = parameters.get('as') === 'APIGroupDiscoveryList' && parameters.get('g') === 'apidiscovery.k8s.io';
    if (asked && (version === 'v2' || version === 'v2beta1')) return version;
    if (!parameters.has('as')) return undefined;
  }
  return undefined;
}

/** The served kinds; `generation` grows when they change. */
export interface KindSource {
  readonly generation: number;
  list(): readonly AnyKind[];
}

export class Discovery {
  readonly #source: KindSource;
  #seen = -1;
  #documents = new Map<string, DiscoveryDocument>();

  constructor(source: KindSource) {
    this.#source = source;
  }

  /** The document at `/api`, `/apis`, `/api/v1`, `/apis/<group>` or `/apis/<group>/<version>`; undefined when there is none. */
  document(path: string, accept: string): DiscoveryDocument | undefined {
    const { generation } = this.#source;
    if (generation !== this.#seen) {
      this.#seen = generation;
      this.#documents = new Map();
    }
    const root = path === '/api' || path === '/apis';
    const version = root ? aggregatedVersionAsked(accept) : undefined;
    const key = `${path} ${version ?? ''}`;
    const known = this.#documents.get(key);
    if (known) return known;
    const made = this.#make(path, version);
    if (made) this.#documents.set(key, made);
    return made;
  }

  #make(path: string, version: 'v2' | 'v2beta1' | undefined): DiscoveryDocument | undefined {
    const value = version
      ? aggregated(this.#source.list(), path === '/api', version)
      : legacy(this.#source.list(), path);
    if (!value) return undefined;
    const text = JSON.stringify(value);
    const form = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
    return {
      contentType: version ? form : 'application/json',
      etag: `"${fnv1a64(text).toString(16).toUpperCase()}"`,
      body: encoder.encode(text),
    };
  }
}
