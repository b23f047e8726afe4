// ReplicaSet: keeps its number of pods running.

import { ReplicaSet } from '../api/kinds/apps/replica-set.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { controllerOf } from '../api/object.ts';
import { selectorOf, SelectorError, type Selector } from '../api/selectors.ts';
import { defineController, NOTHING, watch, type Plan, type View } from '../client/controller.ts';
import { BY_CONTROLLER } from '../client/informer.ts';
import { claimKeys, orphanIndex } from './pod-state.ts';
import { planReplicas } from './replicas.ts';

export const replicaSetController = defineController({
  name: 'replicaset-controller',
  primary: ReplicaSet,
  watches: [
    watch({ kind: ReplicaSet, keys: 'self' }),
    watch({ kind: Pod, keys: claimKeys(ReplicaSet, selectorOfSet), indexes: orphanIndex }),
  ],
  grants: [
    { groups: ['apps'], resources: ['replicasets'], verbs: ['get', 'list', 'update', 'watch'] },
    { groups: ['apps'], resources: ['replicasets/status'], verbs: ['update'] },
    { groups: ['apps'], resources: ['replicasets/finalizers'], verbs: ['update'] },
    { groups: [''], resources: ['pods'], verbs: ['create', 'delete', 'list', 'patch', 'watch'] },
  ],
  plan: planReplicaSet,
});

function planReplicaSet(key: string, view: View, now: number): Plan {
  const set = view.of(ReplicaSet).get(key);
  const selector = set && selectorOfSet(set);
  if (!set || !selector) return NOTHING;
  return planReplicas(
    {
      kind: ReplicaSet,
      object: set,
      selector,
      replicas: set.spec.replicas ?? 1,
      minReadySeconds: set.spec.minReadySeconds ?? 0,
      template: set.spec.template ?? {},
      countsTerminating: true,
      related: () => siblingPods(set, view),
    },
    view,
    now,
  );
}

/** Undefined for a selector validation would refuse: such a set owns nothing. */
function selectorOfSet(set: ReplicaSet): Selector | undefined {
  try {
    return selectorOf(set.spec.selector);
  } catch (error) {
    if (error instanceof SelectorError) return undefined;
    throw error;
  }
}

/** The pods of all sets with the same controller: one Deployment's, old and new. */
function siblingPods(set: ReplicaSet, view: View): readonly Pod[] {
  const controller = controllerOf(set);
  if (!controller) return [];
  const siblings = view.of(ReplicaSet).byIndex(BY_CONTROLLER, controller.uid);
  return siblings.flatMap((sibling) => view.of(Pod).byIndex(BY_CONTROLLER, sibling.metadata.uid));
}
