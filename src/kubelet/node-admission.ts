// Whether this node takes a pod that was bound to it. The scheduler has looked at the same things, but a moment ago, or
// somebody set spec.nodeName past it. Reasons and messages are upstream's.

import type { Node } from '../api/kinds/core/node.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import { nodeAllowed } from '../api/node-affinity.ts';
import { parseQuantity, ZERO } from '../api/quantity.ts';
import { untolerated } from '../api/taints.ts';
import { portMappings } from './container-config.ts';
import { podTotals } from './resources.ts';
import type { Waiting } from './plan-steps.ts';

export interface AdmissionInput {
  readonly pod: Pod;
  readonly node: Node;
  /** The pods this node has taken and that are not over. */
  readonly others: readonly Pod[];
  readonly allocatable: Readonly<Record<string, string>>;
  readonly allowedUnsafeSysctls: readonly string[];
}

/** Undefined: welcome. */
export function admitPod(input: AdmissionInput): Waiting | undefined {
  return (
    forbiddenSysctl(input) ??
    insufficient(input) ??
    (nodeAllowed(input.pod, input.node) ? undefined : failed('NodeAffinity', NO_AFFINITY)) ??
    (portsFree(input) ? undefined : failed('NodePorts', NO_PORTS)) ??
    (untolerated(input.node.spec?.taints, input.pod.spec.tolerations, ['NoExecute'])
      ? failed('TaintToleration', 'node(s) had untolerated taint(s)')
      : undefined)
  );
}

const NO_AFFINITY = "node(s) didn't match Pod's node affinity/selector";
const NO_PORTS = "node(s) didn't have free ports for the requested pod ports";

const failed = (name: string, why: string): Waiting => ({
  reason: name,
  message: `Predicate ${name} failed: ${why}`,
});

/** Sysctls that touch only their own pod. https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/ */
const SAFE_SYSCTLS = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
]);

function forbiddenSysctl({ pod, allowedUnsafeSysctls }: AdmissionInput): Waiting | undefined {
  const { securityContext, hostNetwork, hostIPC } = pod.spec;
  for (const { name: raw } of securityContext?.sysctls ?? []) {
    const name = raw.replaceAll('/', '.');
    const listed = allowedUnsafeSysctls.some((a) => (a.endsWith('*') ? name.startsWith(a.slice(0, -1)) : name === a));
    const quoted = JSON.stringify(raw);
    if (!SAFE_SYSCTLS.has(name) && !listed) {
      return { reason: 'SysctlForbidden', message: `forbidden sysctl: ${quoted} not allowlisted` };
    }
    if (hostNetwork && name.startsWith('net.')) {
      return { reason: 'SysctlForbidden', message: `forbidden sysctl: ${quoted} not allowed with host net enabled` };
    }
    if (hostIPC && (name.startsWith('kernel.shm') || name.startsWith('kernel.msg') || name === 'kernel.sem')) {
      return { reason: 'SysctlForbidden', message: `forbidden sysctl: ${quoted} not allowed with host ipc enabled` };
    }
  }
  return undefined;
}

function insufficient({ pod, others, allocatable }: AdmissionInput): Waiting | undefined {
  const outOf = (name: string, requested: number, used: number, capacity: number): Waiting | undefined =>
    requested + used <= capacity
      ? undefined
      : {
          reason: `OutOf${name}`,
          message:
            `Node didn't have enough resource: ${name}, requested: ${requested}, used: ${used}, ` +
            `capacity: ${capacity}`,
        };
  const tooMany = outOf('pods', 1, others.length, parseQuantity(allocatable['pods'] ?? '0').value);
  if (tooMany) return tooMany;
  for (const [name, amount] of Object.entries(podTotals(pod, 'requests'))) {
    if (amount.isZero) continue;
    const used = others.reduce((sum, other) => sum.add(podTotals(other, 'requests')[name] ?? ZERO), ZERO);
    const capacity = allocatable[name] === undefined ? ZERO : parseQuantity(allocatable[name]);
    const unit = name === 'cpu' ? 'milliValue' : 'value';
    const short = outOf(name, amount[unit], used[unit], capacity[unit]);
    if (short) return short;
  }
  return undefined;
}

function portsFree({ pod, others }: AdmissionInput): boolean {
  const wanted = hostPorts(pod);
  if (wanted.length === 0) return true;
  const taken = others.flatMap(hostPorts);
  return !wanted.some((w) =>
    taken.some(
      (t) => t.port === w.port && t.protocol === w.protocol && (t.ip === w.ip || t.ip === ANY || w.ip === ANY),
    ),
  );
}

const ANY = '0.0.0.0';

const hostPorts = (pod: Pod) =>
  portMappings(pod)
    .filter((p) => p.hostPort > 0)
    .map((p) => ({ port: p.hostPort, protocol: p.protocol, ip: p.hostIP || ANY }));
