// What a node must know of its cluster: the address ranges and the DNS domain. The server keeps it in a ConfigMap that nodes
// may read, so that an agent needs no flags for it; and lets nodes run their own service proxy and renew their certificates.

import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { ClusterRoleBinding } from '../api/kinds/rbac/cluster-role-binding.ts';
import { RoleBinding } from '../api/kinds/rbac/role-binding.ts';
import { Role } from '../api/kinds/rbac/role.ts';
import { sameJson } from '../api/same-json.ts';
import type { Client } from '../client/client.ts';
import { ensureObject } from '../server/ensure.ts';
import type { ApiServer } from '../server/pipeline.ts';

export interface JoinInfo {
  readonly podSubnet: string;
  readonly serviceSubnet: string;
  readonly dnsDomain: string;
  readonly clusterDNS?: string;
}

const NAMESPACE = 'kube-system';
const NAME = 'coracle-network';
const GROUP = 'rbac.authorization.k8s.io';
const NODES = [{ apiGroup: GROUP, kind: 'Group', name: 'system:nodes' }];

/** Makes or corrects it. The namespace kube-system must exist. */
export async function publishJoinInfo(server: ApiServer, info: JoinInfo): Promise<void> {
  const metadata = { name: NAME, namespace: NAMESPACE };
  const name = 'coracle:nodes';
  await Promise.all([
    ensureObject<ConfigMap>(server, ConfigMap, { metadata, data: { ...info } }, (existing) =>
      sameJson(existing.data, info) ? undefined : { ...existing, data: { ...info } },
    ),
    ensureObject<Role>(server, Role, {
      metadata: { name, namespace: NAMESPACE },
      rules: [{ apiGroups: [''], resources: ['configmaps'], resourceNames: [NAME], verbs: ['get'] }],
    }),
    ensureObject<RoleBinding>(server, RoleBinding, {
      metadata: { name, namespace: NAMESPACE },
      roleRef: { apiGroup: GROUP, kind: 'Role', name },
      subjects: NODES,
    }),
    ensureObject<ClusterRoleBinding>(server, ClusterRoleBinding, {
      metadata: { name: 'coracle:node-certificate-rotation' },
      roleRef: {
        apiGroup: GROUP,
        kind: 'ClusterRole',
        name: 'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient',
      },
      subjects: NODES,
    }),
    ensureObject<ClusterRoleBinding>(server, ClusterRoleBinding, {
      metadata: { name: 'coracle:node-proxier' },
      roleRef: { apiGroup: GROUP, kind: 'ClusterRole', name: 'system:node-proxier' },
      subjects: NODES,
    }),
  ]);
}

/** What the server published. Rejects with the API's StatusError. */
export async function readJoinInfo(client: Client): Promise<Partial<JoinInfo>> {
  return ((await client.get(ConfigMap, { namespace: NAMESPACE, name: NAME })).data ?? {}) as Partial<JoinInfo>;
}
