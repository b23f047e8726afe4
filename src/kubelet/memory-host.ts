// A KubeletHost without a machine: files in a map, mounts and cgroups as names. For simulated nodes and tests; it runs
// in a browser too.

import { decodeText, encodeText } from './bytes.ts';
import type { FileKind, HostProber, KubeletHost, LogFile, Machine, PayloadFile, Pressure } from './host.ts';

export interface MemoryHostOptions {
  readonly machine?: Partial<Machine>;
  readonly prober?: HostProber;
  /** Keeps no files: for simulated nodes, where nothing reads what is written. */
  readonly forgetful?: boolean;
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

const parentOf = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf('/')));

export class MemoryHost implements KubeletHost {
  /** By path. */
  readonly entries = new Map<string, Entry>();
  /** The paths directly below a path, whether or not that is an entry itself: nothing ever looks at all files. */
  readonly #below = new Map<string, Set<string>>();
  readonly mounted = new Map<string, unknown>();
  readonly cgroupPaths = new Set<string>();
  readonly prober: HostProber;
  readonly #machine: Machine;
  readonly #forgetful: boolean;
  readonly #watchers = new Map<string, Set<() => void>>();

  constructor(options: MemoryHostOptions = {}) {
    this.#machine = { ...MACHINE, ...options.machine };
    this.prober = options.prober ?? HEALTHY;
    this.#forgetful = options.forgetful ?? false;
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
    makeDirectory: async (path) => this.#put(path, { kind: 'directory' }),
    write: async (path, content, mode) => {
      if (this.#forgetful) return;
      const bytes = typeof content === 'string' ? encodeText(content) : content;
      this.#put(path, { kind: 'file', bytes, mode });
      for (const changed of this.#watchers.get(path) ?? []) changed();
    },
    read: async (path, limit, from = 'start') => {
      const entry = this.entries.get(path);
      if (entry?.kind !== 'file') return undefined;
      return from === 'start' ? entry.bytes.subarray(0, limit) : entry.bytes.subarray(-limit);
    },
    kind: async (path): Promise<FileKind | undefined> => this.entries.get(path)?.kind,
    list: async (path) => [...(this.#below.get(path) ?? [])].map((known) => known.slice(path.length + 1)),
    remove: async (path) => this.#remove(path),
    size: async (path) => {
      const entry = this.entries.get(path);
      return entry?.kind === 'file' ? entry.bytes.length : undefined;
    },
    rename: async (from, to) => {
      const entry = this.entries.get(from);
      if (!entry) throw new Error(`no such file: ${from}`);
      this.#remove(from);
      this.#put(to, entry);
    },
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

  #put(path: string, entry: Entry): void {
    if (this.#forgetful) return;
    if (!this.entries.has(path)) this.#file(path);
    this.entries.set(path, entry);
  }

  #file(path: string): void {
    const parent = parentOf(path);
    if (parent === path) return;
    const siblings = this.#below.get(parent);
    if (siblings) return void siblings.add(path);
    this.#below.set(parent, new Set([path]));
    this.#file(parent);
  }

  #remove(path: string): void {
    if (this.#forgetful) return;
    for (const child of this.#below.get(path) ?? []) this.#remove(child);
    this.entries.delete(path);
    this.#unfile(path);
  }

  /** Forgets a path with nothing below it, and its parents when they end with it. */
  #unfile(path: string): void {
    const parent = parentOf(path);
    const siblings = this.#below.get(parent);
    if (!siblings?.delete(path) || siblings.size > 0) return;
    this.#below.delete(parent);
    if (!this.entries.has(parent)) this.#unfile(parent);
  }

  #publish(directory: string, files: readonly PayloadFile[]): boolean {
    if (this.#forgetful) return true;
    const wanted = new Map<string, PayloadFile>(files.map((f) => [`${directory}/${f.path}`, f]));
    let changed = !this.entries.has(directory);
    this.#put(directory, { kind: 'directory' });
    for (const path of this.#filesBelow(directory)) {
      if (wanted.has(path)) continue;
      this.#remove(path);
      changed = true;
    }
    for (const [path, { bytes, mode }] of wanted) {
      const old = this.entries.get(path);
      if (old?.kind === 'file' && sameBytes(old.bytes, bytes)) continue;
      this.#put(path, { kind: 'file', bytes, mode });
      changed = true;
    }
    return changed;
  }

  #filesBelow(path: string): string[] {
    return [...(this.#below.get(path) ?? [])].flatMap((child) =>
      this.entries.has(child) ? [child] : this.#filesBelow(child),
    );
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
