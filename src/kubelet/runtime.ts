// What the kubelet needs of a container runtime: CRI runtime.v1 in the kubelet's own words. host/containerd implements
// it for real containers, kubelet/simulated-runtime.ts for tests and simulated nodes.
// https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto

import type { ExecOptions, StdStreams, ByteSink, ByteSource } from '../api/node-api.ts';

export interface PodIdentity {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
}

export interface PortMapping {
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly containerPort: number;
  readonly hostPort: number;
  readonly hostIP: string;
}

export type NamespaceMode = 'pod' | 'container' | 'node' | 'target';

export interface LinuxSecurity {
  readonly privileged: boolean;
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  readonly runAsUsername?: string;
  readonly supplementalGroups: readonly number[];
  readonly readonlyRootfs: boolean;
  readonly noNewPrivileges: boolean;
  readonly addCapabilities: readonly string[];
  readonly dropCapabilities: readonly string[];
  readonly network: NamespaceMode;
  readonly pid: NamespaceMode;
  readonly ipc: NamespaceMode;
  readonly targetId?: string;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly seccomp: 'RuntimeDefault' | 'Unconfined' | { readonly localhost: string };
}

export interface SandboxConfig {
  readonly pod: PodIdentity;
  readonly attempt: number;
  readonly hostname: string;
  readonly logDirectory: string;
  readonly dns?: {
    readonly servers: readonly string[];
    readonly searches: readonly string[];
    readonly options: readonly string[];
  };
  readonly ports: readonly PortMapping[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly cgroupParent: string;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly security: LinuxSecurity;
  readonly runtimeHandler: string;
}

export interface Mount {
  readonly containerPath: string;
  readonly hostPath: string;
  readonly readonly: boolean;
  readonly propagation: 'private' | 'hostToContainer' | 'bidirectional';
}

export interface LinuxResources {
  readonly cpuShares?: number;
  /** Microseconds. */
  readonly cpuQuota?: number;
  readonly cpuPeriod?: number;
  readonly memoryLimitBytes?: number;
  readonly oomScoreAdj: number;
}

export interface ContainerConfig {
  readonly name: string;
  readonly attempt: number;
  readonly image: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly workingDir: string;
  readonly env: readonly { readonly key: string; readonly value: string }[];
  readonly mounts: readonly Mount[];
  readonly devices: readonly {
    readonly hostPath: string;
    readonly containerPath: string;
    readonly permissions: string;
  }[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Relative to the sandbox's log directory. */
  readonly logPath: string;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly tty: boolean;
  readonly resources: LinuxResources;
  readonly security: LinuxSecurity;
  /** e.g. `SIGTERM`; the image's unless told. */
  readonly stopSignal?: string;
}

export interface SandboxStatus {
  readonly id: string;
  readonly pod: PodIdentity;
  readonly attempt: number;
  readonly state: 'ready' | 'notready';
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Pod IPs, primary first; empty on the host network. */
  readonly ips: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ContainerStatus {
  readonly id: string;
  readonly sandboxId: string;
  readonly name: string;
  readonly attempt: number;
  readonly state: 'created' | 'running' | 'exited' | 'unknown';
  /** Milliseconds since the epoch; 0 when it has not happened. */
  readonly createdAt: number;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly exitCode: number;
  /** `Completed`, `Error`, `OOMKilled`, `StartError`, ... */
  readonly reason: string;
  readonly message: string;
  /** It failed to start only because whoever had asked for it went away, and before it had a process. */
  readonly interrupted?: boolean;
  /** The reference the container was made from, and the image's ID. */
  readonly image: string;
  readonly imageId: string;
  readonly logPath: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Image {
  readonly id: string;
  readonly tags: readonly string[];
  readonly digests: readonly string[];
  readonly size: number;
  /** From the image configuration. */
  readonly uid: number | undefined;
  readonly username: string;
}

/**
 * What happened to a container or sandbox by itself. `exited`: it is over, though its status may show it a moment later;
 * told more than once at times. `oom`: something of it was killed for want of memory. `lost`: the connection broke and
 * events may be missing: list again.
 */
export interface RuntimeEvent {
  readonly type: 'exited' | 'oom' | 'lost';
  readonly containerId: string;
}

export interface EventOwner {
  runtimeEvent(id: string, type: RuntimeEvent['type']): void;
}

export interface ResourceUsage {
  readonly containerId: string;
  readonly name: string;
  readonly timestamp: number;
  readonly cpuNanoseconds: number;
  readonly memoryWorkingSetBytes: number;
}

export interface PullAuth {
  readonly username?: string;
  readonly password?: string;
  readonly auth?: string;
  readonly serverAddress?: string;
}

/** A failed runtime call; `code` is the gRPC status name in upper snake case, e.g. `NOT_FOUND`. */
export class RuntimeError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RuntimeError';
    this.code = code;
  }
}

export interface ContainerRuntime {
  info(): Promise<{
    readonly name: string;
    readonly version: string;
    readonly ready: boolean;
    readonly networkReady: boolean;
    readonly message: string;
  }>;

  runSandbox(config: SandboxConfig): Promise<string>;
  /** Idempotent. */
  stopSandbox(id: string): Promise<void>;
  /** Idempotent; removes the sandbox's containers too. */
  removeSandbox(id: string): Promise<void>;
  listSandboxes(): Promise<SandboxStatus[]>;
  sandboxStatus(id: string): Promise<SandboxStatus | undefined>;

  createContainer(sandboxId: string, config: ContainerConfig, sandbox: SandboxConfig): Promise<string>;
  startContainer(id: string): Promise<void>;
  /** Sends the stop signal, kills after `graceSeconds`; resolves once it is dead. Idempotent. */
  stopContainer(id: string, graceSeconds: number): Promise<void>;
  removeContainer(id: string): Promise<void>;
  listContainers(): Promise<ContainerStatus[]>;
  containerStatus(id: string): Promise<ContainerStatus | undefined>;
  updateResources(id: string, resources: LinuxResources): Promise<void>;
  reopenLog(id: string): Promise<void>;

  /** Runs to the end. Rejects with code DEADLINE_EXCEEDED when the time is up. Output is cut at 16 MiB. */
  execSync(
    id: string,
    command: readonly string[],
    timeoutSeconds: number,
  ): Promise<{ readonly exitCode: number; readonly stdout: Uint8Array; readonly stderr: Uint8Array }>;
  exec(id: string, options: ExecOptions, streams: StdStreams, context: { signal: AbortSignal }): Promise<number>;
  attach(
    id: string,
    options: Omit<ExecOptions, 'command'>,
    streams: StdStreams,
    context: { signal: AbortSignal },
  ): Promise<void>;
  portForward(
    sandboxId: string,
    port: number,
    streams: { input: ByteSource; output: ByteSink },
    context: { signal: AbortSignal },
  ): Promise<void>;

  imageStatus(reference: string): Promise<Image | undefined>;
  listImages(): Promise<Image[]>;
  /** Resolves to the image's ID. */
  pullImage(reference: string, auth: PullAuth | undefined): Promise<string>;
  removeImage(reference: string): Promise<void>;

  usage(): Promise<ResourceUsage[]>;
  /** Ends when the signal aborts; otherwise reconnects by itself, with a `lost` event after each gap. */
  events(sink: (event: RuntimeEvent) => void, context: { signal: AbortSignal }): Promise<void>;
}
