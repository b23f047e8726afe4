// Between the kubelet's words (kubelet/runtime.ts) and the messages of the container runtime interface.

import type {
  ContainerConfig,
  ContainerStatus,
  Image,
  LinuxResources,
  LinuxSecurity,
  NamespaceMode,
  SandboxConfig,
  SandboxStatus,
} from '../../kubelet/runtime.ts';
import type {
  ContainerConfigMessage,
  ContainerStatusMessage,
  ImageMessage,
  PodSandboxConfigMessage,
  PodSandboxMessage,
  PodSandboxStatusMessage,
  ResourcesMessage,
} from './messages.ts';

const PROTOCOLS = { TCP: 0, UDP: 1, SCTP: 2 } as const;
const PROPAGATIONS = { private: 0, hostToContainer: 1, bidirectional: 2 } as const;
const NAMESPACE_MODES: Record<NamespaceMode, number> = { pod: 0, container: 1, node: 2, target: 3 };
const CONTAINER_STATES = ['created', 'running', 'exited', 'unknown'] as const;

/** The Signal enum, in the order of its numbers; the real-time signals between SIGRTMIN and SIGRTMAX follow. */
const SIGNALS = (
  'SIGABRT SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIO SIGIOT SIGKILL SIGPIPE SIGPOLL ' +
  'SIGPROF SIGPWR SIGQUIT SIGSEGV SIGSTKFLT SIGSTOP SIGSYS SIGTERM SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 ' +
  'SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ SIGRTMIN'
).split(' ');

/** The number of a stop signal in the interface; 0 (the image's own) for names it does not know. */
export function signalNumber(name: string): number {
  const realtime = /^SIGRT(MIN\+|MAX-)(\d+)$/.exec(name);
  if (realtime) return realtime[1] === 'MIN+' ? 35 + Number(realtime[2]) : 65 - Number(realtime[2]);
  return name === 'SIGRTMAX' ? 65 : SIGNALS.indexOf(name) + 1;
}

const optional = (value: number | undefined) => (value === undefined ? undefined : { value });

function namespacesOf(security: LinuxSecurity) {
  return {
    network: NAMESPACE_MODES[security.network],
    pid: NAMESPACE_MODES[security.pid],
    ipc: NAMESPACE_MODES[security.ipc],
    targetId: security.targetId,
  };
}

function seccompOf({ seccomp }: LinuxSecurity) {
  if (seccomp === 'RuntimeDefault') return { profileType: 0 };
  if (seccomp === 'Unconfined') return { profileType: 1 };
  return { profileType: 2, localhostRef: seccomp.localhost };
}

export function sandboxConfigMessage(config: SandboxConfig): PodSandboxConfigMessage {
  const { security } = config;
  return {
    metadata: { ...config.pod, attempt: config.attempt },
    // On the host's network the hostname is the host's, and the interface wants it empty.
    hostname: security.network === 'node' ? '' : config.hostname,
    logDirectory: config.logDirectory,
    dnsConfig: config.dns,
    portMappings: config.ports.map((port) => ({
      protocol: PROTOCOLS[port.protocol],
      containerPort: port.containerPort,
      hostPort: port.hostPort,
      hostIp: port.hostIP,
    })),
    labels: config.labels,
    annotations: config.annotations,
    linux: {
      cgroupParent: config.cgroupParent,
      sysctls: config.sysctls,
      securityContext: {
        namespaceOptions: namespacesOf(security),
        runAsUser: optional(security.runAsUser),
        // A group without a user is an error of the interface.
        runAsGroup: security.runAsUser === undefined ? undefined : optional(security.runAsGroup),
        readonlyRootfs: security.readonlyRootfs,
        supplementalGroups: security.supplementalGroups,
        privileged: security.privileged,
        seccomp: seccompOf(security),
      },
    },
  };
}

export function resourcesMessage(resources: LinuxResources): ResourcesMessage {
  return {
    cpuPeriod: resources.cpuPeriod,
    cpuQuota: resources.cpuQuota,
    cpuShares: resources.cpuShares,
    memoryLimitInBytes: resources.memoryLimitBytes,
    oomScoreAdj: resources.oomScoreAdj,
  };
}

export function containerConfigMessage(config: ContainerConfig): ContainerConfigMessage {
  const { security } = config;
  const hasUser = security.runAsUser !== undefined || Boolean(security.runAsUsername);
  return {
    metadata: { name: config.name, attempt: config.attempt },
    image: { image: config.image },
    command: config.command,
    args: config.args,
    workingDir: config.workingDir,
    envs: config.env,
    mounts: config.mounts.map((mount) => ({
      containerPath: mount.containerPath,
      hostPath: mount.hostPath,
      readonly: mount.readonly,
      propagation: PROPAGATIONS[mount.propagation],
    })),
    devices: config.devices,
    labels: config.labels,
    annotations: config.annotations,
    logPath: config.logPath,
    stdin: config.stdin,
    stdinOnce: config.stdinOnce,
    tty: config.tty,
    stopSignal: config.stopSignal === undefined ? undefined : signalNumber(config.stopSignal),
    linux: {
      resources: resourcesMessage(config.resources),
      securityContext: {
        capabilities: { addCapabilities: security.addCapabilities, dropCapabilities: security.dropCapabilities },
        privileged: security.privileged,
        namespaceOptions: namespacesOf(security),
        runAsUser: optional(security.runAsUser),
        runAsUsername: security.runAsUsername,
        runAsGroup: hasUser ? optional(security.runAsGroup) : undefined,
        readonlyRootfs: security.readonlyRootfs,
        supplementalGroups: security.supplementalGroups,
        noNewPrivs: security.noNewPrivileges,
        maskedPaths: security.maskedPaths,
        readonlyPaths: security.readonlyPaths,
        seccomp: seccompOf(security),
      },
    },
  };
}

const milliseconds = (nanoseconds: number) => Math.floor(nanoseconds / 1e6);

/** A time that has not come is 0 in the interface, but some versions send the year 1. */
const timeOrZero = (nanoseconds: number) => Math.max(0, milliseconds(nanoseconds));

export function sandboxStatusOf(
  sandbox: PodSandboxMessage | PodSandboxStatusMessage,
  ips: readonly string[],
): SandboxStatus {
  const { name = '', namespace = '', uid = '', attempt = 0 } = sandbox.metadata ?? {};
  return {
    id: sandbox.id,
    pod: { name, namespace, uid },
    attempt,
    state: sandbox.state === 0 ? 'ready' : 'notready',
    createdAt: milliseconds(sandbox.createdAt),
    ips,
    labels: sandbox.labels,
    annotations: sandbox.annotations,
  };
}

export function ipsOf(status: PodSandboxStatusMessage): readonly string[] {
  const { ip = '', additionalIps = [] } = status.network ?? {};
  return [ip, ...additionalIps.map((more) => more.ip)].filter((address) => address !== '');
}

export function containerStateOf(state: number): ContainerStatus['state'] {
  return CONTAINER_STATES[state] ?? 'unknown';
}

/**
 * containerd gives up a start when the connection that asked for it breaks: the call's context ends, and the programs
 * that are making the task are killed. Only then: what fails once the task is made may have run.
 */
const INTERRUPTED = /^failed to create containerd task: .*(signal: killed|context canceled)/s;

const wasInterrupted = ({ reason, message }: ContainerStatusMessage) =>
  reason === 'StartError' && INTERRUPTED.test(message);

export function containerStatusOf(status: ContainerStatusMessage, sandboxId: string): ContainerStatus {
  return {
    id: status.id,
    sandboxId,
    name: status.metadata?.name ?? '',
    attempt: status.metadata?.attempt ?? 0,
    state: containerStateOf(status.state),
    createdAt: timeOrZero(status.createdAt),
    startedAt: timeOrZero(status.startedAt),
    finishedAt: timeOrZero(status.finishedAt),
    exitCode: status.exitCode,
    reason: status.reason,
    message: status.message,
    ...(wasInterrupted(status) ? { interrupted: true } : {}),
    image: status.image?.userSpecifiedImage || status.image?.image || '',
    // What users see as a container's imageID: the digested reference, or the bare ID of an image without a registry.
    imageId: status.imageRef || status.imageId,
    logPath: status.logPath,
    labels: status.labels,
    annotations: status.annotations,
  };
}

export function imageOf(image: ImageMessage): Image {
  return {
    id: image.id,
    tags: image.repoTags,
    digests: image.repoDigests,
    size: image.size,
    uid: image.uid?.value,
    username: image.username,
  };
}
