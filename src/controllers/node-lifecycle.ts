// Watches over nodes: a node whose lease is not renewed becomes Unknown, conditions become taints, and pods of a node
// nobody hears of are not ready. https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller

import type { Node as NodeObject, NodeCondition, Pod as PodObject } from '../api/generated/core-v1.ts';
import { Lease } from '../api/kinds/coordination/lease.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { rfc3339 } from '../base/env.ts';
import { defineController, NOTHING, watch, type Action, type Plan, type View } from '../client/controller.ts';
import { disruptionOf, evictionPause, readyStatus, taintsOf, type Disruption } from './node-taints.ts';

/** How long a node may be silent before it counts as unreachable (upstream: nodeMonitorGracePeriod). */
const GRACE_PERIOD = 50_000;
/** A node that has never said anything gets longer. */
const STARTUP_GRACE_PERIOD = 60_000;
/** A node that is not well loses its pods a moment later: what made many fall silent at once can be told apart then. */
const MANY_TELL = 1_000;
const LEASES = 'kube-node-lease';
const CHECKED = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];
const POD_BY_NODE = 'lifecycle-node';

/** What was last heard of a node and when, by this controller's own uptime: no clock that is set counts, here or there. */
interface Memory {
  readonly renewed: string;
  readonly at: number;
  readonly node: NodeObject;
  /** No pods are evicted before this: Infinity while no node of the cluster is well, a grace period more after that. */
  readonly calmUntil: number;
  /** Since when it is not well. */
  readonly unwellSince: number | undefined;
}

export const nodeLifecycle = defineController({
  name: 'node-lifecycle-controller',
  component: 'node-controller',
  primary: Node,
  watches: [
    watch({
      kind: Node,
      keys(node, old, view) {
        const self = (node ?? old)!.metadata.name;
        if (readyStatus(node) === readyStatus(old)) return [self];
        // Whether a node's pods are evicted depends on how many other nodes are well.
        const unwell = view
          .of(Node)
          .list()
          .filter((n) => readyStatus(n) !== 'True');
        return [...new Set([self, ...unwell.map((n) => n.metadata.name)])];
      },
    }),
    watch({
      kind: Lease,
      keys: (lease, old) => ((lease ?? old)!.metadata.namespace === LEASES ? [(lease ?? old)!.metadata.name] : []),
    }),
    watch({
      kind: Pod,
      indexes: { [POD_BY_NODE]: (pod) => (pod.spec.nodeName ? [pod.spec.nodeName] : []) },
      keys: 'none',
    }),
  ],
  grants: [
    { groups: [''], resources: ['nodes'], verbs: ['patch', 'update'] },
    { groups: [''], resources: ['nodes/status', 'pods/status'], verbs: ['patch', 'update'] },
  ],
  plan(name, view, now, remembered, uptime = now): Plan {
    const node = view.of(Node).get(name);
    const before = remembered as Memory | undefined;
    if (!node) return before ? { actions: [nodeEvent(before.node, 'RemovingNode', 'Removing', 'from')] } : NOTHING;
    const known = before?.node.metadata.uid === node.metadata.uid ? before : undefined;
    const { renewed, at } = listen(node, view, uptime, known);
    const silent = uptime - at;
    const period = readyStatus(node) === undefined ? STARTUP_GRACE_PERIOD : GRACE_PERIOD;
    const lost = silent >= period;
    const conditions = lost ? unknownConditions(node, now) : undefined;
    const seen = conditions ? { ...node, status: { ...node.status, conditions } } : node;
    const well = readyStatus(seen) === 'True';
    const nodes = well ? [] : view.of(Node).list();
    const disruption = well ? 'none' : disruptionOf(seen, nodes);
    const calmUntil = calm(disruption, known?.calmUntil ?? -Infinity, uptime);
    const unwellSince = well ? undefined : (known?.unwellSince ?? uptime);
    const told = unwellSince === undefined ? 0 : unwellSince + MANY_TELL - uptime;
    const pause = Math.max(calmUntil - uptime, told, evictionPause(seen, nodes, now));
    const calmed = disruption === 'none' && pause > 0 ? 'part' : disruption;
    const actions: Action[] = known ? [] : [nodeEvent(node, 'RegisteredNode', 'Registered', 'in')];
    // Taints first: they are guarded by the version that the conditions change.
    actions.push(...taintActions(seen, calmed, now));
    if (conditions) actions.push(...tellUnknown(node, conditions));
    if (readyStatus(seen) === 'Unknown') actions.push(...podActions(seen, view, now));
    // A node that answers is looked at again when it would have been silent for too long: a background matter.
    const again = Math.min(lost ? Infinity : period - silent, !well && pause > 0 ? pause : Infinity);
    const later = again < Infinity ? { again, idle: true } : {};
    return { actions, memory: { renewed, at, node, calmUntil, unwellSince } satisfies Memory, ...later };
  },
});

function calm(disruption: Disruption, until: number, uptime: number): number {
  if (disruption === 'all') return Infinity;
  return until === Infinity ? uptime + GRACE_PERIOD : until;
}

/** What was last heard, and when it was first seen here. */
function listen(node: NodeObject, view: View, uptime: number, before: Memory | undefined) {
  const lease = view.of(Lease).get(`${LEASES}/${node.metadata.name}`);
  const ready = node.status?.conditions?.find((c) => c.type === 'Ready');
  const heartbeat = ready && ready.status !== 'Unknown' ? (ready.lastHeartbeatTime ?? '') : '';
  const renewed = `${lease?.spec?.renewTime ?? ''} ${heartbeat}`;
  return { renewed, at: before?.renewed === renewed ? before.at : uptime };
}

function nodeEvent(about: NodeObject, reason: string, what: string, preposition: string): Action {
  const { name } = about.metadata;
  const message = `Node ${name} event: ${what} Node ${name} ${preposition} Controller`;
  return { do: 'event', event: { about, type: 'Normal', reason, message } };
}

/** The conditions of a node nobody hears of; undefined when it has them already. */
function unknownConditions(node: NodeObject, now: number): NodeCondition[] | undefined {
  const old = node.status?.conditions ?? [];
  const time = rfc3339(now);
  const missing = CHECKED.filter((type) => !old.some((c) => c.type === type)).map((type): NodeCondition => ({
    type,
    status: 'Unknown',
    reason: 'NodeStatusNeverUpdated',
    message: 'Kubelet never posted node status.',
    lastHeartbeatTime: node.metadata.creationTimestamp,
    lastTransitionTime: time,
  }));
  const silenced = {
    status: 'Unknown',
    reason: 'NodeStatusUnknown',
    message: 'Kubelet stopped posting node status.',
    lastTransitionTime: time,
  };
  const changed = old.map((c) => (CHECKED.includes(c.type) && c.status !== 'Unknown' ? { ...c, ...silenced } : c));
  return missing.length || changed.some((c, i) => c !== old[i]) ? [...changed, ...missing] : undefined;
}

function tellUnknown(node: NodeObject, conditions: NodeCondition[]): Action[] {
  const { name, uid } = node.metadata;
  const patch = { metadata: { uid }, status: { conditions } };
  const actions: Action[] = [
    { do: 'patch', kind: Node, ref: { name }, type: 'strategic', patch, subresource: 'status', ignore: ['NotFound'] },
  ];
  if (readyStatus(node) === 'True') {
    const message = `Node ${name} status is now: NodeNotReady`;
    actions.push({ do: 'event', event: { about: node, type: 'Normal', reason: 'NodeNotReady', message } });
  }
  return actions;
}

function taintActions(node: NodeObject, disruption: Disruption, now: number): Action[] {
  const taints = taintsOf(node, disruption, now);
  if (!taints) return [];
  const { name, uid, resourceVersion } = node.metadata;
  const patch = { metadata: { uid, resourceVersion }, spec: { taints: taints.length ? taints : null } };
  return [{ do: 'patch', kind: Node, ref: { name }, type: 'merge', patch, ignore: ['NotFound'] }];
}

/** Pods of a silent node are not ready: so they leave their Services. */
function podActions(node: NodeObject, view: View, now: number): Action[] {
  return view
    .of(Pod)
    .byIndex(POD_BY_NODE, node.metadata.name)
    .filter((pod) => pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True'))
    .flatMap((pod) => [markNotReady(pod, now), podEvent(pod)]);
}

function markNotReady({ metadata: { namespace, name, uid } }: PodObject, now: number): Action {
  const condition = { type: 'Ready', status: 'False', lastTransitionTime: rfc3339(now) };
  return {
    do: 'patch',
    kind: Pod,
    ref: { namespace, name },
    type: 'strategic',
    patch: { metadata: { uid }, status: { conditions: [condition] } },
    subresource: 'status',
    ignore: ['NotFound', 'Conflict'],
  };
}

const podEvent = (about: PodObject): Action => ({
  do: 'event',
  event: { about, type: 'Warning', reason: 'NodeNotReady', message: 'Node is not ready' },
});
