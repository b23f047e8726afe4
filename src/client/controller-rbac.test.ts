import { expect, it } from 'vitest';
import { Pod } from '../api/kinds/core/pod.ts';
import { ReplicaSet } from '../api/kinds/apps/replica-set.ts';
import { defineController, watch } from './controller.ts';
import { roleOf } from './controller-rbac.ts';

it('derives the bootstrap role from watches and grants', () => {
  const role = roleOf(
    defineController({
      name: 'replicaset-controller',
      watches: [watch({ kind: ReplicaSet, keys: 'self' }), watch({ kind: Pod, keys: 'controller' })],
      grants: [{ groups: [''], resources: ['pods'], verbs: ['create', 'delete', 'patch'] }],
    }),
  );
  expect(role.metadata.name).toBe('system:controller:replicaset-controller');
  expect(role.rules).toEqual([
    { apiGroups: [''], resources: ['pods'], verbs: ['create', 'delete', 'patch'] },
    { apiGroups: ['apps'], resources: ['replicasets'], verbs: ['get', 'list', 'watch'] },
    { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] },
    { apiGroups: ['', 'events.k8s.io'], resources: ['events'], verbs: ['create', 'patch', 'update'] },
  ]);
});
