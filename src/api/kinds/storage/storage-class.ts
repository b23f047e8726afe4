// StorageClass: storage.k8s.io/v1.

import { field } from '../../errors.ts';
import type { StorageClass as StorageClassObject } from '../../generated/storage-v1.ts';
import { defineKind } from '../../kind.ts';
import { type Errors, missing, oneOf, unique } from '../../validate/checks.ts';
import { addFaults, qualifiedName } from '../../validate/names.ts';
import {
  utf8Length,
  validateFinalizerNames,
  validateImmutable,
  validateLabelName,
} from '../../validate/object-meta.ts';
import { sameValue } from '../../validate/same-value.ts';
import { AGE, ageOf, NAME, text } from '../columns.ts';

export type StorageClass = StorageClassObject;

const DEFAULT = 'storageclass.kubernetes.io/is-default-class';
const OLD_DEFAULT = 'storageclass.beta.kubernetes.io/is-default-class';
const MAX_PARAMETERS = 512;
const MAX_PARAMETER_BYTES = 256 * 1024;

export const StorageClass = defineKind<StorageClassObject>({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'StorageClass',
  plural: 'storageclasses',
  singular: 'storageclass',
  namespaced: false,
  shortNames: ['sc'],

  default(cls) {
    cls.reclaimPolicy ??= 'Delete';
    cls.volumeBindingMode ??= 'Immediate';
  },
  validate(cls) {
    const out: Errors = [];
    validateFinalizerNames(cls.metadata.finalizers, 'metadata.finalizers', out);
    if (missing(cls.provisioner)) out.push(field.required('provisioner', cls.provisioner));
    else addFaults(qualifiedName(cls.provisioner.toLowerCase()), 'provisioner', cls.provisioner, out);
    validateParameters(cls, out);
    oneOf(cls.reclaimPolicy, ['Delete', 'Retain'], 'reclaimPolicy', out);
    oneOf(cls.volumeBindingMode, ['Immediate', 'WaitForFirstConsumer'], 'volumeBindingMode', out);
    validateTopologies(cls, out);
    return out;
  },
  validateUpdate(cls, old) {
    const out: Errors = [];
    for (const key of ['parameters', 'provisioner', 'reclaimPolicy'] as const) {
      if (!sameValue(cls[key], old[key])) out.push(field.forbidden(key, `updates to ${key} are forbidden.`));
    }
    validateImmutable(cls.volumeBindingMode, old.volumeBindingMode, 'volumeBindingMode', out);
    return out;
  },

  columns: [
    NAME,
    text('Provisioner', 'Who makes the volumes.'),
    text('ReclaimPolicy', 'What happens to a volume when its claim goes.'),
    text('VolumeBindingMode', 'When a volume is made.'),
    text('AllowVolumeExpansion', 'Whether claims may grow.'),
    AGE,
  ],
  row(cls, now) {
    const { annotations, name } = cls.metadata;
    const isDefault = annotations?.[DEFAULT] === 'true' || annotations?.[OLD_DEFAULT] === 'true';
    return [
      isDefault ? `${name} (default)` : name,
      cls.provisioner,
      cls.reclaimPolicy ?? 'Delete',
      cls.volumeBindingMode ?? 'Immediate',
      String(cls.allowVolumeExpansion ?? false),
      ageOf(cls, now),
    ];
  },
});

function validateParameters({ parameters }: StorageClassObject, out: Errors): void {
  const entries = Object.entries(parameters ?? {});
  if (entries.length > MAX_PARAMETERS) {
    out.push({
      type: 'FieldValueTooLong',
      field: 'provisioner parameters',
      detail: `may not be more than ${MAX_PARAMETERS} bytes`,
    });
    return;
  }
  let bytes = 0;
  for (const [key, value] of entries) {
    if (key === '') out.push(field.invalid('parameters', key, 'field can not be empty.'));
    bytes += utf8Length(key) + utf8Length(value);
  }
  if (bytes > MAX_PARAMETER_BYTES) out.push(field.tooLong('parameters', MAX_PARAMETER_BYTES));
}

function validateTopologies({ allowedTopologies = [] }: StorageClassObject, out: Errors): void {
  allowedTopologies.forEach((term, i) => {
    const path = `allowedTopologies[${i}]`;
    const expressions = term.matchLabelExpressions ?? [];
    expressions.forEach((e, n) => {
      const at = `${path}.matchLabelExpressions[${n}]`;
      if (!e.values?.length) out.push(field.required(`${at}.values`));
      unique(e.values ?? [], (v) => `${at}.values[${v}]`, out);
      validateLabelName(e.key ?? '', `${at}.key`, out);
    });
    unique(
      expressions.map((e) => e.key ?? ''),
      (n) => `${path}.matchLabelExpressions[${n}].key`,
      out,
    );
    if (allowedTopologies.findIndex((other) => sameValue(other, term)) < i) {
      out.push(field.duplicate(`${path}.matchLabelExpressions`, ''));
    }
  });
}
