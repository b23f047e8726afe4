// The volume plugin contract: one file per plugin, listed in plugins.ts.

import type { Volume } from '../../api/generated/core-v1.ts';
import type { Pod } from '../../api/kinds/core/pod.ts';
import type { PodAddresses } from '../downward.ts';
import type { ObjectSource } from '../environment.ts';
import type { KubeletHost } from '../host.ts';

export interface ServiceAccountToken {
  readonly token: string;
  /** Milliseconds since the epoch from which on a new one is to be fetched. */
  readonly refreshAt: number;
}

export interface VolumeContext {
  readonly pod: Pod;
  readonly host: KubeletHost;
  readonly objects: ObjectSource;
  readonly addresses: PodAddresses;
  readonly allocatable: Readonly<Record<string, string>>;
  /** Makes sure that an image is on the node; resolves to its full reference. */
  readonly image: (reference: string, pullPolicy: string | undefined) => Promise<string>;
  /** A token bound to the pod, from a cache while it is fresh. */
  readonly token: (audience: string, expirationSeconds: number) => Promise<ServiceAccountToken>;
}

export interface SetUpVolume {
  /** The path on the node. */
  readonly path: string;
  readonly readOnly?: boolean;
  /** Milliseconds since the epoch at which the content is to be made anew, even without a change. */
  readonly refreshAt?: number;
}

export interface VolumePlugin {
  /** Upstream's plugin name, e.g. `kubernetes.io/empty-dir`. */
  readonly name: string;
  /** Content follows API objects: set up again when one of them, or the pod, changes. */
  readonly live: boolean;
  /** The content must never reach a disk. */
  readonly secret?: (volume: Volume) => boolean;
  handles(volume: Volume): boolean;
  /** Makes the volume at `path` or says where it already is. Called again to refresh; rejects with upstream's text. */
  setUp(volume: Volume, path: string, context: VolumeContext): Promise<SetUpVolume>;
}

/** The group of the pod's volumes. */
export const fsGroupOf = (pod: Pod): number | undefined => pod.spec.securityContext?.fsGroup;
