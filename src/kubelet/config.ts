// The kubelet's configuration: what differs from node to node. Defaults are upstream's.

export interface KubeletConfig {
  readonly nodeName: string;
  /** The node's addresses, primary first; they become InternalIP and the host IPs of pods. */
  readonly nodeIPs: readonly string[];
  /** Hostname address and label; the node's name unless told. */
  readonly hostname?: string;
  /** State of pods: volumes, termination logs, hosts files. */
  readonly rootDirectory: string;
  /** A place in memory (tmpfs) for volumes with secrets; below the root directory when there is none. */
  readonly memoryDirectory?: string;
  /** Container logs, `<namespace>_<name>_<uid>/<container>/<n>.log` below it. */
  readonly logsDirectory: string;
  /** Cluster DNS servers for `dnsPolicy: ClusterFirst`. */
  readonly clusterDNS: readonly string[];
  readonly clusterDomain: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  /** Overrides of what the machine has. */
  readonly capacity?: Readonly<Record<string, string>>;
  /** Kept back from pods: capacity minus this is allocatable. */
  readonly reserved?: Readonly<Record<string, string>>;
  readonly maxPods: number;
  /** The root cgroup of pods, without slash at the end: `/kubepods`, or one per node where nodes share a machine. */
  readonly cgroupRoot: string;
  /** Limits on pod cgroups, and their removal; off where there are no cgroups to manage. */
  readonly manageCgroups: boolean;
  /** The port of the kubelet's own HTTPS endpoint, for `status.daemonEndpoints`; 0: none. */
  readonly port: number;
  /** A container's log is rotated beyond this size; so many files of it are kept, the current one included. */
  readonly logMaxBytes: number;
  readonly logMaxFiles: number;
  readonly leaseSeconds: number;
  /** Seconds between unchanged node status reports, and between looks for changes. */
  readonly statusReportSeconds: number;
  readonly statusCheckSeconds: number;
  /** Namespaced sysctls allowed besides the safe ones; `*` ends a prefix. */
  readonly allowedUnsafeSysctls: readonly string[];
  /** Kubernetes' version, e.g. `v1.36.0`. */
  readonly version: string;
}

export function kubeletConfig(
  given: Partial<KubeletConfig> & Pick<KubeletConfig, 'nodeName' | 'nodeIPs'>,
): KubeletConfig {
  return {
    rootDirectory: '/var/lib/kubelet',
    logsDirectory: '/var/log/pods',
    clusterDNS: [],
    clusterDomain: 'cluster.local',
    maxPods: 110,
    cgroupRoot: '/kubepods',
    manageCgroups: true,
    port: 10250,
    logMaxBytes: 10 * 1024 * 1024,
    logMaxFiles: 5,
    leaseSeconds: 40,
    statusReportSeconds: 300,
    statusCheckSeconds: 10,
    allowedUnsafeSysctls: [],
    version: 'v1.36.0',
    ...given,
  };
}

export const podDirectory = (config: KubeletConfig, uid: string) => `${config.rootDirectory}/pods/${uid}`;

export const podLogDirectory = (
  config: KubeletConfig,
  pod: { readonly namespace: string; readonly name: string; readonly uid: string },
) => `${config.logsDirectory}/${pod.namespace}_${pod.name}_${pod.uid}`;

/** The log file of one instance of a container, relative to the pod's log directory. */
export const containerLogPath = (container: string, attempt: number) => `${container}/${attempt}.log`;
