// Watches over nodes: a node whose lease is not renewed becomes Unknown, conditions become taints, and pods on a node that
// is not ready are told so. https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller

import type { Node as NodeObject, NodeCondition, Pod as PodObject, Taint } from '../api/generated/core-v1.ts';
import { Lease } from '../api/kinds/coordination/lease.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { rfc3339 } from '../base/env.ts';
import { defineController, NOTHING, watch, type Action, type Plan, type View } from '../client/controller.ts';

/** How long a node may be silent before it counts as unreachable (upstream: nodeMonitorGracePeriod). */
const GRACE_PERIOD = 50_000;
/** A node that has never said anything gets longer. */
const STARTUP_GRACE_PERIOD = 60_000;
const LEASES = 'kube-node-lease';

const NOT_READY = 'node.kubernetes.io/not-ready';
const UNREACHABLE = 'node.kubernetes.io/unreachable';

/** Condition type -> status -> the taint it stands for (effect NoSchedule). */
const CONDITION_TAINTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Ready: { False: NOT_READY, Unknown: UNREACHABLE },
  MemoryPressure: { True: 'node.kubernetes.io/memory-pressure' },
  DiskPressure: { True: 'node.kubernetes.io/disk-pressure' },
  PIDPressure: { True: 'node.kubernetes.io/pid-pressure' },
  NetworkUnavailable: { True: 'node.kubernetes.io/network-unavailable' },
};
const UNSCHEDULABLE = 'node.kubernetes.io/unschedulable';
const MANAGED = new Set([
  UNSCHEDULABLE,
  ...Object.values(CONDITION_TAINTS).flatMap((byStatus) => Object.values(byStatus)),
]);

const CHECKED = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];
const POD_BY_NODE = 'lifecycle-node';

/** What was last heard of a node and when, by this controller's own clock: other machines' clocks are not trusted. */
interface Memory {
  readonly renewed: string;
  readonly at: number;
  readonly known: boolean;
}

export const nodeLifecycle = defineController({
  name: 'node-lifecycle-controller',
  component: 'node-controller',
  primary: Node,
  watches: [
    watch({ kind: Node, keys: 'self' }),
    watch({
      kind: Lease,
      keys: (lease, old) => ((lease ?? old)!.metadata.namespace === LEASES ? [(lease ?? old)!.metadata.name] : []),
    }),
    watch({
      kind: Pod,
      indexes: { [POD_BY_NODE]: (pod) => (pod.spec.nodeName ? [pod.spec.nodeName] : []) },
      keys: (pod, old) => (pod?.spec.nodeName && !old?.spec.nodeName ? [pod.spec.nodeName] : []),
    }),
  ],
  grants: [
    { groups: [''], resources: ['nodes'], verbs: ['patch', 'update'] },
    { groups: [''], resources: ['nodes/status', 'pods/status'], verbs: ['patch', 'update'] },
  ],
  plan(name, view, now, remembered): Plan {
    const node = view.of(Node).get(name);
    if (!node) return NOTHING;
    const memory = listen(node, view, now, remembered as Memory | undefined);
    const silent = now - memory.at;
    const period = memory.known ? GRACE_PERIOD : STARTUP_GRACE_PERIOD;
    const lost = silent >= period;
    const conditions = lost ? unknownConditions(node, memory.known, now) : undefined;
    const seen = conditions ? { ...node, status: { ...node.status, conditions } } : node;
    const actions: Action[] = [];
    if (conditions) actions.push(...tellUnknown(node, conditions));
    actions.push(...taintActions(seen, now), ...podActions(seen, view, now));
    // A node that answers is looked at again when it would have been silent for too long: a background matter.
    return { actions, memory, ...(lost ? {} : { again: period - silent, idle: true }) };
  },
});

function listen(node: NodeObject, view: View, now: number, before: Memory | undefined): Memory {
  const lease = view.of(Lease).get(`${LEASES}/${node.metadata.name}`);
  const ready = node.status?.conditions?.find((c) => c.type === 'Ready');
  const heartbeat = ready && ready.status !== 'Unknown' ? (ready.lastHeartbeatTime ?? '') : '';
  const renewed = `${lease?.spec.renewTime ?? ''} ${heartbeat}`;
  if (before?.renewed === renewed) return before;
  return { renewed, at: now, known: renewed !== ' ' };
}

function unknownConditions(node: NodeObject, known: boolean, now: number): NodeCondition[] | undefined {
  const old = node.status?.conditions ?? [];
  const reason = known ? 'NodeStatusUnknown' : 'NodeStatusNeverUpdated';
  const message = known ? 'Kubelet stopped posting node status.' : 'Kubelet never posted node status.';
  const time = rfc3339(now);
  const missing = CHECKED.filter((type) => !old.some((c) => c.type === type)).map((type): NodeCondition => ({
    type,
    status: 'Unknown',
    reason,
    message,
    lastHeartbeatTime: node.metadata.creationTimestamp,
    lastTransitionTime: time,
  }));
  const changed = old.map((c) =>
    CHECKED.includes(c.type) && c.status !== 'Unknown'
      ? { ...c, status: 'Unknown', reason, message, lastTransitionTime: time }
      : c,
  );
  return missing.length || changed.some((c, i) => c !== old[i]) ? [...changed, ...missing] : undefined;
}

function tellUnknown(node: NodeObject, conditions: NodeCondition[]): Action[] {
  const ref = { name: node.metadata.name };
  const patch = { metadata: { uid: node.metadata.uid }, status: { conditions } };
  return [
    { do: 'patch', kind: Node, ref, type: 'strategic', patch, subresource: 'status', ignore: ['NotFound'] },
    notReadyEvent(node, `Node ${node.metadata.name} status is now: NodeNotReady`),
  ];
}

const notReadyEvent = (about: NodeObject | PodObject, message: string): Action => ({
  do: 'event',
  event: { about, type: 'Normal', reason: 'NodeNotReady', message },
});

/** The taints the node's conditions and its cordon stand for. */
function wantedTaints(node: NodeObject): Taint[] {
  const taints: Taint[] = [];
  for (const condition of node.status?.conditions ?? []) {
    const key = CONDITION_TAINTS[condition.type]?.[condition.status];
    if (!key) continue;
    taints.push({ key, effect: 'NoSchedule' });
    if (key === NOT_READY || key === UNREACHABLE) taints.push({ key, effect: 'NoExecute' });
  }
  if (node.spec.unschedulable) taints.push({ key: UNSCHEDULABLE, effect: 'NoSchedule' });
  return taints;
}

const sameTaint = (a: Taint, b: Taint) => a.key === b.key && a.effect === b.effect;

function taintActions(node: NodeObject, now: number): Action[] {
  const old = node.spec.taints ?? [];
  const wanted = wantedTaints(node);
  const kept = old.filter((t) => !MANAGED.has(t.key) || wanted.some((w) => sameTaint(w, t)));
  const added = wanted.filter((w) => !old.some((t) => sameTaint(w, t))).map((t) => ({ ...t, timeAdded: rfc3339(now) }));
  if (kept.length === old.length && added.length === 0) return [];
  const taints = [...kept, ...added];
  const patch = {
    metadata: { uid: node.metadata.uid, resourceVersion: node.metadata.resourceVersion },
    spec: { taints: taints.length ? taints : null },
  };
  // The status may just have been written: a conflict plans again from what is there then.
  return [{ do: 'patch', kind: Node, ref: { name: node.metadata.name }, type: 'merge', patch, ignore: ['NotFound'] }];
}

/** Pods of a node that is not ready are not ready either: so they leave their Services. */
function podActions(node: NodeObject, view: View, now: number): Action[] {
  const ready = node.status?.conditions?.find((c) => c.type === 'Ready')?.status;
  if (ready !== 'Unknown' && ready !== 'False') return [];
  return view
    .of(Pod)
    .byIndex(POD_BY_NODE, node.metadata.name)
    .flatMap((pod) => {
      const condition = pod.status?.conditions?.find((c) => c.type === 'Ready');
      if (condition?.status !== 'True') return [];
      const { namespace, name, uid } = pod.metadata;
      const patch = {
        metadata: { uid },
        status: { conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: rfc3339(now) }] },
      };
      const action: Action = {
        do: 'patch',
        kind: Pod,
        ref: { namespace, name },
        type: 'strategic',
        patch,
        subresource: 'status',
        ignore: ['NotFound', 'Conflict'],
      };
      return [action, notReadyEvent(pod, 'Node is not ready')];
    });
}
