// The specification of a PersistentVolumeClaim, on its own, in a StatefulSet or in an ephemeral volume.

import { field } from '../errors.ts';
import type {
  PersistentVolumeClaimSpec,
  PersistentVolumeClaimTemplate,
  TypedObjectReference,
} from '../generated/core-v1.ts';
import { parseQuantity } from '../quantity.ts';
import { type Errors, missing, optionalName, optionalOneOf, required } from './checks.ts';
import { dns1123Label, dns1123Subdomain } from './names.ts';
import { validateAnnotations, validateLabels, validateLabelSelector } from './object-meta.ts';
import { sameValue } from './same-value.ts';

export const ACCESS_MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
export const VOLUME_MODES = ['Block', 'Filesystem'];

export function validateAccessModes(modes: readonly string[] | undefined, path: string, out: Errors): void {
  for (const mode of modes ?? []) {
    if (!ACCESS_MODES.includes(mode)) out.push(field.notSupported(path, mode, ACCESS_MODES));
  }
  const known = modes?.filter((m) => ACCESS_MODES.includes(m)) ?? [];
  if (known.includes('ReadWriteOncePod') && known.some((m) => m !== 'ReadWriteOncePod')) {
    out.push(field.forbidden(path, 'may not use ReadWriteOncePod with other access modes'));
  }
}

export function validateClaimSpec(spec: PersistentVolumeClaimSpec, path: string, out: Errors): void {
  if (!spec.accessModes?.length) {
    out.push(field.required(`${path}.accessModes`, 'at least 1 access mode is required'));
  }
  validateLabelSelector(spec.selector, `${path}.selector`, out);
  validateAccessModes(spec.accessModes, `${path}.accessModes`, out);
  const storage = spec.resources?.requests?.['storage'];
  const at = `${path}.resources[storage]`;
  if (storage === undefined) out.push(field.required(at));
  else if (parseQuantity(storage).sign <= 0) {
    out.push(field.invalid(at, parseQuantity(storage).toString(), 'must be greater than zero'));
  }
  optionalName(spec.storageClassName, dns1123Subdomain, `${path}.storageClassName`, out);
  optionalOneOf(spec.volumeMode, VOLUME_MODES, `${path}.volumeMode`, out);
  validateDataSource(spec.dataSource, `${path}.dataSource`, out);
  validateDataSource(spec.dataSourceRef, `${path}.dataSourceRef`, out);
  if (spec.dataSource && spec.dataSourceRef) {
    const { namespace, ...ref } = spec.dataSourceRef;
    if (!missing(namespace)) {
      const text = 'may not be specified when dataSourceRef.namespace is specified';
      out.push(field.invalid(path, `${path}.dataSource`, text));
    } else if (!sameValue(spec.dataSource, ref)) {
      out.push(field.invalid(path, `${path}.dataSource`, 'must match dataSourceRef'));
    }
  }
  optionalName(spec.volumeAttributesClassName, dns1123Subdomain, `${path}.volumeAttributesClassName`, out);
}

function validateDataSource(source: TypedObjectReference | undefined, path: string, out: Errors): void {
  if (!source) return;
  required(source.name, `${path}.name`, out);
  required(source.kind, `${path}.kind`, out);
  if (missing(source.apiGroup) && source.kind !== 'PersistentVolumeClaim') {
    const text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
    out.push(field.invalid(path, source.kind ?? '', text));
  }
  optionalName(source.apiGroup, dns1123Subdomain, `${path}.apiGroup`, out);
  optionalName(source.namespace, dns1123Label, `${path}.namespace`, out);
}

export function validateClaimTemplate(template: PersistentVolumeClaimTemplate, path: string, out: Errors): void {
  const { annotations, labels, ...rest } = template.metadata ?? {};
  validateAnnotations(annotations, `${path}.metadata.annotations`, out);
  validateLabels(labels, `${path}.metadata.labels`, out);
  for (const [key, value] of Object.entries(rest)) {
    if (!sameValue(value, undefined)) out.push(field.forbidden(`${path}.metadata.${key}`, 'cannot be set'));
  }
  validateClaimSpec(template.spec, `${path}.spec`, out);
}
