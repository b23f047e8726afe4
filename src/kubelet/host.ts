// What the kubelet needs of the machine it runs on besides the container runtime: files, mounts, cgroups, network
// probes and facts about the hardware. host/kubelet-host.ts implements it on Linux, memory-host.ts without a machine.

export type FileKind = 'file' | 'directory' | 'socket' | 'charDevice' | 'blockDevice' | 'other';

export interface PayloadFile {
  /** Relative, with `/` between parts; never absolute and never with `..`. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
  /** The owner, where it is not root (projected service account tokens). */
  readonly uid?: number;
}

/** All paths are absolute. Operations reject with an Error whose `code` is the errno name where there is one. */
export interface HostFiles {
  /** Makes the directory and its parents; `mode` is set on the directory itself even when it exists. */
  makeDirectory(path: string, mode?: number): Promise<void>;
  /** Replaces the file. */
  write(path: string, content: Uint8Array | string, mode: number): Promise<void>;
  /** At most `limit` bytes from the start or the end; undefined when there is no such file. */
  read(path: string, limit: number, from?: 'start' | 'end'): Promise<Uint8Array | undefined>;
  /** Follows symbolic links. */
  kind(path: string): Promise<FileKind | undefined>;
  /** Names in a directory; empty when there is none. */
  list(path: string): Promise<string[]>;
  /** Removes a tree without crossing into other file systems; no error when it is absent. */
  remove(path: string): Promise<void>;
  /** Bytes; undefined when there is no such file. */
  size(path: string): Promise<number | undefined>;
  rename(from: string, to: string): Promise<void>;
  /**
   * Puts files into a directory so that a reader sees either all old or all new ones: a timestamped directory, a
   * `..data` link swapped atomically, and a link per top-level name. False when nothing differed.
   */
  publish(directory: string, files: readonly PayloadFile[], group?: number): Promise<boolean>;
  /** Gives a tree to a group, group-writable and setgid, as fsGroup asks. `rootOnly` skips it when the root already fits. */
  takeGroup(
    path: string,
    gid: number,
    options: { readonly rootOnly: boolean; readonly readOnly: boolean },
  ): Promise<void>;
  /**
   * The path of `relative` below `base` with links resolved, refusing what leaves `base`; missing directories are made
   * with the mode of `base`.
   */
  resolveBelow(base: string, relative: string): Promise<string>;
}

export interface HostMounts {
  tmpfs(
    path: string,
    options: { readonly sizeBytes?: number; readonly mode: number; readonly gid?: number },
  ): Promise<void>;
  isMounted(path: string): Promise<boolean>;
  /** No error when nothing is mounted there. */
  unmount(path: string): Promise<void>;
  /** Mount points below a path, deepest first. */
  below(path: string): Promise<string[]>;
}

/** The content of images as read-only folders. */
export interface HostImages {
  /** Mounts an image that is on the node at a folder. */
  mount(reference: string, path: string): Promise<void>;
  unmount(path: string): Promise<void>;
}

export interface CgroupLimits {
  readonly cpuShares: number;
  /** Microseconds per `cpuPeriod`; undefined: unlimited. */
  readonly cpuQuota?: number | undefined;
  readonly cpuPeriod: number;
  readonly memoryBytes?: number | undefined;
}

/** Cgroups by their path, e.g. `/kubepods/burstable/pod1234`, in every hierarchy of the machine. */
export interface HostCgroups {
  /** Makes the cgroup with its parents and sets its limits. */
  apply(path: string, limits: CgroupLimits): Promise<void>;
  /** Removes the cgroup and what is below it, killing what still runs there; no error when it is absent. */
  remove(path: string): Promise<void>;
  /** Names of the cgroups directly below. */
  children(path: string): Promise<string[]>;
}

export type ProbeOutcome =
  | { readonly result: 'success'; readonly warning?: string }
  | { readonly result: 'failure'; readonly output: string };

export interface HttpProbe {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

/** Network probes from the node. They reject only when the probe itself cannot be made. */
export interface HostProber {
  http(probe: HttpProbe, timeoutMs: number): Promise<ProbeOutcome>;
  tcp(host: string, port: number, timeoutMs: number): Promise<ProbeOutcome>;
  grpc(host: string, port: number, service: string, timeoutMs: number): Promise<ProbeOutcome>;
}

export interface LogFile {
  /** Reads from `offset` on, at most `length` bytes; fewer at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
  size(): Promise<number>;
  /** Identifies the file itself, so that a rotated one is recognised. */
  readonly id: string;
  close(): Promise<void>;
}

export interface HostLogs {
  /** Undefined when there is no such file. */
  open(path: string): Promise<LogFile | undefined>;
  /** Calls back when the file, or what stands at its path, may have changed. Returns the unsubscribe function. */
  watch(path: string, changed: () => void): () => void;
}

export interface Machine {
  readonly hostname: string;
  /** Go's names: `linux`, `amd64`. */
  readonly os: string;
  readonly arch: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
  readonly kernelVersion: string;
  readonly osImage: string;
  readonly machineId: string;
  readonly bootId: string;
  readonly systemUuid: string;
  /** From the machine's resolver configuration. */
  readonly dns: {
    readonly servers: readonly string[];
    readonly searches: readonly string[];
    readonly options: readonly string[];
  };
}

/** How much of a scarce thing is left, to decide about node pressure. */
export interface Pressure {
  readonly memoryAvailableBytes: number;
  readonly storageAvailableBytes: number;
  readonly storageBytes: number;
  readonly pidsAvailable: number;
}

export interface MachineUsage {
  /** Of all cores, since boot. */
  readonly cpuSeconds: number;
  readonly memoryBytes: number;
}

export interface KubeletHost {
  readonly files: HostFiles;
  readonly mounts: HostMounts;
  readonly cgroups: HostCgroups;
  readonly prober: HostProber;
  readonly logs: HostLogs;
  /** Absent where images cannot be mounted. */
  readonly images?: HostImages;
  machine(): Promise<Machine>;
  pressure(): Promise<Pressure>;
  /** What the whole machine has used so far and uses now; absent where nobody knows. */
  usage?(): Promise<MachineUsage>;
}
