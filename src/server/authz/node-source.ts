// What the Node authorizer asks about, out of the server's own watch caches: pods are filed there by their node.

import type { PersistentVolumeClaim as ClaimObject, Pod as PodObject } from '../../api/generated/core-v1.ts';
import { PersistentVolumeClaim } from '../../api/kinds/core/persistent-volume-claim.ts';
import { Pod } from '../../api/kinds/core/pod.ts';
import type { Caches } from '../caches.ts';
import type { NodeSource } from './node.ts';

export function nodeSource(caches: Caches): NodeSource {
  return {
    podsOn: (node) => caches.of(Pod).cache.list(undefined, { indexed: node }) as unknown as readonly PodObject[],
    claim: (namespace, name) => caches.of(PersistentVolumeClaim).get(namespace, name) as ClaimObject | undefined,
  };
}
