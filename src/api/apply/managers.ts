// The entries of metadata.managedFields as a collection: one per manager, operation, version and subresource.

import { rfc3339 } from '../../base/env.ts';
import { StatusError } from '../errors.ts';
import type { ManagedFieldsEntry } from '../generated/meta-v1.ts';
import type { KubeObject } from '../object.ts';
import { sameJson } from '../same-json.ts';
import { isEmptyTree, isFieldTree, pathsOf, union, type FieldTree } from './field-tree.ts';

export type Operation = 'Apply' | 'Update';

export interface Owner {
  readonly manager: string;
  readonly operation: Operation;
  readonly apiVersion: string;
  readonly subresource: string;
  readonly set: FieldTree;
  /** RFC 3339; absent when the manager's first write changed nothing. */
  readonly time: string | undefined;
  /** The entry this came from, when it is unchanged. */
  readonly entry?: ManagedFieldsEntry;
}

/** More updaters than this are merged into the manager `ancient-changes`, the oldest first. */
const MAX_UPDATERS = 10;

/** What tells owners apart: an applier stays the same when it changes the version it applies. */
export const ownerKey = (o: Pick<Owner, 'manager' | 'operation' | 'apiVersion' | 'subresource'>): string =>
  `${o.operation}\0${o.manager}\0${o.operation === 'Apply' ? '' : o.apiVersion}\0${o.subresource}`;

/** The owners of an object, by key; undefined when an entry is not understood. */
export function readOwners(entries: readonly ManagedFieldsEntry[] | undefined): Map<string, Owner> | undefined {
  const owners = new Map<string, Owner>();
  for (const entry of entries ?? []) {
    const { manager = '', operation, apiVersion = '', subresource = '', fieldsType, fieldsV1 = {}, time } = entry;
    if ((operation !== 'Apply' && operation !== 'Update') || fieldsType !== 'FieldsV1') return undefined;
    if (!isKnown(fieldsV1)) return undefined;
    const owner = { manager, operation, apiVersion, subresource, set: fieldsV1 as FieldTree, time, entry } as const;
    owners.set(ownerKey(owner), owner);
  }
  return owners;
}

const known = new WeakSet<object>();

/** Sets stay the same objects from write to write, so each is checked once. */
function isKnown(fields: object): boolean {
  if (known.has(fields)) return true;
  if (!isFieldTree(fields)) return false;
  known.add(fields);
  return true;
}

/** The entries of the owners, in upstream's order; owners of nothing are left out. Undefined when none is left. */
export function writeOwners(owners: ReadonlyMap<string, Owner>): ManagedFieldsEntry[] | undefined {
  const entries: ManagedFieldsEntry[] = [];
  for (const owner of capped(owners)) {
    if (isEmptyTree(owner.set)) continue;
    entries.push(owner.entry ?? entryOf(owner));
  }
  return entries.length ? entries.sort(byAge) : undefined;
}

function entryOf({ manager, operation, apiVersion, subresource, set, time }: Owner): ManagedFieldsEntry {
  known.add(set);
  return {
    ...(manager ? { manager } : {}),
    operation,
    apiVersion,
    ...(time ? { time } : {}),
    fieldsType: 'FieldsV1',
    fieldsV1: set as Record<string, unknown>,
    ...(subresource ? { subresource } : {}),
  };
}

const compareText = (a = '', b = '') => (a < b ? -1 : a > b ? 1 : 0);

function byAge(a: ManagedFieldsEntry, b: ManagedFieldsEntry): number {
  return (
    compareText(a.operation, b.operation) ||
    compareText(a.time, b.time) ||
    compareText(a.manager, b.manager) ||
    compareText(a.apiVersion, b.apiVersion) ||
    compareText(a.subresource, b.subresource)
  );
}

function capped(owners: ReadonlyMap<string, Owner>): Iterable<Owner> {
  if (owners.size <= MAX_UPDATERS) return owners.values();
  const updaters = [...owners.values()].filter((o) => o.operation === 'Update' && !isEmptyTree(o.set));
  let excess = updaters.length - MAX_UPDATERS;
  if (excess <= 0) return owners.values();
  const out = new Map(owners);
  const firstOf = new Map<string, Owner>();
  for (const owner of updaters.sort((a, b) => compareText(a.time, b.time) || compareText(ownerKey(a), ownerKey(b)))) {
    if (excess === 0) break;
    const first = firstOf.get(owner.apiVersion);
    if (!first) {
      firstOf.set(owner.apiVersion, owner);
      continue;
    }
    const { apiVersion, time } = owner;
    const bucket = { manager: 'ancient-changes', operation: 'Update', apiVersion, subresource: '' } as const;
    const before = out.get(ownerKey(bucket)) ?? first;
    out.delete(ownerKey(first));
    out.delete(ownerKey(owner));
    out.set(ownerKey(bucket), { ...bucket, set: union(before.set, owner.set), time });
    excess--;
  }
  return out.values();
}

/**
 * The managed fields for `updated`: those of `live` when nothing but their times differs, so that a write without a
 * change stays one. Call it right before comparing what is to be written with what is stored.
 */
export function settledManagedFields(live: KubeObject, updated: KubeObject): ManagedFieldsEntry[] | undefined {
  const [before, after] = [live.metadata.managedFields, updated.metadata.managedFields];
  if (before === after || !before || before.length !== after?.length) return after;
  const { managedFields: _, ...metadata } = updated.metadata;
  const same = before.every((entry, i) => sameJson({ ...entry, time: '' }, { ...after[i], time: '' }));
  return same && sameJson(live, { ...updated, metadata: { ...metadata, managedFields: before } }) ? before : after;
}

/** The name a request without fieldManager gets: the User-Agent up to its first slash. */
export const managerOfUserAgent = (userAgent: string): string => {
  const name = userAgent.split('/')[0]!.replace(/[^\x20-\x7e]/g, '');
  return name.slice(0, 128);
};

/** An owner with the same claims but another set, or itself. */
export const withSet = (owner: Owner, set: FieldTree): Owner =>
  set === owner.set ? owner : { ...withoutEntry(owner), set };

function withoutEntry(owner: Owner): Owner {
  const { entry: _, ...rest } = owner;
  return rest;
}

export const timeOf = (now: number): string => rfc3339(now);

export interface Conflict {
  readonly owner: Owner;
  readonly set: FieldTree;
}

/** 409 with one cause for each field others own. */
export function applyConflict(conflicts: readonly Conflict[]): StatusError {
  const all = conflicts.flatMap(({ owner, set }) => pathsOf(set).map((path) => ({ who: ownerText(owner), path })));
  const causes = all.map(({ who, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${who}`,
    field: path,
  }));
  return new StatusError('Conflict', conflictText(all), { causes });
}

function conflictText(all: readonly { who: string; path: string }[]): string {
  if (all.length === 1) return `Apply failed with 1 conflict: conflict with ${all[0]!.who}: ${all[0]!.path}`;
  const lines: string[] = [];
  for (const who of [...new Set(all.map((c) => c.who))].sort()) {
    lines.push(`conflicts with ${who}:`, ...all.filter((c) => c.who === who).map((c) => `- ${c.path}`));
  }
  return `Apply failed with ${all.length} conflicts: ${lines.join('\n')}`;
}

function ownerText({ manager, subresource, operation, apiVersion }: Owner): string {
  const name = JSON.stringify(manager) + (subresource ? ` with subresource ${JSON.stringify(subresource)}` : '');
  return operation === 'Update' ? `${name} using ${apiVersion}` : name;
}
