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

/**
 * When the pod has to go, in milliseconds since the epoch; undefined when it may stay. The first toleration that meets a
 * taint counts. Its time runs from the taint, but not from before the pod's start; what does not say its time counts from `seen`.
 */
export function evictionTime(
  pod: PodObject,
  taints: readonly Taint[],
  now: number,
  seen: number = now,
): number | undefined {
  const begun = pod.status?.startTime ? Date.parse(pod.status.startTime) : seen;
  let earliest: number | undefined;
  for (const taint of taints) {
    const toleration = pod.spec.tolerations?.find((t) => tolerates(t, taint));
    if (!toleration) return now;
    if (toleration.tolerationSeconds === undefined) continue;
    const since = Math.max(taint.timeAdded ? Date.parse(taint.timeAdded) : seen, begun);
    const time = since + Math.max(0, toleration.tolerationSeconds) * 1000;
    earliest = earliest === undefined ? time : Math.min(earliest, time);
  }
  return earliest;
}

interface Pending {
  /** When the taints were first seen here, and when the pod has to go: by the wall clock. */
  readonly seen: number;
  readonly time: number;
  /** The same by uptime. */
  readonly due: number;
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
  plan(key, view, now, memory, uptime = now): Plan {
    const pod = view.of(Pod).get(key);
    if (!pod?.spec.nodeName || pod.metadata.deletionTimestamp) return NOTHING;
    const taints = noExecute(view.of(Node).get(pod.spec.nodeName)?.spec.taints);
    // Taints set by hand have no time: theirs runs from when they were first seen here.
    const pending = memory as Pending | undefined;
    const seen = pending?.seen ?? now;
    const time = evictionTime(pod, taints, now, seen);
    const { name, namespace, uid } = pod.metadata;
    if (time === undefined) {
      if (!pending) return NOTHING;
      const message = `Cancelling deletion of Pod ${namespace}/${name}`;
      return {
        actions: [{ do: 'event', event: { about: pod, type: 'Normal', reason: 'TaintManagerEviction', message } }],
      };
    }
    // Counted by what passes from here on: a clock that is set forward evicts nobody early.
    const due = pending?.time === time ? pending.due : uptime + time - now;
    const left = due - uptime;
    if (left > 0) return { actions: [], again: left, idle: true, memory: { seen, time, due } satisfies Pending };
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
