// The Node object of this kubelet: labels, capacity, addresses, conditions. Pure.
// https://kubernetes.io/docs/reference/node/node-status/

import type { NodeCondition, NodeStatus } from '../api/generated/core-v1.ts';
import type { Node } from '../api/kinds/core/node.ts';
import type { Draft } from '../api/object.ts';
import { canonicalQuantity, parseQuantity, Quantity } from '../api/quantity.ts';
import { rfc3339 } from '../base/env.ts';
import type { KubeletConfig } from './config.ts';
import type { Machine, Pressure } from './host.ts';
import type { Image } from './runtime.ts';

export interface RuntimeFacts {
  readonly name: string;
  readonly version: string;
  /** Why the node is not ready; empty when it is. */
  readonly problem: string;
}

export interface NodeFacts {
  readonly config: KubeletConfig;
  readonly machine: Machine;
  readonly runtime: RuntimeFacts;
  readonly images: readonly Image[];
  readonly pressure: Pressure | undefined;
  readonly now: number;
}

const MAX_IMAGES = 50;
const MAX_NAMES = 5;

export function nodeLabels({ config, machine }: Pick<NodeFacts, 'config' | 'machine'>): Record<string, string> {
  return {
    'beta.kubernetes.io/arch': machine.arch,
    'beta.kubernetes.io/os': machine.os,
    'kubernetes.io/arch': machine.arch,
    'kubernetes.io/hostname': config.hostname ?? config.nodeName,
    'kubernetes.io/os': machine.os,
    ...config.labels,
  };
}

function nodeCapacity({ config, machine }: Pick<NodeFacts, 'config' | 'machine'>): Record<string, string> {
  const all = {
    cpu: String(machine.cpus),
    'ephemeral-storage': `${Math.floor(machine.storageBytes / 1024)}Ki`,
    memory: `${Math.floor(machine.memoryBytes / 1024)}Ki`,
    pods: String(config.maxPods),
    ...config.capacity,
  };
  // As the API stores them, or each report would look like a change.
  return Object.fromEntries(Object.entries(all).map(([name, text]) => [name, canonicalQuantity(text)]));
}

export function nodeAllocatable(facts: Pick<NodeFacts, 'config' | 'machine'>): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, text] of Object.entries(nodeCapacity(facts))) {
    const reserved = facts.config.reserved?.[name];
    const rest = reserved === undefined ? parseQuantity(text) : parseQuantity(text).sub(parseQuantity(reserved));
    out[name] = (rest.sign < 0 ? new Quantity(0n) : rest).toString();
  }
  return out;
}

export function newNode(facts: NodeFacts): Draft<Node> {
  const { config } = facts;
  const taints = config.taints?.map((t) => ({ ...t }));
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: config.nodeName,
      labels: nodeLabels(facts),
      annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' },
    },
    spec: taints?.length ? { taints } : {},
    status: nodeStatus(facts, undefined),
  };
}

/** `heartbeat` false keeps the times of conditions that did not change. */
export function nodeStatus(facts: NodeFacts, old: NodeStatus | undefined, heartbeat = true): NodeStatus {
  const { config, machine, runtime } = facts;
  const known = (old?.conditions ?? []).filter((c) => !OWNED.has(c.type));
  const { images: _, ...kept } = old ?? {};
  const images = imageList(facts.images);
  return {
    ...kept,
    addresses: [
      ...config.nodeIPs.map((address) => ({ address, type: 'InternalIP' })),
      { address: config.hostname ?? config.nodeName, type: 'Hostname' },
    ],
    allocatable: nodeAllocatable(facts),
    capacity: nodeCapacity(facts),
    conditions: [...known, ...conditions(facts, old, heartbeat)],
    daemonEndpoints: { kubeletEndpoint: { Port: config.port } },
    // The API drops empty lists.
    ...(images.length ? { images } : {}),
    nodeInfo: {
      architecture: machine.arch,
      bootID: machine.bootId,
      containerRuntimeVersion: `${runtime.name}://${runtime.version.replace(/^v/, '')}`,
      kernelVersion: machine.kernelVersion,
      kubeProxyVersion: config.version,
      kubeletVersion: config.version,
      machineID: machine.machineId,
      operatingSystem: machine.os,
      osImage: machine.osImage,
      systemUUID: machine.systemUuid,
    },
  };
}

function imageList(images: readonly Image[]) {
  return [...images]
    .sort((a, b) => b.size - a.size)
    .slice(0, MAX_IMAGES)
    .map(({ digests, tags, size }) => ({ names: [...digests, ...tags].slice(0, MAX_NAMES), sizeBytes: size }));
}

const OWNED = new Set(['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready']);

const THRESHOLD = { memory: 100 * 1024 * 1024, storage: 0.1, pids: 100 };

function conditions(facts: NodeFacts, old: NodeStatus | undefined, heartbeat: boolean): NodeCondition[] {
  const { pressure, runtime } = facts;
  const now = rfc3339(facts.now);
  const make = (type: string, status: boolean, reason: string, message: string): NodeCondition => {
    const before = old?.conditions?.find((c) => c.type === type);
    const text = status ? 'True' : 'False';
    const same = before?.status === text && before.reason === reason && before.message === message;
    const lastTransitionTime = before?.status === text ? before.lastTransitionTime : now;
    return {
      lastHeartbeatTime: same && !heartbeat ? (before.lastHeartbeatTime ?? now) : now,
      lastTransitionTime: lastTransitionTime ?? now,
      message,
      reason,
      status: text,
      type,
    };
  };
  const short = {
    memory: pressure !== undefined && pressure.memoryAvailableBytes < THRESHOLD.memory,
    disk: pressure !== undefined && pressure.storageAvailableBytes < pressure.storageBytes * THRESHOLD.storage,
    pids: pressure !== undefined && pressure.pidsAvailable < THRESHOLD.pids,
  };
  return [
    short.memory
      ? make('MemoryPressure', true, 'KubeletHasInsufficientMemory', 'kubelet has insufficient memory available')
      : make('MemoryPressure', false, 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
    short.disk
      ? make('DiskPressure', true, 'KubeletHasDiskPressure', 'kubelet has disk pressure')
      : make('DiskPressure', false, 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
    short.pids
      ? make('PIDPressure', true, 'KubeletHasInsufficientPID', 'kubelet has insufficient PID available')
      : make('PIDPressure', false, 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
    runtime.problem === ''
      ? make('Ready', true, 'KubeletReady', 'kubelet is posting ready status')
      : make('Ready', false, 'KubeletNotReady', runtime.problem),
  ];
}

/** What a change of conditions is called in the node's events. */
export function conditionEvents(before: NodeStatus | undefined, after: NodeStatus): string[] {
  const reasons: string[] = [];
  for (const { type, status } of after.conditions ?? []) {
    if (before?.conditions?.find((c) => c.type === type)?.status === status) continue;
    const reason = EVENTS[type]?.[status];
    if (reason) reasons.push(reason);
  }
  return reasons;
}

const EVENTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Ready: { True: 'NodeReady', False: 'NodeNotReady' },
  MemoryPressure: { True: 'NodeHasInsufficientMemory', False: 'NodeHasSufficientMemory' },
  DiskPressure: { True: 'NodeHasDiskPressure', False: 'NodeHasNoDiskPressure' },
  PIDPressure: { True: 'NodeHasInsufficientPID', False: 'NodeHasSufficientPID' },
};
