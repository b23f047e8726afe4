// Server-side apply: merges a configuration into the live object, makes its manager the owner of what it names, takes
// out what the manager named before and nobody else applies, and refuses to overrule other owners unless forced.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/

import { badRequest } from '../errors.ts';
import type { ManagedFieldsEntry } from '../generated/meta-v1.ts';
import { isObject, plainFailure, type JsonObject } from '../json-values.ts';
import { joinApiVersion, splitApiVersion, type KubeObject } from '../object.ts';
import { sameJson } from '../same-json.ts';
import type { StructNode } from '../schema.ts';
import { appliedFaults, faultsText } from './check-applied.ts';
import { fieldSet } from './field-set.ts';
import {
  difference,
  EMPTY,
  intern,
  intersection,
  isEmptyTree,
  recursiveDifference,
  union,
  type FieldTree,
} from './field-tree.ts';
import { lastAppliedSet, withLastApplied } from './last-applied.ts';
import { applyConflict, ownerKey, readOwners, timeOf, writeOwners, type Conflict, type Owner } from './managers.ts';
import { mergeApplied, removeFields, withNamedFields } from './merge-applied.ts';
import { DecodeError, decodeTyped } from '../typed.ts';
import { blank, changesFor, changesOf, releaseChanges, STRIPPED_SET, type ManagerOptions } from './track.ts';

export interface ApplyOptions extends ManagerOptions {
  /** Take fields over that others own. */
  readonly force?: boolean | undefined;
}

export interface Applied {
  /** The merged object with its managed fields; not decoded or defaulted yet. */
  readonly object: JsonObject;
  readonly managedFields: ManagedFieldsEntry[] | undefined;
  /** Something besides managed fields differs from the live object. */
  readonly changed: boolean;
}

/**
 * Applies a configuration, complete or partial, to the live object (undefined: it is created). Changes neither.
 * Throws Conflict with one FieldManagerConflict cause a field, BadRequest for a configuration of another type or one
 * that carries managed fields, and a 500 in upstream's words for one that does not fit the schema.
 */
export function applyPatch(live: KubeObject | undefined, applied: unknown, options: ApplyOptions): Applied {
  const { kind, manager, subresource = '' } = options;
  const config = checkConfig(applied, live, options);
  const before = live ?? blank(kind.schema);
  const owners = ownersOf(live, options);
  const self = { manager, operation: 'Apply', apiVersion: kind.apiVersion, subresource } as const;
  const key = ownerKey(self);
  const last = owners.get(key);
  const named = ownedBy(config, options);
  const set = difference(named, STRIPPED_SET);
  // Pruning must see that the configuration names the object, or it would prune its metadata.
  owners.set(key, { ...self, set: named, time: last?.time });
  const whole = mergeApplied(kind.schema, before, config) as JsonObject;
  let merged = prune(kind.schema, whole, last?.set ?? EMPTY, owners) as unknown as KubeObject;
  const changesIn = changesFor(options, before, merged);
  const others = new Map(owners);
  others.delete(key);
  if (!options.force) checkConflicts(conflictsOf(others, changesIn), before, options);
  const next = releaseChanges(others, changesIn);
  const changed = !live || !sameJson(bare(before), bare(normal(merged, kind.schema)));
  const time = changed ? timeOf(options.now) : last?.time;
  const same = last?.entry && last.time === time && last.apiVersion === kind.apiVersion && sameJson(last.set, set);
  next.set(key, same ? last : { ...self, set: intern(set), time });
  if (manager === 'kubectl') merged = withLastApplied(merged, config);
  const managedFields = writeOwners(next);
  const { managedFields: _, ...metadata } = merged.metadata;
  const object = {
    ...merged,
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: managedFields ? { ...metadata, managedFields } : metadata,
  };
  return { object: object as unknown as JsonObject, managedFields, changed };
}

function checkConfig(applied: unknown, live: KubeObject | undefined, options: ApplyOptions): JsonObject {
  const { kind } = options;
  if (!isObject(applied)) throw badRequest('error decoding YAML: the applied object must be an object');
  const metadata = isObject(applied['metadata']) ? applied['metadata'] : {};
  const managed = metadata['managedFields'];
  if (Array.isArray(managed) && managed.length) throw badRequest('metadata.managedFields must be nil');
  const { apiVersion = '', kind: name = '' } = applied as Partial<KubeObject>;
  if (apiVersion !== kind.apiVersion || name !== kind.kind) {
    const [group, version] = splitApiVersion(apiVersion);
    throw badRequest(`invalid object type: ${joinApiVersion(group, version)}, Kind=${name}`);
  }
  const faults = appliedFaults(kind.schema, applied);
  if (faults.length === 0) return applied;
  const text = (field: 'namespace' | 'name') => String(metadata[field] ?? live?.metadata[field] ?? '');
  const what = `${text('namespace')}/${text('name')}; ${kind.apiVersion}, Kind=${kind.kind}`;
  throw plainFailure(`failed to create typed patch object (${what}): ${faultsText(faults)}`);
}

/** The stored owners; an object that was never tracked belongs to `before-first-apply`. */
function ownersOf(live: KubeObject | undefined, options: ApplyOptions): Map<string, Owner> {
  if (!live) return new Map();
  const owners = readOwners(live.metadata.managedFields) ?? new Map<string, Owner>();
  if (owners.size > 0) return owners;
  const { kind, subresource = '', now } = options;
  const { changed } = changesOf(kind.schema, blank(kind.schema), live, options.reset);
  const owner = {
    manager: 'before-first-apply',
    operation: 'Update',
    apiVersion: kind.apiVersion,
    subresource,
  } as const;
  owners.set(ownerKey(owner), { ...owner, set: changed, time: timeOf(now) });
  return owners;
}

/** What the configuration names. */
function ownedBy(config: JsonObject, { kind, reset }: ApplyOptions): FieldTree {
  const set = fieldSet(kind.schema, config);
  return reset ? recursiveDifference(set, reset) : set;
}

/** Takes out what the manager applied last time and no applier, itself included, applies now. */
function prune(
  schema: StructNode,
  merged: JsonObject,
  last: FieldTree,
  owners: ReadonlyMap<string, Owner>,
): JsonObject {
  let applied = EMPTY;
  for (const owner of owners.values()) if (owner.operation === 'Apply') applied = union(applied, owner.set);
  if (isEmptyTree(difference(last, applied))) return merged;
  const named = (set: FieldTree) => withNamedFields(schema, set);
  const setOf = (value: unknown) => named(fieldSet(schema, value));
  const without = (set: FieldTree) => (removeFields(schema, merged, set) ?? {}) as JsonObject;
  const lastNamed = named(last);
  const all = setOf(merged);
  const owned = without(difference(all, union(setOf(without(lastNamed)), named(applied))));
  return without(intersection(difference(all, setOf(owned)), lastNamed));
}

function conflictsOf(others: ReadonlyMap<string, Owner>, changesIn: ReturnType<typeof changesFor>): Conflict[] {
  const conflicts: Conflict[] = [];
  for (const owner of others.values()) {
    const set = intersection(owner.set, changesIn(owner.apiVersion)?.changed ?? EMPTY);
    if (!isEmptyTree(set)) conflicts.push({ owner, set });
  }
  return conflicts;
}

/** kubectl may overrule what its client-side apply wrote: that is how objects move to server-side apply. */
function checkConflicts(conflicts: readonly Conflict[], live: KubeObject, { kind, manager }: ApplyOptions): void {
  if (conflicts.length === 0) return;
  const allowed = manager === 'kubectl' ? lastAppliedSet(live, kind) : undefined;
  const left = allowed
    ? conflicts
        .map(({ owner, set }) => ({ owner, set: difference(set, allowed) }))
        .filter(({ set }) => !isEmptyTree(set))
    : conflicts;
  if (left.length) throw applyConflict(left);
}

/** As it would be stored: an applied `{}` or `1000m` that changes nothing is no change. */
function normal(merged: KubeObject, schema: StructNode): KubeObject {
  try {
    return decodeTyped<KubeObject>(schema, merged).object;
  } catch (error) {
    // Decoding what this yields will tell the client.
    if (error instanceof DecodeError) return merged;
    throw error;
  }
}

function bare(object: KubeObject): unknown {
  const { managedFields: _, ...metadata } = object.metadata ?? {};
  const { apiVersion: _v, kind: _k, ...rest } = object;
  return { ...rest, metadata };
}
