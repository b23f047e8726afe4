// The roles and bindings every cluster starts with, as upstream has them: user-facing roles (cluster-admin, admin, edit, view
// with aggregation), discovery roles, and one for each component. Controllers' roles are derived from their definitions.
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings

import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  Subject,
} from '../../api/generated/rbac-v1.ts';
import type { Draft } from '../../api/object.ts';

const GROUP = 'rbac.authorization.k8s.io';
const META = {
  annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
  labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' },
};
const READ = ['get', 'list', 'watch'];
const WRITE = ['create', 'delete', 'deletecollection', 'patch', 'update'];

/** `verbs` on resources of groups; resources are one word list, groups too (`core` is the core group). */
export function rule(
  verbs: string | readonly string[],
  groups: string,
  resources: string,
  names?: readonly string[],
): PolicyRule {
  return {
    apiGroups: groups.split(' ').map((g) => (g === 'core' ? '' : g)),
    resources: resources.split(' '),
    verbs: typeof verbs === 'string' ? verbs.split(' ') : [...verbs],
    ...(names ? { resourceNames: [...names] } : {}),
  };
}
const urls = (verbs: string, paths: string): PolicyRule => ({
  verbs: verbs.split(' '),
  nonResourceURLs: paths.split(' '),
});

function role(name: string, rules: PolicyRule[], labels: Record<string, string> = {}): Draft<ClusterRole> {
  return { metadata: { name, ...META, labels: { ...META.labels, ...labels } }, rules };
}

function aggregated(name: string, into: readonly string[], labels: Record<string, string> = {}): Draft<ClusterRole> {
  const clusterRoleSelectors = into.map((to) => ({
    matchLabels: { [`rbac.authorization.k8s.io/aggregate-to-${to}`]: 'true' },
  }));
  return { ...role(name, [], labels), aggregationRule: { clusterRoleSelectors } };
}
const to = (name: string) => ({ [`rbac.authorization.k8s.io/aggregate-to-${name}`]: 'true' });

const WORKLOADS =
  'daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale';
const VIEWABLE = [
  rule(
    READ,
    'core',
    'configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status',
  ),
  rule(
    READ,
    'core',
    'bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status',
  ),
  rule(READ, 'core', 'namespaces'),
  rule(READ, 'discovery.k8s.io', 'endpointslices'),
  rule(
    READ,
    'apps',
    `controllerrevisions ${WORKLOADS.replace('deployments/rollback ', '')} daemonsets/status deployments/status replicasets/status statefulsets/status`,
  ),
  rule(READ, 'autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status'),
  rule(READ, 'batch', 'cronjobs cronjobs/status jobs jobs/status'),
  rule(READ, 'networking.k8s.io', 'ingresses ingresses/status networkpolicies'),
  rule(READ, 'policy', 'poddisruptionbudgets poddisruptionbudgets/status'),
  rule(READ, 'events.k8s.io', 'events'),
];
const EDITABLE = [
  rule(READ, 'core', 'pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy'),
  rule('impersonate', 'core', 'serviceaccounts'),
  rule(WRITE, 'core', 'pods pods/attach pods/exec pods/portforward pods/proxy'),
  rule('create', 'core', 'pods/eviction'),
  rule(
    WRITE,
    'core',
    'configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy',
  ),
  rule('create', 'core', 'serviceaccounts/token'),
  rule(WRITE, 'apps', WORKLOADS),
  rule(WRITE, 'autoscaling', 'horizontalpodautoscalers'),
  rule(WRITE, 'batch', 'cronjobs jobs'),
  rule(WRITE, 'networking.k8s.io', 'ingresses networkpolicies'),
  rule(WRITE, 'policy', 'poddisruptionbudgets'),
  rule([...WRITE, ...READ], 'coordination.k8s.io', 'leases'),
];
const ADMINISTRABLE = [
  rule('create', 'authorization.k8s.io', 'localsubjectaccessreviews'),
  rule([...WRITE, ...READ], GROUP, 'rolebindings roles'),
];

/** What every kubelet may do; the Node authorizer, where it is on, is stricter in parts. */
export const NODE_RULES: readonly PolicyRule[] = [
  rule('create', 'authentication.k8s.io', 'tokenreviews'),
  rule('create', 'authorization.k8s.io', 'localsubjectaccessreviews subjectaccessreviews'),
  rule(READ, 'core', 'services'),
  rule([...READ, 'create'], 'core', 'nodes'),
  rule('patch update', 'core', 'nodes nodes/status'),
  rule('create patch update', 'core events.k8s.io', 'events'),
  rule(READ, 'core', 'pods'),
  rule('create delete', 'core', 'pods'),
  rule('patch update', 'core', 'pods/status'),
  rule('create', 'core', 'pods/eviction'),
  rule(READ, 'core', 'configmaps secrets'),
  rule('get', 'core', 'persistentvolumeclaims persistentvolumes endpoints'),
  rule('create get list watch', 'certificates.k8s.io', 'certificatesigningrequests'),
  rule('create', 'core', 'serviceaccounts/token'),
  rule('get', 'core', 'serviceaccounts'),
  rule('create delete get patch update', 'coordination.k8s.io', 'leases'),
];

const SCHEDULER_RULES = [
  rule('create patch update', 'core events.k8s.io', 'events'),
  rule('create get list update watch', 'coordination.k8s.io', 'leases'),
  rule(READ, 'core', 'nodes pods namespaces services replicationcontrollers persistentvolumeclaims persistentvolumes'),
  rule('delete', 'core', 'pods'),
  rule('create', 'core', 'bindings pods/binding'),
  rule('patch update', 'core', 'pods/status'),
  rule(READ, 'apps', 'replicasets statefulsets'),
  rule(READ, 'policy', 'poddisruptionbudgets'),
  // Who may look at its metrics is for the API server to say.
  rule('create', 'authentication.k8s.io', 'tokenreviews'),
  rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
];

const PROXY_RULES = [
  rule(READ, 'core', 'services endpoints nodes'),
  rule(READ, 'discovery.k8s.io', 'endpointslices'),
  rule('create patch update', 'core events.k8s.io', 'events'),
];

const DNS_RULES = [
  rule('list watch', 'core', 'endpoints services pods namespaces'),
  rule('list watch', 'discovery.k8s.io', 'endpointslices'),
];

const CONTROLLER_MANAGER_RULES = [
  rule('create patch update', 'core events.k8s.io', 'events'),
  rule('create get list update watch', 'coordination.k8s.io', 'leases'),
  rule('create', 'core', 'secrets serviceaccounts serviceaccounts/token'),
  rule('delete get update', 'core', 'secrets'),
  rule('get', 'core', 'namespaces serviceaccounts'),
  rule('update', 'core', 'secrets serviceaccounts'),
  rule('create', 'authentication.k8s.io', 'tokenreviews'),
  rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
  rule('list watch', '*', '*'),
];

export const clusterRoles: readonly Draft<ClusterRole>[] = [
  role('cluster-admin', [rule('*', '*', '*'), urls('*', '*')]),
  aggregated('admin', ['admin']),
  aggregated('edit', ['edit'], to('admin')),
  aggregated('view', ['view'], to('edit')),
  role('system:aggregate-to-admin', ADMINISTRABLE, to('admin')),
  role('system:aggregate-to-edit', EDITABLE, to('edit')),
  role('system:aggregate-to-view', VIEWABLE, to('view')),
  role('system:discovery', [
    urls('get', '/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/'),
  ]),
  role('system:public-info-viewer', [urls('get', '/healthz /livez /readyz /version /version/')]),
  role('system:monitoring', [
    urls('get', '/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*'),
  ]),
  role('system:basic-user', [
    rule('create', 'authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews'),
    rule('create', 'authentication.k8s.io', 'selfsubjectreviews'),
  ]),
  role('system:service-account-issuer-discovery', [
    urls(
      'get',
      '/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/',
    ),
  ]),
  role('system:auth-delegator', [
    rule('create', 'authentication.k8s.io', 'tokenreviews'),
    rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
  ]),
  role('system:node', [...NODE_RULES]),
  role('system:node-proxier', PROXY_RULES),
  role('system:kube-scheduler', SCHEDULER_RULES),
  role('system:kube-controller-manager', CONTROLLER_MANAGER_RULES),
  role('system:coracle-dns', DNS_RULES),
  role('system:kubelet-api-admin', [
    rule(READ, 'core', 'nodes'),
    rule('proxy', 'core', 'nodes'),
    rule('*', 'core', 'nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats'),
  ]),
  role('system:node-bootstrapper', [
    rule('create get list watch', 'certificates.k8s.io', 'certificatesigningrequests'),
  ]),
  role('system:certificates.k8s.io:certificatesigningrequests:nodeclient', [
    rule('create', 'certificates.k8s.io', 'certificatesigningrequests/nodeclient'),
  ]),
  role('system:certificates.k8s.io:certificatesigningrequests:selfnodeclient', [
    rule('create', 'certificates.k8s.io', 'certificatesigningrequests/selfnodeclient'),
  ]),
  ...['kube-apiserver-client', 'kube-apiserver-client-kubelet', 'kubelet-serving', 'legacy-unknown'].map((signer) =>
    role(`system:certificates.k8s.io:${signer}-approver`, [
      rule('approve', 'certificates.k8s.io', 'signers', [`kubernetes.io/${signer}`]),
    ]),
  ),
];

/** A ClusterRoleBinding of one role to subjects, with upstream's labels. */
export function bind(name: string, roleName: string, subjects: Subject[]): Draft<ClusterRoleBinding> {
  return { metadata: { name, ...META }, roleRef: { apiGroup: GROUP, kind: 'ClusterRole', name: roleName }, subjects };
}
const group = (name: string): Subject => ({ apiGroup: GROUP, kind: 'Group', name });
const user = (name: string): Subject => ({ apiGroup: GROUP, kind: 'User', name });
const account = (namespace: string, name: string): Subject => ({ kind: 'ServiceAccount', namespace, name });

export const clusterRoleBindings: readonly Draft<ClusterRoleBinding>[] = [
  bind('cluster-admin', 'cluster-admin', [group('system:masters')]),
  bind('system:discovery', 'system:discovery', [group('system:authenticated')]),
  bind('system:basic-user', 'system:basic-user', [group('system:authenticated')]),
  bind('system:public-info-viewer', 'system:public-info-viewer', [
    group('system:authenticated'),
    group('system:unauthenticated'),
  ]),
  bind('system:monitoring', 'system:monitoring', [group('system:monitoring')]),
  bind('system:service-account-issuer-discovery', 'system:service-account-issuer-discovery', [
    group('system:serviceaccounts'),
  ]),
  bind('system:node-proxier', 'system:node-proxier', [user('system:kube-proxy')]),
  bind('system:kube-scheduler', 'system:kube-scheduler', [user('system:kube-scheduler')]),
  bind('system:kube-controller-manager', 'system:kube-controller-manager', [user('system:kube-controller-manager')]),
  bind('system:coracle-dns', 'system:coracle-dns', [account('kube-system', 'coredns')]),
];

/** Where there is no Node authorizer, nodes have their rights from here. */
export const nodesBinding = bind('system:node', 'system:node', [group('system:nodes')]);

/** Role and binding of one controller's ServiceAccount in kube-system. */
export function bindController(name: string): Draft<ClusterRoleBinding> {
  return bind(`system:controller:${name}`, `system:controller:${name}`, [account('kube-system', name)]);
}

export const roles: readonly Draft<Role>[] = [
  {
    metadata: { name: 'extension-apiserver-authentication-reader', namespace: 'kube-system', ...META },
    rules: [rule(READ, 'core', 'configmaps', ['extension-apiserver-authentication'])],
  },
  {
    metadata: { name: 'system:controller:bootstrap-signer', namespace: 'kube-public', ...META },
    rules: [
      rule(READ, 'core', 'configmaps'),
      rule('update', 'core', 'configmaps', ['cluster-info']),
      rule('create patch update', 'core', 'events'),
    ],
  },
];

export const roleBindings: readonly Draft<RoleBinding>[] = [
  {
    metadata: { name: 'system::extension-apiserver-authentication-reader', namespace: 'kube-system', ...META },
    roleRef: { apiGroup: GROUP, kind: 'Role', name: 'extension-apiserver-authentication-reader' },
    subjects: [user('system:kube-controller-manager'), user('system:kube-scheduler')],
  },
];
