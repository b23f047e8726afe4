// Pod garbage collection: pods of nodes that no longer exist, unscheduled pods being deleted, and the oldest finished pods
// beyond a threshold. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection

import type { Pod as PodObject } from '../api/generated/core-v1.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { keyOf } from '../api/object.ts';
import { rfc3339 } from '../base/env.ts';
import { defineController, NOTHING, watch, type Action, type Plan } from '../client/controller.ts';

const QUARANTINE = 40_000;
const TERMINATED_THRESHOLD = 12_500;
const BY_NODE = 'gc-node';
const ALL_FINISHED = ' finished';

const finished = (pod: PodObject) => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** Keys: a node's name, a pod's key, or ` finished` for the count of finished pods. */
export const podGc = defineController({
  name: 'pod-garbage-collector',
  watches: [
    watch({ kind: Node, keys: (node, old) => (node ? [] : [`node ${old!.metadata.name}`]) }),
    watch({
      kind: Pod,
      indexes: {
        [BY_NODE]: (pod) => (pod.spec.nodeName ? [pod.spec.nodeName] : []),
        finished: (pod) => (finished(pod) ? ['yes'] : []),
      },
      keys(pod, old, view) {
        if (!pod) return [];
        const { nodeName } = pod.spec;
        if (!nodeName) return pod.metadata.deletionTimestamp ? [`pod ${keyOf(pod)}`] : [];
        const orphan = !old && !view.of(Node).get(nodeName) ? [`node ${nodeName}`] : [];
        return finished(pod) && !(old && finished(old)) ? [...orphan, ALL_FINISHED] : orphan;
      },
    }),
  ],
  grants: [
    { groups: [''], resources: ['pods'], verbs: ['delete'] },
    { groups: [''], resources: ['pods/status'], verbs: ['patch'] },
  ],
  plan(key, view, now, memory): Plan {
    if (key === ALL_FINISHED) {
      const all = view.of(Pod).byIndex('finished', 'yes');
      if (all.length <= TERMINATED_THRESHOLD) return NOTHING;
      const oldest = [...all].sort((a, b) => (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1));
      return {
        actions: oldest.slice(0, all.length - TERMINATED_THRESHOLD).flatMap((pod) => collect(pod, undefined, now)),
      };
    }
    if (key.startsWith('pod ')) {
      const pod = view.of(Pod).get(key.slice('pod '.length));
      return pod?.metadata.deletionTimestamp && !pod.spec.nodeName
        ? { actions: collect(pod, undefined, now) }
        : NOTHING;
    }
    const node = key.slice('node '.length);
    const pods = view.of(Pod).byIndex(BY_NODE, node);
    if (view.of(Node).get(node) || pods.length === 0) return NOTHING;
    // A node that is registering anew gets a little time to come back.
    const since = (memory as number | undefined) ?? now;
    if (now - since < QUARANTINE) return { actions: [], again: since + QUARANTINE - now, memory: since };
    return { actions: pods.flatMap((pod) => collect(pod, 'PodGC: node no longer exists', now)) };
  },
});

function collect(pod: PodObject, why: string | undefined, now: number): Action[] {
  const { namespace, name, uid } = pod.metadata;
  const ref = { namespace, name };
  const actions: Action[] = [];
  if (why && !finished(pod)) {
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'DeletionByPodGC',
      message: why,
      lastTransitionTime: rfc3339(now),
    };
    const patch = { metadata: { uid }, status: { phase: 'Failed', conditions: [condition] } };
    actions.push({
      do: 'patch',
      kind: Pod,
      ref,
      type: 'strategic',
      patch,
      subresource: 'status',
      ignore: ['NotFound', 'Conflict'],
    });
  }
  actions.push({
    do: 'delete',
    kind: Pod,
    ref,
    options: { gracePeriodSeconds: 0, preconditions: { uid } },
    ignore: ['NotFound', 'Conflict'],
  });
  return actions;
}
