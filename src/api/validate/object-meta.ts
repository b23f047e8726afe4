// Validation of object metadata, of labels and of label selectors: the same for every kind. The registry calls
// `validateObjectMeta` on create and `fillObjectMeta` + `validateObjectMetaUpdate` on update; kinds reuse the parts.
// Every function appends to `out`; the paths are upstream's.

import { field, type FieldError } from '../errors.ts';
import type { LabelSelector, ObjectMeta, OwnerReference } from '../object.ts';
import { splitApiVersion } from '../object.ts';
import { addFaults, dns1123Label, labelValue, objectName, qualifiedName, type NameFormat } from './names.ts';
import { sameValue } from './same-value.ts';

export const IMMUTABLE = 'field is immutable';
export const NOT_NEGATIVE = 'must be greater than or equal to 0';
const MAX_ANNOTATION_BYTES = 256 * 1024;
const MAX_MANAGER_BYTES = 128;

type Labels = Readonly<Record<string, string>> | undefined;

/** The size in UTF-8, without encoding. Lone surrogates count as the replacement character. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x80) continue;
    bytes += c < 0x800 ? 1 : 2;
    if (c >= 0xd800 && c < 0xdc00) {
      const next = text.charCodeAt(i + 1);
      if (next >= 0xdc00 && next < 0xe000) i++;
    }
  }
  return bytes;
}

export function validateLabelName(name: string, path: string, out: FieldError[]): void {
  addFaults(qualifiedName(name), path, name, out);
}

export function validateLabels(labels: Labels, path: string, out: FieldError[]): void {
  for (const key in labels) {
    const value = labels[key]!;
    addFaults(qualifiedName(key), path, key, out);
    addFaults(labelValue(value), path, value, out);
  }
}

export function validateAnnotations(annotations: Labels, path: string, out: FieldError[]): void {
  let bytes = 0;
  for (const key in annotations) {
    // Upper case is fine in the prefix too.
    addFaults(qualifiedName(key.toLowerCase()), path, key, out);
    bytes += utf8Length(key) + utf8Length(annotations[key]!);
  }
  if (bytes > MAX_ANNOTATION_BYTES) out.push(field.tooLong(path, MAX_ANNOTATION_BYTES));
}

export function validateLabelSelector(selector: LabelSelector | undefined, path: string, out: FieldError[]): void {
  if (!selector) return;
  validateLabels(selector.matchLabels, `${path}.matchLabels`, out);
  selector.matchExpressions?.forEach((e, i) => {
    const at = `${path}.matchExpressions[${i}]`;
    const count = e.values?.length ?? 0;
    if (e.operator === 'In' || e.operator === 'NotIn') {
      if (!count) out.push(field.required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if (e.operator === 'Exists' || e.operator === 'DoesNotExist') {
      if (count) {
        out.push(field.forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
      }
    } else {
      out.push(field.invalid(`${at}.operator`, e.operator, 'not a valid selector operator'));
    }
    validateLabelName(e.key, `${at}.key`, out);
    e.values?.forEach((value, n) => addFaults(labelValue(value), `${at}.values[${n}]`, value, out));
  });
}

function validateOwnerReference(ref: OwnerReference, path: string, out: FieldError[]): void {
  const [group, version] = splitApiVersion(ref.apiVersion ?? '');
  // With a second slash it is no version at all.
  if (!version || version.includes('/'))
    out.push(field.invalid(`${path}.apiVersion`, ref.apiVersion ?? '', 'version must not be empty'));
  for (const key of ['kind', 'name', 'uid'] as const) {
    if (!ref[key]) out.push(field.invalid(`${path}.${key}`, ref[key] ?? '', 'must not be empty'));
  }
  if (group === '' && version === 'v1' && ref.kind === 'Event') {
    out.push(field.invalid(path, ref, '/v1, Kind=Event is disallowed from being an owner'));
  }
}

export function validateOwnerReferences(
  refs: readonly OwnerReference[] | undefined,
  path: string,
  out: FieldError[],
): void {
  let controller: string | undefined;
  for (const ref of refs ?? []) {
    validateOwnerReference(ref, path, out);
    if (!ref.controller) continue;
    const name = `${ref.kind}/${ref.name}`;
    if (controller !== undefined) {
      const text = `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${name}`;
      out.push(field.invalid(path, refs, text));
    } else {
      controller = name;
    }
  }
}

export function validateFinalizers(finalizers: readonly string[] | undefined, path: string, out: FieldError[]): void {
  for (const name of finalizers ?? []) addFaults(qualifiedName(name), path, name, out);
  if (finalizers?.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    out.push(field.invalid(path, finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'));
  }
}

/** Unqualified finalizers are Kubernetes' own. Custom resources need not keep to it, so kinds call this themselves. */
export function validateFinalizerNames(
  finalizers: readonly string[] | undefined,
  path: string,
  out: FieldError[],
): void {
  finalizers?.forEach((name, i) => {
    if (!name.includes('/') && !STANDARD_FINALIZERS.includes(name)) {
      const text = 'name is neither a standard finalizer name nor is it fully qualified';
      out.push(field.invalid(`${path}[${i}]`, name, text));
    }
  });
}
const STANDARD_FINALIZERS = ['kubernetes', 'foregroundDeletion', 'orphan'];

export function validateFieldManager(manager: string | undefined, path: string, out: FieldError[]): void {
  if (!manager) return;
  if (utf8Length(manager) > MAX_MANAGER_BYTES) out.push(field.tooLong(path, MAX_MANAGER_BYTES));
  let at = 0;
  for (const char of manager) {
    if (/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(char)) {
      const point = char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
      out.push(field.invalid(path, manager, `invalid character U+${point} (at position ${at})`));
    }
    at += utf8Length(char);
  }
}

function validateManagedFields(meta: ObjectMeta, path: string, out: FieldError[]): void {
  meta.managedFields?.forEach((entry, i) => {
    const at = `${path}[${i}]`;
    if (entry.operation !== 'Apply' && entry.operation !== 'Update') {
      out.push(field.invalid(`${at}.operation`, entry.operation ?? '', 'must be `Apply` or `Update`'));
    }
    if (entry.fieldsType && entry.fieldsType !== 'FieldsV1') {
      out.push(field.invalid(`${at}.fieldsType`, entry.fieldsType, 'must be `FieldsV1`'));
    }
    validateFieldManager(entry.manager, `${at}.manager`, out);
    if (entry.subresource && utf8Length(entry.subresource) > 256) out.push(field.tooLong(`${at}.subresource`, 256));
  });
}

/** Labels, annotations, owners: what a template's metadata and an object's have in common. */
function validateCommon(meta: ObjectMeta, path: string, out: FieldError[]): void {
  validateLabels(meta.labels, `${path}.labels`, out);
  validateAnnotations(meta.annotations, `${path}.annotations`, out);
  validateOwnerReferences(meta.ownerReferences, `${path}.ownerReferences`, out);
}

/** Metadata of an object to be created; its name has been generated. */
export function validateObjectMeta(
  meta: ObjectMeta,
  kind: { readonly namespaced: boolean; readonly names?: NameFormat },
  path = 'metadata',
): FieldError[] {
  const out: FieldError[] = [];
  const format = kind.names ?? 'subdomain';
  if (meta.generateName)
    addFaults(objectName(format, meta.generateName, true), `${path}.generateName`, meta.generateName, out);
  if (!meta.name) out.push(field.required(`${path}.name`, 'name or generateName is required'));
  else addFaults(objectName(format, meta.name), `${path}.name`, meta.name, out);
  if (!kind.namespaced) {
    if (meta.namespace) out.push(field.forbidden(`${path}.namespace`, 'not allowed on this type'));
  } else if (!meta.namespace) {
    out.push(field.required(`${path}.namespace`));
  } else {
    addFaults(dns1123Label(meta.namespace), `${path}.namespace`, meta.namespace, out);
  }
  if ((meta.generation ?? 0) < 0) out.push(field.invalid(`${path}.generation`, meta.generation, NOT_NEGATIVE));
  validateCommon(meta, path, out);
  validateFinalizers(meta.finalizers, `${path}.finalizers`, out);
  validateManagedFields(meta, `${path}.managedFields`, out);
  return out;
}

/** Completes what an updater may leave out, and restores what nobody may take back: a deletion once begun. */
export function fillObjectMeta(draft: ObjectMeta, old: ObjectMeta): void {
  draft.uid ||= old.uid;
  draft.creationTimestamp ||= old.creationTimestamp;
  if (old.deletionTimestamp !== undefined) draft.deletionTimestamp = old.deletionTimestamp;
  if (old.deletionGracePeriodSeconds !== undefined && draft.deletionGracePeriodSeconds === undefined) {
    draft.deletionGracePeriodSeconds = old.deletionGracePeriodSeconds;
  }
}

const FIXED = [
  'name',
  'namespace',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
] as const;

/** Metadata of an update, against what is stored. Run `fillObjectMeta` first. */
export function validateObjectMetaUpdate(meta: ObjectMeta, old: ObjectMeta, path = 'metadata'): FieldError[] {
  const out: FieldError[] = [];
  if (old.deletionTimestamp !== undefined) {
    const fresh = (meta.finalizers ?? []).filter((f) => !old.finalizers?.includes(f)).sort();
    if (fresh.length) {
      const list = fresh.map((f) => JSON.stringify(f)).join(', ');
      const text = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`;
      out.push(field.forbidden(`${path}.finalizers`, text));
    }
  }
  if (!meta.resourceVersion) {
    out.push(field.invalid(`${path}.resourceVersion`, meta.resourceVersion ?? '', 'must be specified for an update'));
  }
  if ((meta.generation ?? 0) < (old.generation ?? 0)) {
    out.push(field.invalid(`${path}.generation`, meta.generation ?? 0, 'must not be decremented'));
  }
  for (const key of FIXED) {
    if (meta[key] !== old[key]) out.push(field.invalid(`${path}.${key}`, meta[key], IMMUTABLE));
  }
  validateCommon(meta, path, out);
  validateFinalizers(meta.finalizers, `${path}.finalizers`, out);
  validateManagedFields(meta, `${path}.managedFields`, out);
  return out;
}

/** One error when a value differs from the stored one. */
export function validateImmutable(
  value: unknown,
  old: unknown,
  path: string,
  out: FieldError[],
  text = IMMUTABLE,
): void {
  if (!sameValue(value, old)) out.push(field.invalid(path, value, text));
}
