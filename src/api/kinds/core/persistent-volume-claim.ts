// PersistentVolumeClaim: core/v1.

import { field } from '../../errors.ts';
import type {
  PersistentVolumeClaim as PersistentVolumeClaimObject,
  PersistentVolumeClaimSpec,
} from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import { parseQuantity } from '../../quantity.ts';
import type { Errors } from '../../validate/checks.ts';
import { validateClaimSpec } from '../../validate/claim.ts';
import { diffText } from '../../validate/diff.ts';
import { validateFinalizerNames, validateImmutable } from '../../validate/object-meta.ts';
import { validateResourceQuantity } from '../../validate/resources.ts';
import { sameValue } from '../../validate/same-value.ts';
import { AGE, ageOf, NAME, text, wide } from '../columns.ts';
import { accessModesText, classOf, phaseOf } from '../storage/common.ts';
import { defaultResourceList } from './pod-defaults.ts';

export type PersistentVolumeClaim = PersistentVolumeClaimObject;

export const PersistentVolumeClaim = defineKind<PersistentVolumeClaimObject>({
  group: '',
  version: 'v1',
  kind: 'PersistentVolumeClaim',
  plural: 'persistentvolumeclaims',
  namespaced: true,
  shortNames: ['pvc'],

  default(claim) {
    (claim.status ??= {}).phase ||= 'Pending';
    claim.spec.volumeMode ??= 'Filesystem';
    defaultResourceList(claim.spec.resources?.requests);
    defaultResourceList(claim.spec.resources?.limits);
  },
  prepareForCreate(claim) {
    claim.status = { phase: 'Pending' };
    const { spec } = claim;
    // Old and new name of the same reference; only the new one reaches into other namespaces.
    if (spec.dataSource && !spec.dataSourceRef) spec.dataSourceRef = { ...spec.dataSource };
    else if (spec.dataSourceRef && !spec.dataSource && !spec.dataSourceRef.namespace) {
      spec.dataSource = { ...spec.dataSourceRef };
    }
  },

  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    validateClaimSpec(spec, 'spec', out);
    return out;
  },
  validateUpdate,
  status: {
    validateUpdate({ status }) {
      const out: Errors = [];
      for (const list of ['capacity', 'allocatedResources'] as const) {
        const resources = status?.[list];
        for (const name in resources) {
          validateResourceQuantity(name, resources[name]!, `status.${list}[${name}]`, out);
        }
      }
      return out;
    },
  },

  columns: [
    NAME,
    text('Status', 'Whether it has a volume.'),
    text('Volume', 'The volume it has.'),
    text('Capacity', 'How much that holds.'),
    text('Access Modes', 'How it can be mounted.'),
    text('StorageClass', 'Its class.'),
    text('VolumeAttributesClass', 'The class of its attributes.'),
    AGE,
    wide('VolumeMode', 'Files or a block device.'),
  ],
  row(claim, now) {
    const { metadata, spec, status } = claim;
    const bound = Boolean(spec.volumeName);
    return [
      metadata.name,
      phaseOf(claim),
      spec.volumeName ?? '',
      bound ? (status?.capacity?.['storage'] ?? '0') : '',
      bound ? accessModesText(status?.accessModes) : '',
      classOf(claim),
      spec.volumeAttributesClassName || '<unset>',
      ageOf(claim, now),
      spec.volumeMode ?? '<unset>',
    ];
  },
});

/** A claim gets its volume once; bound, it may grow and change the class of its attributes. */
function validateUpdate(claim: PersistentVolumeClaimObject, old: PersistentVolumeClaimObject): Errors {
  const out: Errors = [];
  const bound = claim.status?.phase === 'Bound';
  const before: PersistentVolumeClaimSpec = { ...old.spec };
  const now: PersistentVolumeClaimSpec = { ...claim.spec };
  if (!before.volumeName && now.volumeName) before.volumeName = now.volumeName;
  if (before.storageClassName === undefined && now.storageClassName !== undefined) {
    before.storageClassName = now.storageClassName;
  }
  if (bound) {
    if (before.resources) now.resources = { ...now.resources, requests: { ...before.resources.requests } };
    if (now.volumeAttributesClassName !== undefined) {
      if (before.volumeAttributesClassName === undefined) delete now.volumeAttributesClassName;
      else now.volumeAttributesClassName = before.volumeAttributesClassName;
    }
  }
  if (!sameValue(now, before)) {
    const what =
      'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';
    out.push(field.forbidden('spec', `${what}\n${diffText(before, now, 'core.PersistentVolumeClaimSpec')}`));
  }
  const sizeOf = (text: string | undefined) => parseQuantity(text ?? '0');
  const size = sizeOf(claim.spec.resources?.requests?.['storage']);
  if (size.compare(sizeOf(old.spec.resources?.requests?.['storage'])) < 0) {
    if (size.compare(sizeOf(old.status?.capacity?.['storage'])) <= 0) {
      const text = 'field can not be less than status.capacity';
      out.push(field.forbidden('spec.resources.requests.storage', text));
    }
  }
  validateImmutable(claim.spec.volumeMode, old.spec.volumeMode, 'volumeMode', out);
  if (old.spec.volumeAttributesClassName !== undefined && !claim.spec.volumeAttributesClassName) {
    const what = claim.spec.volumeAttributesClassName === undefined ? 'nil' : 'an empty string';
    out.push(field.forbidden('spec.volumeAttributesClassName', `update from non-nil value to ${what} is forbidden`));
  }
  return out;
}
