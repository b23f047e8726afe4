// Security contexts of pods and containers as the runtime wants them.
// https://kubernetes.io/docs/tasks/configure-pod-container/security-context/

import type { Container, EphemeralContainer, SeccompProfile, SecurityContext } from '../api/generated/core-v1.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import { containersOf, podText } from './pod-spec.ts';
import type { Image, LinuxSecurity, NamespaceMode } from './runtime.ts';

const MASKED = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const READONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

function namespaces(pod: Pod): { network: NamespaceMode; pid: NamespaceMode; ipc: NamespaceMode } {
  const { hostNetwork, hostPID, hostIPC, shareProcessNamespace } = pod.spec;
  return {
    network: hostNetwork ? 'node' : 'pod',
    pid: hostPID ? 'node' : shareProcessNamespace ? 'pod' : 'container',
    ipc: hostIPC ? 'node' : 'pod',
  };
}

function supplementalGroups(pod: Pod): number[] {
  const { supplementalGroups = [], fsGroup } = pod.spec.securityContext ?? {};
  return fsGroup === undefined ? supplementalGroups : [...supplementalGroups, fsGroup];
}

function seccomp(profile: SeccompProfile | undefined): LinuxSecurity['seccomp'] {
  if (profile?.type === 'RuntimeDefault') return 'RuntimeDefault';
  if (profile?.type === 'Localhost') return { localhost: profile.localhostProfile ?? '' };
  return 'Unconfined';
}

export function sandboxSecurity(pod: Pod): LinuxSecurity {
  const { runAsUser, runAsGroup } = pod.spec.securityContext ?? {};
  const privileged = containersOf(pod).some((c) => c.container.securityContext?.privileged);
  return {
    privileged,
    ...(runAsUser === undefined ? {} : { runAsUser }),
    ...(runAsGroup === undefined ? {} : { runAsGroup }),
    supplementalGroups: supplementalGroups(pod),
    readonlyRootfs: false,
    noNewPrivileges: false,
    addCapabilities: [],
    dropCapabilities: [],
    ...namespaces(pod),
    maskedPaths: [],
    readonlyPaths: [],
    seccomp: privileged ? 'Unconfined' : 'RuntimeDefault',
  };
}

/** `targetId`: the container whose processes an ephemeral container sees. */
export function containerSecurity(
  pod: Pod,
  container: Container | EphemeralContainer,
  image: Image,
  targetId: string | undefined,
): LinuxSecurity {
  const own: SecurityContext = container.securityContext ?? {};
  const ofPod = pod.spec.securityContext ?? {};
  const runAsUser = own.runAsUser ?? ofPod.runAsUser ?? image.uid;
  const runAsGroup = own.runAsGroup ?? ofPod.runAsGroup;
  const privileged = own.privileged ?? false;
  const unmasked = privileged || own.procMount === 'Unmasked';
  return {
    privileged,
    ...(runAsUser === undefined ? {} : { runAsUser }),
    ...(runAsUser === undefined && image.username ? { runAsUsername: image.username } : {}),
    ...(runAsGroup === undefined ? {} : { runAsGroup }),
    supplementalGroups: supplementalGroups(pod),
    readonlyRootfs: own.readOnlyRootFilesystem ?? false,
    noNewPrivileges: own.allowPrivilegeEscalation === false,
    addCapabilities: own.capabilities?.add ?? [],
    dropCapabilities: own.capabilities?.drop ?? [],
    ...namespaces(pod),
    ...(targetId === undefined ? {} : { pid: 'target', targetId }),
    maskedPaths: unmasked ? [] : MASKED,
    readonlyPaths: unmasked ? [] : READONLY,
    seccomp: privileged ? 'Unconfined' : seccomp(own.seccompProfile ?? ofPod.seccompProfile),
  };
}

/** Throws with upstream's text when runAsNonRoot would be broken. */
export function verifyNonRoot(pod: Pod, container: Container | EphemeralContainer, image: Image): void {
  const own = container.securityContext;
  const ofPod = pod.spec.securityContext;
  if (!(own?.runAsNonRoot ?? ofPod?.runAsNonRoot)) return;
  const where = `(pod: ${JSON.stringify(podText(pod))}, container: ${container.name})`;
  const runAsUser = own?.runAsUser ?? ofPod?.runAsUser;
  if (runAsUser === 0) throw new Error(`container's runAsUser breaks non-root policy ${where}`);
  if (runAsUser !== undefined) return;
  if (image.uid === undefined && image.username) {
    const cannot = `image has non-numeric user (${image.username}), cannot verify user is non-root`;
    throw new Error(`container has runAsNonRoot and ${cannot} ${where}`);
  }
  // An image without a user runs as root.
  if ((image.uid ?? 0) === 0) throw new Error(`container has runAsNonRoot and image will run as root ${where}`);
}
