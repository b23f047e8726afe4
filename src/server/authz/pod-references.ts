// What a pod refers to by name in its namespace. Pure.

import type { Container, Pod, Volume } from '../../api/generated/core-v1.ts';

export interface PodReferences {
  readonly secrets: ReadonlySet<string>;
  readonly configmaps: ReadonlySet<string>;
  readonly persistentvolumeclaims: ReadonlySet<string>;
  readonly serviceaccounts: ReadonlySet<string>;
}

interface Found {
  readonly secrets: Set<string>;
  readonly configmaps: Set<string>;
  readonly persistentvolumeclaims: Set<string>;
  readonly serviceaccounts: Set<string>;
}

const known = new WeakMap<Pod['spec'], PodReferences>();

/** Computed once for each spec. */
export function referencesOf(pod: Pod): PodReferences {
  const { spec } = pod;
  let found = known.get(spec);
  if (!found) known.set(spec, (found = find(pod)));
  return found;
}

type Names = Set<string>;
const add = (to: Names, ref: { name?: string } | undefined) => {
  if (ref?.name) to.add(ref.name);
};

function find({ metadata, spec }: Pod): PodReferences {
  const found: Found = {
    secrets: new Set(),
    configmaps: new Set(),
    persistentvolumeclaims: new Set(),
    serviceaccounts: new Set(),
  };
  if (spec.serviceAccountName) found.serviceaccounts.add(spec.serviceAccountName);
  for (const ref of spec.imagePullSecrets ?? []) add(found.secrets, ref);
  const containers = [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])];
  for (const container of containers) ofContainer(container as Container, found);
  for (const volume of spec.volumes ?? []) ofVolume(volume, metadata.name, found);
  return found;
}

function ofContainer({ env = [], envFrom = [] }: Container, { secrets, configmaps }: Found): void {
  for (const { secretRef, configMapRef } of envFrom) {
    add(secrets, secretRef);
    add(configmaps, configMapRef);
  }
  for (const { valueFrom } of env) {
    add(secrets, valueFrom?.secretKeyRef);
    add(configmaps, valueFrom?.configMapKeyRef);
  }
}

function ofVolume(volume: Volume, pod: string, { secrets, configmaps, persistentvolumeclaims }: Found): void {
  add(secrets, { name: volume.secret?.secretName ?? '' });
  add(configmaps, volume.configMap);
  if (volume.persistentVolumeClaim) persistentvolumeclaims.add(volume.persistentVolumeClaim.claimName);
  if (volume.ephemeral) persistentvolumeclaims.add(`${pod}-${volume.name}`);
  add(secrets, volume.csi?.nodePublishSecretRef);
  add(secrets, volume.flexVolume?.secretRef);
  add(secrets, volume.iscsi?.secretRef);
  add(secrets, volume.cephfs?.secretRef);
  add(secrets, volume.rbd?.secretRef);
  for (const { secret, configMap } of volume.projected?.sources ?? []) {
    add(secrets, secret);
    add(configmaps, configMap);
  }
}
