// What volumes, claims and classes show alike.

import type { KubeObject } from '../../object.ts';

const SHORT: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};
const OLD_CLASS = 'volume.beta.kubernetes.io/storage-class';

/** `RWO,ROX`, in a fixed order, each once. */
export const accessModesText = (modes: readonly string[] | undefined): string =>
  Object.keys(SHORT)
    .filter((mode) => modes?.includes(mode))
    .map((mode) => SHORT[mode])
    .join(',');

/** The class of a volume or claim: the annotation of old, or the field. */
export const classOf = (object: KubeObject & { spec: { storageClassName?: string } }): string =>
  object.metadata.annotations?.[OLD_CLASS] ?? object.spec.storageClassName ?? '';

export const phaseOf = (object: KubeObject & { status?: { phase?: string } }): string =>
  object.metadata.deletionTimestamp ? 'Terminating' : (object.status?.phase ?? '');
