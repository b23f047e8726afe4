// Deletes pods from nodes with NoExecute taints: at once without a toleration, later with tolerationSeconds.
// https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions

import type { Pod as PodObject, Taint } from '../api/generated/core-v1.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { keyOf } from '../api/object.ts';
import { tolerates } from '../api/taints.ts';
import { rfc3339 } from '../base/env.ts';
import { defineController, NOTHING, watch, type Plan } from '../client/controller.ts';

const BY_NODE = 'taint-node';
const noExecute = (taints: readonly Taint[] | undefined) => taints?.filter((t) => t.effect === 'NoExecute') ?? [];

/** The first toleration that meets a taint counts. When the pod has to go, in milliseconds since the epoch; undefined when it may stay. */
export function evictionTime(pod: PodObject, taints: readonly Taint[], now: number): number | undefined {
  let earliest: number | undefined;
  for (const taint of taints) {
    const toleration = pod.spec.tolerations?.find((t) => tolerates(t, taint));
    if (!toleration) return now;
    if (toleration.tolerationSeconds === undefined) continue;
    const since = taint.timeAdded ? Date.parse(taint.timeAdded) : now;
    const time = since + Math.max(0, toleration.tolerationSeconds) * 1000;
    earliest = earliest === undefined ? time : Math.min(earliest, time);
  }
  return earliest;
}

export const taintEviction = defineController({
  name: 'taint-eviction-controller',
  primary: Pod,
  watches: [
    watch({
      kind: Pod,
      indexes: { [BY_NODE]: (pod) => (pod.spec.nodeName ? [pod.spec.nodeName] : []) },
      keys(pod, old, view) {
        if (!pod?.spec.nodeName || (old?.spec.nodeName && old.spec.tolerations === pod.spec.tolerations)) return [];
        return noExecute(view.of(Node).get(pod.spec.nodeName)?.spec.taints).length ? [keyOf(pod)] : [];
      },
    }),
    watch({
      kind: Node,
      keys(node, old, view) {
        if (!node || (noExecute(node.spec.taints).length === 0 && noExecute(old?.spec.taints).length === 0)) return [];
        if (old && JSON.stringify(node.spec.taints) === JSON.stringify(old.spec.taints)) return [];
        return view.of(Pod).byIndex(BY_NODE, node.metadata.name).map(keyOf);
      },
    }),
  ],
  grants: [
    { groups: [''], resources: ['pods'], verbs: ['delete'] },
    { groups: [''], resources: ['pods/status'], verbs: ['patch'] },
  ],
  plan(key, view, now, memory): Plan {
    const pod = view.of(Pod).get(key);
    if (!pod?.spec.nodeName || pod.metadata.deletionTimestamp) return NOTHING;
    const taints = noExecute(view.of(Node).get(pod.spec.nodeName)?.spec.taints);
    const time = evictionTime(pod, taints, now);
    const { name, namespace, uid } = pod.metadata;
    const told = (memory as { cancelable: boolean } | undefined)?.cancelable;
    if (time === undefined) {
      if (!told) return NOTHING;
      const message = `Cancelling deletion of Pod ${namespace}/${name}`;
      return {
        actions: [{ do: 'event', event: { about: pod, type: 'Normal', reason: 'TaintManagerEviction', message } }],
      };
    }
    if (time > now) return { actions: [], again: time - now, idle: true, memory: { cancelable: true } };
    const message = `Marking for deletion Pod ${namespace}/${name}`;
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'DeletionByTaintManager',
      message: 'Taint manager: deleting due to NoExecute taint',
      lastTransitionTime: rfc3339(now),
    };
    const ref = { namespace, name };
    return {
      actions: [
        { do: 'event', event: { about: pod, type: 'Normal', reason: 'TaintManagerEviction', message } },
        {
          do: 'patch',
          kind: Pod,
          ref,
          type: 'strategic',
          patch: { metadata: { uid }, status: { conditions: [condition] } },
          subresource: 'status',
          ignore: ['NotFound', 'Conflict'],
        },
        { do: 'delete', kind: Pod, ref, options: { preconditions: { uid } }, ignore: ['NotFound', 'Conflict'] },
      ],
    };
  },
});
