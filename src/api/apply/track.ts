// Managed fields of create, update and patch: whoever changes a field owns it from then on, alone.
// The cost is that of what changed: parts an update shares with the stored object are not looked at, and owners whose
// fields did not change keep their entries.

import type { ManagedFieldsEntry } from '../generated/meta-v1.ts';
import type { KubeObject } from '../object.ts';
import { sameJson } from '../same-json.ts';
import type { StructNode } from '../schema.ts';
import { structDecoder } from '../typed-decoder.ts';
import { differences, type SkipFields } from './field-set.ts';
import { difference, EMPTY, intern, isEmptyTree, recursiveDifference, union, type FieldTree } from './field-tree.ts';
import { ownerKey, readOwners, timeOf, withSet, writeOwners, type Owner } from './managers.ts';

export interface ManagerOptions {
  readonly kind: { readonly apiVersion: string; readonly kind: string; readonly schema: StructNode };
  /** Who writes: the fieldManager of the request, or what `managerOfUserAgent` makes of its User-Agent. */
  readonly manager: string;
  /** The subresource written to: `status`, `scale`. */
  readonly subresource?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Paths this request cannot change, as a set: `{'f:status': {}}` for a main resource with /status. */
  readonly reset?: FieldTree | undefined;
  /**
   * The object in another version of its kind, for owners that wrote in it; undefined for a version that is not
   * served any more, whose owners are forgotten. Without this, only the kind's own version is known.
   */
  readonly versions?: ((apiVersion: string, object: KubeObject) => Versioned | undefined) | undefined;
}

export interface Versioned {
  readonly schema: StructNode;
  readonly object: KubeObject;
}

/** What nobody owns: the object's identity and what the server sets. */
const STRIPPED: SkipFields = {
  apiVersion: true,
  kind: true,
  metadata: {
    name: true,
    namespace: true,
    creationTimestamp: true,
    selfLink: true,
    uid: true,
    clusterName: true,
    generation: true,
    managedFields: true,
    resourceVersion: true,
  },
};

/** The same as a set, for what a configuration applies. */
export const STRIPPED_SET: FieldTree = {
  'f:apiVersion': EMPTY,
  'f:kind': EMPTY,
  'f:metadata': {
    '.': EMPTY,
    ...Object.fromEntries(Object.keys(STRIPPED['metadata']!).map((name) => [`f:${name}`, EMPTY])),
  },
};

/** An object of a type before anybody has written a field. */
export function blank(schema: StructNode): KubeObject {
  return structDecoder(schema).zero() as unknown as KubeObject;
}

export interface Changes {
  /** Added or modified. */
  readonly changed: FieldTree;
  readonly removed: FieldTree;
}

export function changesOf(schema: StructNode, live: KubeObject, updated: KubeObject, reset?: FieldTree): Changes {
  const { changed, removed } = differences(schema, live, updated, STRIPPED);
  const filter = (set: FieldTree) => (reset ? recursiveDifference(set, reset) : set);
  return { changed: filter(changed ?? EMPTY), removed: filter(removed ?? EMPTY) };
}

/** Changes as seen in an owner's version; undefined when that version is not served any more. */
export function changesFor(
  options: ManagerOptions,
  live: KubeObject,
  updated: KubeObject,
): (apiVersion: string) => Changes | undefined {
  const known = new Map<string, Changes | undefined>();
  return (apiVersion) => {
    if (known.has(apiVersion)) return known.get(apiVersion);
    let changes: Changes | undefined;
    if (apiVersion === options.kind.apiVersion) {
      changes = changesOf(options.kind.schema, live, updated, options.reset);
    } else {
      const [before, after] = [options.versions?.(apiVersion, live), options.versions?.(apiVersion, updated)];
      if (before && after) changes = changesOf(after.schema, before.object, after.object, options.reset);
    }
    known.set(apiVersion, changes);
    return changes;
  };
}

/**
 * The managed fields of `updated`, which is about to replace `live` (undefined: it is created). `updated` may carry
 * managed fields a client edited; the result is what to store in their place, undefined for none.
 * Call it after decoding and defaulting, before admission and before the server fills in metadata.
 */
export function trackUpdate(
  live: KubeObject | undefined,
  updated: KubeObject,
  options: ManagerOptions,
): ManagedFieldsEntry[] | undefined {
  const { kind, manager, subresource = '' } = options;
  const [entries, owners] = ownersBefore(live, updated, subresource !== '');
  // An object that is not tracked yet starts to be with its first apply.
  if (live && owners.size === 0) return undefined;
  const changesIn = changesFor(options, live ?? blank(kind.schema), updated);
  const { changed, removed } = changesIn(kind.apiVersion)!;
  const single = [...owners.values()].every((owner) => owner.apiVersion === kind.apiVersion);
  if (single && isEmptyTree(changed) && isEmptyTree(removed)) return entries as ManagedFieldsEntry[] | undefined;
  const gained = difference(changed, removed);
  const self = { manager, operation: 'Update', apiVersion: kind.apiVersion, subresource } as const;
  const key = ownerKey(self);
  const gains = !isEmptyTree(gained);
  const next = releaseChanges(owners, changesIn, gains ? key : undefined);
  if (gains) {
    const before = owners.get(key);
    const set = before ? difference(union(before.set, changed), removed) : gained;
    next.set(key, { ...self, set: live ? set : intern(set), time: timeOf(options.now) });
  }
  return writeOwners(next);
}

/** Owners without what changed: it now belongs to the writer, whose key is `except`, or to nobody. */
export function releaseChanges(
  owners: ReadonlyMap<string, Owner>,
  changesIn: (apiVersion: string) => Changes | undefined,
  except?: string,
): Map<string, Owner> {
  const out = new Map<string, Owner>();
  for (const [key, owner] of owners) {
    if (key === except) continue;
    const changes = changesIn(owner.apiVersion);
    if (!changes) continue;
    out.set(key, withSet(owner, difference(difference(owner.set, changes.changed), changes.removed)));
  }
  return out;
}

type Entries = readonly ManagedFieldsEntry[] | undefined;

/** The owners to start from: those the client sent, if it sent any and they make sense, else the stored ones. */
function ownersBefore(
  live: KubeObject | undefined,
  updated: KubeObject,
  isSubresource: boolean,
): [entries: Entries, owners: ReadonlyMap<string, Owner>] {
  const stored = live?.metadata.managedFields;
  const sent = updated.metadata.managedFields;
  if (sent && sent.length > 0 && !isSubresource && !sameJson(sent, stored)) {
    // `[{}]` is how a client resets them.
    if (sent.length === 1 && Object.keys(sent[0]!).length === 0) return [undefined, new Map()];
    const owners = readOwners(sent);
    if (owners && owners.size > 0) return [sent, owners];
  }
  return [stored, readOwners(stored) ?? new Map()];
}
