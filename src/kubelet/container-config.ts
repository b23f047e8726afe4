// From a pod's spec to what the runtime is told: sandbox and container configurations.

import type { Container, EphemeralContainer } from '../api/generated/core-v1.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import { containerLogPath, podLogDirectory, type KubeletConfig } from './config.ts';
import { podDns, type DnsSettings } from './dns.ts';
import type { EnvEntry } from './environment.ts';
import { expand } from './expansion.ts';
import { nodeName, podHostname } from './hostname.ts';
import { containerAnnotations, containerLabels, sandboxAnnotations, sandboxLabels } from './labels.ts';
import { cgroupParent, linuxResources } from './resources.ts';
import type { ContainerConfig, Image, Mount, PortMapping, SandboxConfig } from './runtime.ts';
import { containerSecurity, sandboxSecurity, verifyNonRoot } from './security.ts';

/** Throws with upstream's text when the pod cannot have the host name it asks for. */
export function sandboxConfig(
  pod: Pod,
  attempt: number,
  config: KubeletConfig,
  hostDns: DnsSettings,
  warn: (reason: string, message: string) => void,
): SandboxConfig {
  const identity = { name: pod.metadata.name, namespace: pod.metadata.namespace!, uid: pod.metadata.uid! };
  const sysctls = (pod.spec.securityContext?.sysctls ?? []).map((s) => [s.name, s.value] as const);
  return {
    pod: identity,
    attempt,
    hostname: pod.spec.hostNetwork ? '' : nodeName(pod, podHostname(pod, config.clusterDomain)),
    logDirectory: podLogDirectory(config, identity),
    dns: podDns(pod, { servers: config.clusterDNS, domain: config.clusterDomain }, hostDns, warn),
    ports: pod.spec.hostNetwork ? [] : portMappings(pod),
    labels: sandboxLabels(pod),
    annotations: sandboxAnnotations(pod),
    cgroupParent: cgroupParent(config.cgroupRoot, pod),
    sysctls: Object.fromEntries(sysctls),
    security: sandboxSecurity(pod),
    runtimeHandler: '',
  };
}

export function portMappings(pod: Pod): PortMapping[] {
  const { containers, initContainers = [] } = pod.spec;
  return [...initContainers, ...containers].flatMap((c) =>
    (c.ports ?? []).map((p) => ({
      protocol: (p.protocol ?? 'TCP') as PortMapping['protocol'],
      containerPort: p.containerPort,
      hostPort: p.hostPort ?? 0,
      hostIP: p.hostIP ?? '',
    })),
  );
}

export interface ContainerConfigInput {
  readonly pod: Pod;
  readonly container: Container | EphemeralContainer;
  readonly attempt: number;
  readonly image: Image;
  /** The reference to run, tag included. */
  readonly reference: string;
  readonly env: readonly EnvEntry[];
  readonly mounts: readonly Mount[];
  /** The running container an ephemeral one looks into. */
  readonly targetId: string | undefined;
  readonly memoryCapacity: number;
}

/** Throws with upstream's text when a rule on users is broken. */
export function containerConfig(input: ContainerConfigInput): ContainerConfig {
  const { pod, container, attempt, image } = input;
  verifyNonRoot(pod, container, image);
  const values = new Map(input.env.map((e) => [e.key, e.value]));
  const expanded = (list: readonly string[] | undefined) =>
    (list ?? []).map((text) => expand(text, (name) => values.get(name)));
  return {
    name: container.name,
    attempt,
    image: input.reference,
    command: expanded(container.command),
    args: expanded(container.args),
    workingDir: container.workingDir ?? '',
    env: input.env,
    mounts: input.mounts,
    devices: [],
    labels: containerLabels(pod, container),
    annotations: containerAnnotations(pod, container, attempt),
    logPath: containerLogPath(container.name, attempt),
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    tty: container.tty ?? false,
    resources: linuxResources(pod, container, input.memoryCapacity),
    security: containerSecurity(pod, container, image, input.targetId),
    ...(container.lifecycle?.stopSignal ? { stopSignal: container.lifecycle.stopSignal } : {}),
  };
}
