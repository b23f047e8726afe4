// The objects tokens are bound to, out of the server's own caches.

import { Node } from '../../api/kinds/core/node.ts';
import { Pod } from '../../api/kinds/core/pod.ts';
import { Secret } from '../../api/kinds/core/secret.ts';
import { ServiceAccount } from '../../api/kinds/core/service-account.ts';
import type { Caches } from '../caches.ts';
import type { BoundObjects } from './token-authenticator.ts';

export function boundObjects(caches: Caches): BoundObjects {
  const kinds = { serviceaccounts: ServiceAccount, pods: Pod, secrets: Secret, nodes: Node };
  return async (resource, namespace, name) => (await caches.current(kinds[resource])).get(namespace, name);
}
