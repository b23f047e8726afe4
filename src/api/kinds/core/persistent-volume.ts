// PersistentVolume: core/v1.

import { rfc3339 } from '../../../base/env.ts';
import type { PersistentVolume as PersistentVolumeObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { validatePersistentVolume, validatePersistentVolumeUpdate } from '../../validate/persistent-volume.ts';
import { AGE, ageOf, NAME, text, wide } from '../columns.ts';
import { accessModesText, classOf, phaseOf } from '../storage/common.ts';
import { defaultResourceList } from './pod-defaults.ts';

export type PersistentVolume = PersistentVolumeObject;

export const PersistentVolume = defineKind<PersistentVolumeObject>({
  group: '',
  version: 'v1',
  kind: 'PersistentVolume',
  plural: 'persistentvolumes',
  namespaced: false,
  shortNames: ['pv'],

  default(volume) {
    const { spec } = volume;
    (volume.status ??= {}).phase ||= 'Pending';
    spec.persistentVolumeReclaimPolicy ||= 'Retain';
    spec.volumeMode ??= 'Filesystem';
    if (spec.hostPath) spec.hostPath.type ??= '';
    if (spec.iscsi) spec.iscsi.iscsiInterface ||= 'default';
    defaultResourceList(spec.capacity);
  },
  prepareForCreate(volume, { now }) {
    volume.status = { phase: 'Pending', lastPhaseTransitionTime: rfc3339(now) };
  },

  validate(volume) {
    const out = validatePersistentVolume(volume);
    validateFinalizerNames(volume.metadata.finalizers, 'metadata.finalizers', out);
    return out;
  },
  validateUpdate: validatePersistentVolumeUpdate,
  warnings({ spec }) {
    return spec.persistentVolumeReclaimPolicy === 'Recycle'
      ? [
          'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
        ]
      : [];
  },
  status: {
    prepareForUpdate({ status }, old, { now }) {
      if (!status || status.phase === old.status?.phase) return;
      if (status.lastPhaseTransitionTime === old.status?.lastPhaseTransitionTime) {
        status.lastPhaseTransitionTime = rfc3339(now);
      }
    },
  },

  columns: [
    NAME,
    text('Capacity', 'How much it holds.'),
    text('Access Modes', 'How it can be mounted.'),
    text('Reclaim Policy', 'What happens when its claim goes.'),
    text('Status', 'Whether it is claimed.'),
    text('Claim', 'The claim that has it.'),
    text('StorageClass', 'Its class.'),
    text('VolumeAttributesClass', 'The class of its attributes.'),
    text('Reason', 'Why it is in its phase.'),
    AGE,
    wide('VolumeMode', 'Files or a block device.'),
  ],
  row(volume, now) {
    const { metadata, spec, status } = volume;
    const claim = spec.claimRef;
    return [
      metadata.name,
      spec.capacity?.['storage'] ?? '0',
      accessModesText(spec.accessModes),
      spec.persistentVolumeReclaimPolicy ?? '',
      phaseOf(volume),
      claim ? `${claim.namespace ?? ''}/${claim.name ?? ''}` : '',
      classOf(volume),
      spec.volumeAttributesClassName || '<unset>',
      status?.reason ?? '',
      ageOf(volume, now),
      spec.volumeMode ?? '<unset>',
    ];
  },
});
