// The configuration of a private containerd. Version 2 of the format: containerd 1.6 and 1.7 speak it, 2.x migrates it.
// https://github.com/containerd/containerd/blob/main/docs/cri/config.md

/** The name under which the sandbox image is known to containerd. */
export const PAUSE_IMAGE = 'coracle.local/pause:1';

export interface ContainerdConfig {
  /** Images and snapshots: survives a reboot. */
  readonly root: string;
  /** Sockets and the state of running containers. */
  readonly state: string;
  readonly socket: string;
  readonly cniBinDirs: readonly string[];
  readonly cniConfDir: string;
  /** Folder of `<registry host>/hosts.toml` files, read at each pull. */
  readonly registryDir: string;
  /** Where the streaming server for attach and port-forward listens: an address of this node. */
  readonly streamAddress: string;
  /** OCI runtimes by handler name, first the default: path of the binary. */
  readonly runtimes: readonly { readonly name: string; readonly binary: string }[];
  readonly features: HostFeatures;
  /** Without the runtime interface: only to look after what is stored. */
  readonly storageOnly?: boolean;
}

/** What the kernel lets containers have. */
export interface HostFeatures {
  readonly apparmor: boolean;
  readonly hugetlb: boolean;
  /** CAP_SYS_RESOURCE: without it a process cannot lower an OOM score. */
  readonly lowerOomScores: boolean;
}

/** Its plugins in containerd 1 and 2. */
const RUNTIME_INTERFACE = ['io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.runtime', 'io.containerd.cri.v1.images'];

type TomlValue = string | number | boolean | readonly string[];
interface TomlTable {
  readonly [key: string]: TomlValue | TomlTable;
}

/** JSON's strings, numbers and lists are TOML's as well. */
function toml(table: TomlTable, path: readonly string[] = []): string {
  const entries = Object.entries(table);
  const isTable = (value: TomlValue | TomlTable): value is TomlTable =>
    typeof value === 'object' && !Array.isArray(value);
  const scalars = entries.flatMap(([key, value]) => (isTable(value) ? [] : [`${key} = ${JSON.stringify(value)}\n`]));
  const tables = entries.flatMap(([key, value]) => (isTable(value) ? [toml(value, [...path, key])] : []));
  const header =
    path.length > 0 && scalars.length > 0 ? `\n[${path.map((key) => JSON.stringify(key)).join('.')}]\n` : '';
  return header + scalars.join('') + tables.join('');
}

export function containerdConfig(config: ContainerdConfig): string {
  const { features } = config;
  const runtimes = config.runtimes.map(({ name, binary }) => [
    name,
    {
      runtime_type: 'io.containerd.runc.v2',
      options: { BinaryName: binary, Root: `${config.state}/oci`, SystemdCgroup: false },
    },
  ]);
  return toml({
    version: 2,
    root: config.root,
    state: config.state,
    // The last to go when memory runs out.
    ...(features.lowerOomScores ? { oom_score: -999 } : {}),
    // Nothing of the machine's own containerd may be found by accident.
    imports: [],
    disabled_plugins: [
      'io.containerd.internal.v1.tracing',
      'io.containerd.tracing.processor.v1.otlp',
      'io.containerd.snapshotter.v1.aufs',
      'io.containerd.snapshotter.v1.btrfs',
      'io.containerd.snapshotter.v1.devmapper',
      'io.containerd.snapshotter.v1.zfs',
      'io.containerd.nri.v1.nri',
      ...(config.storageOnly ? RUNTIME_INTERFACE : []),
    ],
    grpc: { address: config.socket, uid: 0, gid: 0 },
    plugins: {
      'io.containerd.internal.v1.opt': { path: `${config.root}/opt` },
      'io.containerd.grpc.v1.cri': {
        sandbox_image: PAUSE_IMAGE,
        stream_server_address: config.streamAddress,
        stream_server_port: '0',
        disable_apparmor: !features.apparmor,
        restrict_oom_score_adj: !features.lowerOomScores,
        disable_hugetlb_controller: !features.hugetlb,
        tolerate_missing_hugetlb_controller: true,
        netns_mounts_under_state_dir: true,
        // Pods may bind low ports and ping without capabilities, as with other distributions.
        enable_unprivileged_ports: true,
        enable_unprivileged_icmp: true,
        cni: { bin_dir: config.cniBinDirs[0] ?? '', conf_dir: config.cniConfDir, max_conf_num: 1 },
        containerd: {
          snapshotter: 'overlayfs',
          default_runtime_name: config.runtimes[0]?.name ?? '',
          runtimes: Object.fromEntries(runtimes) as TomlTable,
        },
        registry: { config_path: config.registryDir },
      },
    },
  });
}
