// A KubeletHost without a machine: files in a map, mounts and cgroups as names. For simulated nodes and tests; it runs
// in a browser too.

import { decodeText, encodeText } from './bytes.ts';
import type { FileKind, HostProber, KubeletHost, LogFile, Machine, PayloadFile, Pressure } from './host.ts';

export interface MemoryHostOptions {
  readonly machine?: Partial<Machine>;
  readonly prober?: HostProber;
}

const GIB = 1024 ** 3;
const MACHINE: Machine = {
  hostname: 'simulated',
  os: 'linux',
  arch: 'amd64',
  cpus: 32,
  memoryBytes: 256 * GIB,
  storageBytes: 1024 * GIB,
  kernelVersion: '6.1.0',
  osImage: 'Simulated',
  machineId: '',
  bootId: '',
  systemUuid: '',
  dns: { servers: [], searches: [], options: [] },
};

/** Every probe succeeds. */
const HEALTHY: HostProber = {
  http: async () => ({ result: 'success' }),
  tcp: async () => ({ result: 'success' }),
  grpc: async () => ({ result: 'success' }),
};

type Entry =
  | { readonly kind: 'directory' }
  | { readonly kind: 'file'; readonly bytes: Uint8Array; readonly mode: number };

export class MemoryHost implements KubeletHost {
  /** By path. */
  readonly entries = new Map<string, Entry>();
  readonly mounted = new Map<string, unknown>();
  readonly cgroupPaths = new Set<string>();
  readonly prober: HostProber;
  readonly #machine: Machine;
  readonly #watchers = new Map<string, Set<() => void>>();

  constructor(options: MemoryHostOptions = {}) {
    this.#machine = { ...MACHINE, ...options.machine };
    this.prober = options.prober ?? HEALTHY;
  }

  async machine(): Promise<Machine> {
    return this.#machine;
  }

  async pressure(): Promise<Pressure> {
    const { memoryBytes, storageBytes } = this.#machine;
    return {
      memoryAvailableBytes: memoryBytes,
      storageAvailableBytes: storageBytes,
      storageBytes,
      pidsAvailable: 32_768,
    };
  }

  /** The text of a file. */
  text(path: string): string | undefined {
    const entry = this.entries.get(path);
    return entry?.kind === 'file' ? decodeText(entry.bytes) : undefined;
  }

  readonly files: KubeletHost['files'] = {
    makeDirectory: async (path) => void this.entries.set(path, { kind: 'directory' }),
    write: async (path, content, mode) => {
      const bytes = typeof content === 'string' ? encodeText(content) : content;
      this.entries.set(path, { kind: 'file', bytes, mode });
      for (const changed of this.#watchers.get(path) ?? []) changed();
    },
    read: async (path, limit, from = 'start') => {
      const entry = this.entries.get(path);
      if (entry?.kind !== 'file') return undefined;
      return from === 'start' ? entry.bytes.subarray(0, limit) : entry.bytes.subarray(-limit);
    },
    kind: async (path): Promise<FileKind | undefined> => this.entries.get(path)?.kind,
    list: async (path) => {
      const names = new Set<string>();
      for (const known of this.entries.keys()) {
        if (known.startsWith(`${path}/`)) names.add(known.slice(path.length + 1).split('/')[0]!);
      }
      return [...names];
    },
    remove: async (path) => {
      if (!this.entries.has(path) && !this.#hasBelow(path)) return;
      for (const known of this.entries.keys()) {
        if (known === path || known.startsWith(`${path}/`)) this.entries.delete(known);
      }
    },
    link: async (path, target) => void this.entries.set(path, { kind: 'file', bytes: encodeText(target), mode: 0o777 }),
    publish: async (directory, files) => this.#publish(directory, files),
    takeGroup: async () => {},
    resolveBelow: async (base, relative) => `${base}/${relative}`,
  };

  readonly mounts: KubeletHost['mounts'] = {
    tmpfs: async (path, options) => void this.mounted.set(path, options),
    isMounted: async (path) => this.mounted.has(path),
    unmount: async (path) => void this.mounted.delete(path),
    below: async (path) => (this.mounted.size ? [...this.mounted.keys()].filter((p) => p.startsWith(`${path}/`)) : []),
  };

  readonly cgroups: KubeletHost['cgroups'] = {
    apply: async (path) => void this.cgroupPaths.add(path),
    remove: async (path) => void this.cgroupPaths.delete(path),
    children: async (path) =>
      [...this.cgroupPaths].filter((p) => p.startsWith(`${path}/`)).map((p) => p.slice(path.length + 1)),
  };

  readonly logs: KubeletHost['logs'] = {
    open: async (path): Promise<LogFile | undefined> => {
      const entry = this.entries.get(path);
      if (entry?.kind !== 'file') return undefined;
      const bytes = () => {
        const now = this.entries.get(path);
        return now?.kind === 'file' ? now.bytes : entry.bytes;
      };
      return {
        id: path,
        read: async (offset, length) => bytes().subarray(offset, offset + length),
        size: async () => bytes().length,
        close: async () => {},
      };
    },
    watch: (path, changed) => {
      let set = this.#watchers.get(path);
      if (!set) this.#watchers.set(path, (set = new Set()));
      set.add(changed);
      return () => {
        set.delete(changed);
        if (set.size === 0) this.#watchers.delete(path);
      };
    },
  };

  #hasBelow(path: string): boolean {
    for (const known of this.entries.keys()) if (known.startsWith(`${path}/`)) return true;
    return false;
  }

  #publish(directory: string, files: readonly PayloadFile[]): boolean {
    const wanted = new Map<string, PayloadFile>(files.map((f) => [`${directory}/${f.path}`, f]));
    let changed = !this.entries.has(directory);
    this.entries.set(directory, { kind: 'directory' });
    for (const known of this.entries.keys()) {
      if (known.startsWith(`${directory}/`) && !wanted.has(known)) changed = this.entries.delete(known);
    }
    for (const [path, { bytes, mode }] of wanted) {
      const old = this.entries.get(path);
      if (old?.kind === 'file' && decodeText(old.bytes) === decodeText(bytes)) continue;
      this.entries.set(path, { kind: 'file', bytes, mode });
      changed = true;
    }
    return changed;
  }
}
