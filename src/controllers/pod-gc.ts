// Pod garbage collection: pods of nodes that no longer exist, unscheduled pods being deleted, pods being deleted on nodes
// that are out of service, and the oldest finished pods beyond a threshold. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection

import type { Node as NodeObject, Pod as PodObject } from '../api/generated/core-v1.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { keyOf } from '../api/object.ts';
import { rfc3339 } from '../base/env.ts';
import { defineController, NOTHING, watch, type Action, type Plan } from '../client/controller.ts';

const QUARANTINE = 40_000;
const TERMINATED_THRESHOLD = 12_500;
const BY_NODE = 'gc-node';
const ALL_FINISHED = ' finished';
const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service';

const finished = (pod: PodObject) => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** Keys: a node's name, a pod's key, or ` finished` for the count of finished pods. */
export const podGc = defineController({
  name: 'pod-garbage-collector',
  watches: [
    watch({
      kind: Node,
      keys(node, old, view) {
        if (!node) return [`node ${old!.metadata.name}`];
        if (!isOutOfService(node) || (old && isOutOfService(old))) return [];
        const pods = view.of(Pod).byIndex(BY_NODE, node.metadata.name);
        return pods.filter((pod) => pod.metadata.deletionTimestamp).map((pod) => `pod ${keyOf(pod)}`);
      },
    }),
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
        const node = view.of(Node).get(nodeName);
        if (node && isOutOfService(node) && pod.metadata.deletionTimestamp) return [`pod ${keyOf(pod)}`];
        const orphan = !node && !old?.spec.nodeName ? [`node ${nodeName}`] : [];
        return finished(pod) && !(old && finished(old)) ? [...orphan, ALL_FINISHED] : orphan;
      },
    }),
  ],
  grants: [
    { groups: [''], resources: ['pods'], verbs: ['delete'] },
    { groups: [''], resources: ['pods/status'], verbs: ['patch'] },
  ],
  plan(key, view, now, memory, uptime = now): Plan {
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
      if (!pod?.metadata.deletionTimestamp) return NOTHING;
      const node = pod.spec.nodeName ? view.of(Node).get(pod.spec.nodeName) : undefined;
      const stranded = !pod.spec.nodeName || (node && isOutOfService(node));
      return stranded ? { actions: collect(pod, undefined, now) } : NOTHING;
    }
    const node = key.slice('node '.length);
    const pods = view.of(Pod).byIndex(BY_NODE, node);
    if (view.of(Node).get(node) || pods.length === 0) return NOTHING;
    // A node that is registering anew gets a little time to come back.
    const since = (memory as number | undefined) ?? uptime;
    if (uptime - since < QUARANTINE) return { actions: [], again: since + QUARANTINE - uptime, memory: since };
    return { actions: pods.flatMap((pod) => collect(pod, 'PodGC: node no longer exists', now)) };
  },
});

/** Somebody has said that the node is down for good, and it does not contradict. */
const isOutOfService = (node: NodeObject) =>
  (node.spec?.taints?.some((t) => t.key === OUT_OF_SERVICE) ?? false) &&
  !node.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');

/** Deletes at once. A pod that had not ended has failed: whoever counts its finalizers must know. */
function collect(pod: PodObject, why: string | undefined, now: number): Action[] {
  const { namespace, name, uid, resourceVersion } = pod.metadata;
  const ref = { namespace, name };
  const actions: Action[] = [];
  if (!finished(pod)) {
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'DeletionByPodGC',
      message: why,
      lastTransitionTime: rfc3339(now),
    };
    // Only while it is as it was seen: it may have ended well meanwhile.
    const patch = {
      metadata: { uid, resourceVersion },
      status: { phase: 'Failed', ...(why ? { conditions: [condition] } : {}) },
    };
    actions.push({
      do: 'patch',
      kind: Pod,
      ref,
      type: 'strategic',
      patch,
      subresource: 'status',
      ignore: ['NotFound'],
    });
  }
  const options = { gracePeriodSeconds: 0, preconditions: { uid } };
  actions.push({ do: 'delete', kind: Pod, ref, options, ignore: ['NotFound', 'Conflict'] });
  return actions;
}
