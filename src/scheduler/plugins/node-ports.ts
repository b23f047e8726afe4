// NodePorts: two pods cannot have the same host port of the same protocol on overlapping addresses.

import type { Pod } from '../../api/generated/core-v1.ts';
import type { Plugin } from '../framework.ts';

const MISFIT = { reasons: ["node(s) didn't have free ports for the requested pod ports"] };
const ANY = '0.0.0.0';

export interface HostPort {
  /** `protocol/port`. */
  readonly key: string;
  readonly ip: string;
}

export function hostPortsOf(pod: Pod): HostPort[] {
  return [
    ...pod.spec.containers,
    ...(pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always'),
  ].flatMap((c) =>
    (c.ports ?? []).flatMap((p) =>
      p.hostPort ? [{ key: `${p.protocol ?? 'TCP'}/${p.hostPort}`, ip: p.hostIP || ANY }] : [],
    ),
  );
}

export const nodePorts: Plugin = {
  name: 'NodePorts',
  wakes: ['NodeAdd', 'PodDelete'],
  filter(pod) {
    const wanted = hostPortsOf(pod);
    if (wanted.length === 0) return undefined;
    const clash = (used: readonly string[], ip: string) =>
      used.some((other) => other === ip || other === ANY || ip === ANY);
    return (info) => (wanted.some(({ key, ip }) => clash(info.ports.get(key) ?? [], ip)) ? MISFIT : undefined);
  },
};
