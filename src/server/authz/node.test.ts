import { expect, test } from 'vitest';
import type { PersistentVolumeClaim, Pod } from '../../api/generated/core-v1.ts';
import type { Attributes } from '../authorizer.ts';
import { NODE_RULES } from './bootstrap-policy.ts';
import { NodeAuthorizer } from './node.ts';

const secret = (name: string) => ({ secretKeyRef: { name, key: 'k' } });
const pod = {
  metadata: { name: 'p', namespace: 'shop' },
  spec: {
    nodeName: 'n1',
    serviceAccountName: 'bot',
    imagePullSecrets: [{ name: 'pull' }],
    initContainers: [{ name: 'i', envFrom: [{ secretRef: { name: 'all' } }, { configMapRef: { name: 'settings' } }] }],
    containers: [{ name: 'c', env: [{ name: 'A', valueFrom: secret('key') }] }],
    volumes: [
      { name: 'a', secret: { secretName: 'volume' } },
      { name: 'b', projected: { sources: [{ secret: { name: 'projected' } }, { configMap: { name: 'root-ca' } }] } },
      { name: 'c', persistentVolumeClaim: { claimName: 'claim' } },
      { name: 'd', ephemeral: {} },
    ],
  },
} as unknown as Pod;
const claim = { spec: { volumeName: 'volume-1' } } as PersistentVolumeClaim;
const authorizer = new NodeAuthorizer(
  {
    podsOn: (node) => (node === 'n1' ? [pod] : []),
    claim: (namespace, name) => (namespace === 'shop' && name === 'claim' ? claim : undefined),
  },
  NODE_RULES,
);

/** `verb resource[/subresource][@group] [namespace/][name] [fieldSelector]` */
function ask(text: string, node = 'n1', groups = ['system:nodes']) {
  const [verb = '', what = '', where = '', fieldSelector] = text.split(' ');
  const [full = '', group = ''] = what.split('@');
  const [resource = '', subresource = ''] = full.split('/');
  const [namespace = '', name = ''] = where.includes('/') ? where.split('/') : ['', where];
  const user = { name: `system:node:${node}`, groups };
  const attributes: Attributes = { user, verb, group, version: 'v1', resource, subresource, namespace, name };
  const { allowed, reason } = authorizer.authorize({ ...attributes, ...(fieldSelector ? { fieldSelector } : {}) });
  return allowed || reason;
}

test.each([
  'get secrets shop/pull',
  'get secrets shop/all',
  'watch secrets shop/key metadata.name=key',
  'list secrets shop/volume metadata.name=volume',
  'get secrets shop/projected',
  'get configmaps shop/settings',
  'get configmaps shop/root-ca',
  'get persistentvolumeclaims shop/claim',
  'get persistentvolumeclaims shop/p-d',
  'get persistentvolumes volume-1',
  'create serviceaccounts/token shop/bot',
  'get serviceaccounts shop/bot',
  'get pods shop/p',
  'list pods / spec.nodeName=n1',
  'watch pods / metadata.namespace=x,spec.nodeName=n1',
  'create pods shop/static',
  'delete pods shop/static',
  'patch pods/status shop/p',
  'create pods/eviction shop/p',
  'get nodes n1',
  'watch nodes n1 metadata.name=n1',
  'create nodes n1',
  'patch nodes/status n1',
  'update leases@coordination.k8s.io kube-node-lease/n1',
  'create leases@coordination.k8s.io kube-node-lease/',
  'list services /',
  'create events@events.k8s.io shop/',
  'create certificatesigningrequests@certificates.k8s.io x',
])('a node may %s', (text) => {
  expect(ask(text)).toBe(true);
});

const unrelated = "no relationship found between node 'n1' and this object";
test.each([
  ['get secrets shop/other', unrelated],
  ['get secrets other/pull', unrelated],
  ['list secrets shop/', 'No Object name found'],
  ['list secrets /', 'can only read namespaced object of this type'],
  ['delete secrets shop/pull', 'can only read resources of this type'],
  ['get persistentvolumes volume-2', unrelated],
  ['list persistentvolumes /', 'can only get individual resources of this type'],
  ['create serviceaccounts/token shop/default', unrelated],
  ['list serviceaccounts shop/', 'can only get service accounts'],
  ['get pods shop/q', unrelated],
  ['list pods /', 'can only list/watch pods with spec.nodeName field selector'],
  ['list pods / spec.nodeName=n2', 'can only list/watch pods with spec.nodeName field selector'],
  ['list pods / spec.nodeName!=n1', 'can only list/watch pods with spec.nodeName field selector'],
  ['get pods/log shop/p', ''],
  ['get nodes n2', "node 'n1' cannot read 'n2', only its own Node object"],
  ['list nodes /', "node 'n1' cannot read all nodes, only its own Node object"],
  ['delete nodes n1', ''],
  [
    'get leases@coordination.k8s.io kube-node-lease/n2',
    'can only access node lease with the same name as the requesting node',
  ],
  ['get leases@coordination.k8s.io kube-system/n1', 'can only access leases in the "kube-node-lease" system namespace'],
  ['list deployments@apps /', ''],
])('a node may not %s', (text, reason) => {
  expect(ask(text)).toBe(reason);
});

test('who is no node is none of its business', () => {
  expect(ask('get nodes n1', 'n1', [])).toBe('');
  expect(ask('get nodes n1', '')).toBe('unknown node for user "system:node:"');
});
