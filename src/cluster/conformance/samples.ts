// A plain object of every stored built-in kind, for tests that treat all kinds alike.

const pod = { containers: [{ name: 'c', image: 'nginx' }] };
const template = { metadata: { labels: { app: 'x' } }, spec: pod };
const selector = { matchLabels: { app: 'x' } };
const jobSpec = { template: { spec: { ...pod, restartPolicy: 'Never' } } };
const request = btoa('-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n');
const rules = [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }];
const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };

/** What each kind needs besides a name. */
export const SAMPLES: Readonly<Record<string, object>> = {
  namespaces: {},
  nodes: { spec: { taints: [{ key: 'a', effect: 'NoSchedule' }] }, status: { capacity: { cpu: '1' } } },
  pods: { spec: { ...pod, serviceAccountName: 'default', automountServiceAccountToken: false } },
  services: { spec: { ports: [{ port: 80 }], selector: { app: 'x' } } },
  endpoints: { subsets: [{ addresses: [{ ip: '10.1.0.1' }], ports: [{ port: 80 }] }] },
  configmaps: { data: { a: 'b' } },
  secrets: { stringData: { a: 'b' } },
  serviceaccounts: {},
  persistentvolumes: {
    spec: { ...claim, resources: undefined, capacity: { storage: '1Gi' }, hostPath: { path: '/x' } },
  },
  persistentvolumeclaims: { spec: claim },
  limitranges: { spec: { limits: [{ type: 'Container', max: { cpu: '1' } }] } },
  resourcequotas: { spec: { hard: { pods: '5' } } },
  events: { involvedObject: { kind: 'Pod', namespace: 'default', name: 'x' }, reason: 'R', type: 'Normal' },
  podtemplates: { template },
  replicationcontrollers: { spec: { template } },
  'deployments.apps': { spec: { selector, template } },
  'replicasets.apps': { spec: { selector, template } },
  'daemonsets.apps': { spec: { selector, template } },
  'statefulsets.apps': {
    spec: { selector, template, volumeClaimTemplates: [{ metadata: { name: 'd' }, spec: claim }] },
  },
  'controllerrevisions.apps': { data: { a: 1 }, revision: 1 },
  'jobs.batch': { spec: jobSpec },
  'cronjobs.batch': { spec: { schedule: '@daily', jobTemplate: { spec: jobSpec } } },
  'poddisruptionbudgets.policy': { spec: { minAvailable: 1, selector } },
  'storageclasses.storage.k8s.io': { provisioner: 'example.com/disk' },
  'ingresses.networking.k8s.io': { spec: { defaultBackend: { service: { name: 'x', port: { number: 80 } } } } },
  'ingressclasses.networking.k8s.io': { spec: { controller: 'example.com/x' } },
  'networkpolicies.networking.k8s.io': { spec: { podSelector: {} } },
  'horizontalpodautoscalers.autoscaling': {
    spec: { scaleTargetRef: { kind: 'Deployment', name: 'x' }, maxReplicas: 2 },
  },
  'endpointslices.discovery.k8s.io': {
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.1.0.1'] }],
    ports: [{ port: 80 }],
  },
  'leases.coordination.k8s.io': { spec: { holderIdentity: 'me' } },
  'events.events.k8s.io': {
    eventTime: '2026-01-01T00:00:00.000000Z',
    regarding: { kind: 'Pod', namespace: 'default', name: 'x' },
    reportingController: 'a/b',
    reportingInstance: 'i',
    action: 'Act',
    reason: 'R',
    type: 'Normal',
  },
  'priorityclasses.scheduling.k8s.io': { value: 5 },
  'roles.rbac.authorization.k8s.io': { rules },
  'clusterroles.rbac.authorization.k8s.io': { rules },
  'rolebindings.rbac.authorization.k8s.io': {
    roleRef: { kind: 'Role', name: 'x' },
    subjects: [{ kind: 'User', name: 'u' }],
  },
  'clusterrolebindings.rbac.authorization.k8s.io': { roleRef: { kind: 'ClusterRole', name: 'x' } },
  'certificatesigningrequests.certificates.k8s.io': {
    spec: { request, signerName: 'example.com/x', usages: ['client auth'] },
  },
};
