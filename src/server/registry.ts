// The generic registry: the one path of every write, whatever the kind.
// create: default -> mutate -> prepare -> validate -> store; update: the same against the stored object, as a
// compare-and-swap that starts over when somebody else was quicker.

import {
  alreadyExists,
  conflict,
  field,
  invalid,
  MODIFIED,
  notFound,
  StatusError,
  type FieldError,
} from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';
import { fillObjectMeta, validateObjectMeta, validateObjectMetaUpdate } from '../api/validate/object-meta.ts';
import { randomSuffix, rfc3339, uuid } from '../base/env.ts';
import { admissionOf, type Admission } from './admit.ts';
import { strategyContext, subjectOf, type Call } from './call.ts';
import type { Storage } from './caches.ts';
import { formOf } from './forms.ts';
import { touchManagedFields } from './managed-fields.ts';
import { sameJson } from '../api/same-json.ts';
import { dedupOwners, keepForMain, keepForStatus, nextGeneration } from './write-rules.ts';

const GENERATE_NAME_TRIES = 8;
/** The longest generateName that is used whole: 63 characters less the suffix. */
const MAX_GENERATE_NAME = 58;
/** An update without a version of its own starts over this often; each time somebody else has made progress. */
const UPDATE_TRIES = 100;

/**
 * Stores a new object. Takes the decoded `draft` over; answers in the form of `kind`. `managed`: the draft's managed
 * fields are final (server-side apply).
 */
export async function createObject(
  call: Call,
  kind: AnyKind,
  draft: KubeObject,
  { managed = false }: { readonly managed?: boolean } = {},
): Promise<KubeObject> {
  const { resourceVersion } = draft.metadata;
  if (resourceVersion && resourceVersion !== '0') {
    // Upstream fails without a reason here.
    throw new StatusError('', 'resourceVersion should not be set on objects to be created', undefined, 500);
  }
  const storage = await call.server.caches.current(kind);
  const admission = admissionOf(call, 'CREATE', kind);
  dedupOwners(call, draft);
  if (!managed) touchManagedFields(call, kind, undefined, draft);
  await admission.mutate(draft, undefined);
  dedupOwners(call, draft);
  const allocation = await allocationFor(call, kind, draft, undefined);
  try {
    return await storeNew(call, kind, storage, admission, draft);
  } finally {
    allocation?.release();
  }
}

/** Prepares, validates and writes; with generateName under a new name until one is free. */
async function storeNew(
  call: Call,
  kind: AnyKind,
  storage: Storage,
  admission: Admission,
  object: KubeObject,
): Promise<KubeObject> {
  const { metadata } = object;
  const base = metadata.name ? undefined : metadata.generateName;
  for (let attempt = 1; ; attempt++) {
    if (base) metadata.name = base.slice(0, MAX_GENERATE_NAME) + randomSuffix(call.server.env.random);
    prepareNew(call, kind, object);
    await admission.validate(object, undefined);
    let existing = storage.get(metadata.namespace, metadata.name);
    if (!existing) {
      if (call.op.options.dryRun) return withoutVersion(object);
      const outcome = await storage.put(kind.storedAs ? kind.storedAs.to(object) : object, undefined, call.span);
      if (outcome.ok) return formOf(kind, outcome.object);
      existing = outcome.current;
    }
    if (!base) throw existsError(kind, metadata.name, existing);
    if (attempt === GENERATE_NAME_TRIES) throw exhaustedError(kind, metadata.name);
  }
}

/** What the server sets on a new object, and whether the object may be. Throws Invalid. */
function prepareNew(call: Call, kind: AnyKind, object: KubeObject): void {
  const context = strategyContext(call);
  const { metadata } = object;
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.selfLink;
  metadata.creationTimestamp = rfc3339(context.now);
  metadata.uid = uuid(context.random);
  metadata.resourceVersion = '';
  if (kind.generation) metadata.generation = 1;
  else delete metadata.generation;
  kind.prepareForCreate?.(object, context);
  const causes = [...validateObjectMeta(metadata, kind), ...(kind.validate?.(object, context) ?? [])];
  if (causes.length) throw invalid(kind.group, kind.kind, metadata.name ?? '', causes);
  for (const text of kind.warnings?.(object, undefined) ?? []) call.warnings.add(text);
}

export interface Update {
  readonly namespace: string | undefined;
  readonly name: string;
  /** `status`, `scale` or another subresource that changes the object; undefined for the object itself. */
  readonly subresource?: string | undefined;
  /**
   * A fresh draft of the wanted object, in the form of the kind. `current` is undefined when there is none, which only
   * `createMissing` allows. Called again after a lost race.
   */
  draft(current: KubeObject | undefined): KubeObject | Promise<KubeObject>;
  /** Whether and how a missing object comes into being: throws Forbidden when the user may not create. */
  readonly createMissing?: ((draft: KubeObject) => Promise<KubeObject>) | undefined;
  /** A draft without resourceVersion replaces whatever is there. Patches and internal updates always do. */
  readonly unconditional: boolean;
  /** The draft's managed fields are final (server-side apply). */
  readonly managed?: boolean;
  /**
   * Checks in place of the kind's strategy: what the draft holds is stored, after metadata has been checked. For
   * subresources with rules of their own, such as a binding.
   */
  validate?(object: KubeObject, old: KubeObject): readonly FieldError[];
}

export interface Updated {
  readonly object: KubeObject;
  readonly created: boolean;
}

/** Replaces a stored object by what `update.draft` makes of it. */
export async function updateObject(call: Call, kind: AnyKind, update: Update): Promise<Updated> {
  const storage = await call.server.caches.latest(kind);
  const admission = admissionOf(call, 'UPDATE', kind);
  let stored = storage.get(update.namespace, update.name);
  for (let attempt = 1; ; attempt++) {
    if (!stored) {
      if (!update.createMissing) throw notFound(subjectOf(kind), update.name);
      return { object: await update.createMissing(await update.draft(undefined)), created: true };
    }
    const old = formOf(kind, stored);
    const draft = await update.draft(old);
    const guarded = checkVersion(kind, update, draft, old);
    const outcome = await replace(call, kind, storage, update, admission, { draft, old, stored });
    if (outcome.ok) return { object: formOf(kind, outcome.object), created: false };
    if (guarded || attempt >= UPDATE_TRIES) throw conflict(subjectOf(kind), update.name, MODIFIED);
    stored = outcome.current;
  }
}

/** True when the draft names the version it is based on. Throws Conflict when that is not the stored one. */
function checkVersion(kind: AnyKind, update: Update, draft: KubeObject, old: KubeObject): boolean {
  const { metadata } = draft;
  if (metadata.uid && metadata.uid !== old.metadata.uid) {
    const key = `${update.namespace ? `${update.namespace}/` : ''}${update.name}`;
    throw conflict(
      subjectOf(kind),
      update.name,
      `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ` +
        `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${old.metadata.uid}`,
    );
  }
  const version = metadata.resourceVersion;
  if (version && version !== '0') {
    if (version !== old.metadata.resourceVersion) throw conflict(subjectOf(kind), update.name, MODIFIED);
    return true;
  }
  if (!update.unconditional) {
    const cause = field.invalid('metadata.resourceVersion', 0, 'must be specified for an update');
    throw invalid(kind.group, kind.kind, update.name, [cause]);
  }
  metadata.resourceVersion = old.metadata.resourceVersion;
  return false;
}

async function prepareUpdate(
  call: Call,
  kind: AnyKind,
  update: Update,
  draft: KubeObject,
  old: KubeObject,
  admission: Admission,
): Promise<void> {
  const context = strategyContext(call);
  const toStatus = update.subresource === 'status';
  const keep = () => {
    if (update.validate) return;
    if (toStatus) keepForStatus(kind, draft, old);
    else if (kind.status) keepForMain(draft, old);
  };
  keep();
  dedupOwners(call, draft);
  if (!update.managed) touchManagedFields(call, kind, old, draft, update.subresource);
  await admission.mutate(draft, old);
  dedupOwners(call, draft);
  keep();
  fillObjectMeta(draft.metadata, old.metadata);
  draft.metadata.creationTimestamp = old.metadata.creationTimestamp;
  if (toStatus) kind.status?.prepareForUpdate?.(draft, old, context);
  else if (!update.validate) kind.prepareForUpdate?.(draft, old, context);
  nextGeneration(kind, draft, old, toStatus);
  const causes = validateObjectMetaUpdate(draft.metadata, old.metadata);
  if (update.validate) causes.push(...update.validate(draft, old));
  else if (toStatus) causes.push(...(kind.status?.validateUpdate?.(draft, old, context) ?? []));
  else causes.push(...(kind.validate?.(draft, context) ?? []), ...(kind.validateUpdate?.(draft, old, context) ?? []));
  if (causes.length) throw invalid(kind.group, kind.kind, update.name, causes);
  if (!toStatus) for (const text of kind.warnings?.(draft, old) ?? []) call.warnings.add(text);
  await admission.validate(draft, old);
}

/** The draft a client wants, the object as it stands in the form of the kind, and as it is stored. */
interface Versions {
  readonly draft: KubeObject;
  readonly old: KubeObject;
  readonly stored: KubeObject;
}
type Replaced = { ok: true; object: KubeObject } | { ok: false; current: KubeObject | undefined };

/** Writes the draft: nothing when nothing changed, a deletion when the last finalizer went. */
async function replace(
  call: Call,
  kind: AnyKind,
  storage: Storage,
  update: Update,
  admission: Admission,
  { draft, old, stored }: Versions,
): Promise<Replaced> {
  const allocation = update.subresource ? undefined : await allocationFor(call, kind, draft, old);
  try {
    await prepareUpdate(call, kind, update, draft, old, admission);
    if (sameJson(draft, old)) return { ok: true, object: stored };
    const next = kind.storedAs ? kind.storedAs.to(draft) : draft;
    if (call.op.options.dryRun) return { ok: true, object: next };
    if (deletionComplete(kind, draft)) {
      const outcome = await storage.delete(stored, call.span);
      return outcome.ok ? { ok: true, object: next } : outcome;
    }
    return await storage.put(next, stored, call.span);
  } finally {
    allocation?.release();
  }
}

function allocationFor(call: Call, kind: AnyKind, draft: KubeObject, old: KubeObject | undefined) {
  return call.server.allocators.get(kind.resource)?.allocate(draft, old);
}

/** A deleted object goes when nothing holds it any longer: finalizers, a grace period, a namespace's content. */
export function deletionComplete(kind: AnyKind, object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata;
  if (deletionTimestamp === undefined || finalizers?.length) return false;
  if (!kind.group && kind.plural === 'namespaces') {
    return !(object as { spec?: { finalizers?: string[] } }).spec?.finalizers?.length;
  }
  return !deletionGracePeriodSeconds;
}

function withoutVersion(object: KubeObject): KubeObject {
  const { resourceVersion: _, ...metadata } = object.metadata;
  return { ...object, metadata: metadata as KubeObject['metadata'] };
}

function existsError(kind: AnyKind, name: string, existing: KubeObject | undefined): StatusError {
  const error = alreadyExists(subjectOf(kind), name);
  if (!existing?.metadata.deletionTimestamp) return error;
  return new StatusError('AlreadyExists', `object is being deleted: ${error.message}`, error.details);
}

function exhaustedError(kind: AnyKind, name: string): StatusError {
  const error = alreadyExists(subjectOf(kind), name);
  return new StatusError(
    'AlreadyExists',
    `${error.message}, the server was not able to generate a unique name for the object`,
    { ...error.details, retryAfterSeconds: 0 },
  );
}
