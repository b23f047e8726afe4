// ReplicationController: the ReplicaSet's elder, with a plain map of labels as its selector.

import { Pod } from '../api/kinds/core/pod.ts';
import { ReplicationController } from '../api/kinds/core/replication-controller.ts';
import { selectorFromLabels } from '../api/selectors.ts';
import { defineController, NOTHING, watch, type Plan, type View } from '../client/controller.ts';
import { claimKeys, orphanIndex } from './pod-state.ts';
import { planReplicas } from './replicas.ts';

export const replicationController = defineController({
  name: 'replication-controller',
  primary: ReplicationController,
  watches: [
    watch({ kind: ReplicationController, keys: 'self' }),
    watch({
      kind: Pod,
      keys: claimKeys(ReplicationController, (rc) => selectorFromLabels(rc.spec.selector)),
      indexes: orphanIndex,
    }),
  ],
  grants: [
    { groups: [''], resources: ['replicationcontrollers'], verbs: ['get', 'list', 'update', 'watch'] },
    { groups: [''], resources: ['replicationcontrollers/status'], verbs: ['update'] },
    { groups: [''], resources: ['replicationcontrollers/finalizers'], verbs: ['update'] },
    { groups: [''], resources: ['pods'], verbs: ['create', 'delete', 'list', 'patch', 'watch'] },
  ],
  plan: planReplicationController,
});

function planReplicationController(key: string, view: View, now: number): Plan {
  const controller = view.of(ReplicationController).get(key);
  if (!controller) return NOTHING;
  const selector = selectorFromLabels(controller.spec.selector);
  if (selector.isEmpty) return NOTHING;
  return planReplicas(
    {
      kind: ReplicationController,
      object: controller,
      selector,
      replicas: controller.spec.replicas ?? 1,
      minReadySeconds: controller.spec.minReadySeconds ?? 0,
      template: controller.spec.template ?? {},
      countsTerminating: false,
      related: () => [],
    },
    view,
    now,
  );
}
