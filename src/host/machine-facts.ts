// What this machine has of what real containers need, found by looking and by trying: an overlay mount, a bridge and a
// network address translation, each in namespaces that vanish again.

import { accessSync, constants, existsSync, mkdtempSync, mkdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cgroupHierarchies, isPureCgroupV2 } from './cgroup-tree.ts';
import { cniBinDir } from './containerd/start.ts';
import { parseMountInfo } from './mounts.ts';
import { findProgram, tryRun } from './run.ts';

export interface MachineFacts {
  readonly platform: string;
  readonly architecture: string;
  readonly uid: number;
  /** The effective set as bits. */
  readonly capabilities: bigint;
  readonly cgroups: {
    readonly version: 'none' | 'v1' | 'v2';
    readonly controllers: readonly string[];
    readonly writable: boolean;
  };
  readonly missingNamespaces: readonly string[];
  /** Why an overlay mount below the data folder fails; undefined when it works or cannot be tried. */
  readonly overlay: string | undefined;
  /** The kernel has the overlay file system. */
  readonly overlayKnown: boolean;
  /** Why a pod network cannot be made; undefined when it can or cannot be tried yet. */
  readonly network: string | undefined;
  readonly bridgeNetfilter: boolean;
  readonly programs: ReadonlySet<string>;
  readonly cniPlugins: boolean;
  /** As `1.6.20`. */
  readonly containerdVersion: string | undefined;
  readonly aptGet: boolean;
  readonly dataDir: string;
  readonly freeBytes: number;
}

const NAMESPACES = ['mnt', 'net', 'pid', 'ipc', 'uts'];
const MODULES = ['overlay', 'br_netfilter', 'veth', 'nf_tables', 'nft_chain_nat', 'nft_masq'];
const TRIAL_NETWORK = `ip link add name cor-trial type bridge && ip link add cor-a type veth peer name cor-b && nft -f -`;
const TRIAL_RULES =
  'add table ip trial\nadd chain ip trial post { type nat hook postrouting priority 100; }\nadd rule ip trial post masquerade\n';

const read = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8') : '');

function cgroupFacts(): MachineFacts['cgroups'] {
  const hierarchies = cgroupHierarchies();
  if (hierarchies.length === 0) return { version: 'none', controllers: [], writable: false };
  const writable = (dir: string) => {
    try {
      accessSync(dir, constants.W_OK);
      return true;
    } catch {
      return false;
    }
  };
  if (isPureCgroupV2()) {
    const controllers = read('/sys/fs/cgroup/cgroup.controllers').trim().split(' ');
    return { version: 'v2', controllers, writable: writable('/sys/fs/cgroup') };
  }
  const v1 = parseMountInfo(read('/proc/self/mountinfo')).filter((mount) => mount.type === 'cgroup');
  const controllers = v1.flatMap((mount) => mount.mountPoint.split('/').at(-1)!.split(','));
  return { version: 'v1', controllers, writable: v1.every((mount) => writable(mount.mountPoint)) };
}

function nearestFolder(path: string): string {
  return existsSync(path) ? path : nearestFolder(dirname(path));
}

/** Tries it in a mount namespace of its own. */
async function tryOverlay(dataDir: string): Promise<string | undefined> {
  let scratch: string;
  try {
    scratch = mkdtempSync(join(nearestFolder(dataDir), '.coracle-trial-'));
  } catch (error) {
    return (error as Error).message;
  }
  try {
    for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(join(scratch, name));
    const options = `lowerdir=${scratch}/lower,upperdir=${scratch}/upper,workdir=${scratch}/work`;
    const mount = ['mount', '-t', 'overlay', 'overlay', '-o', options, `${scratch}/merged`];
    const { code, stderr } = await tryRun('unshare', ['--mount', ...mount]);
    return code === 0 ? undefined : stderr.trim().split('\n')[0];
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Tries it in a network namespace of its own. */
async function tryNetwork(): Promise<string | undefined> {
  const { code, stderr } = await tryRun('unshare', ['--net', 'sh', '-c', TRIAL_NETWORK], { input: TRIAL_RULES });
  return code === 0 ? undefined : stderr.trim().split('\n')[0];
}

function otherSystem(dataDir: string): MachineFacts {
  return {
    platform: process.platform,
    architecture: process.arch,
    uid: process.getuid?.() ?? -1,
    capabilities: 0n,
    cgroups: { version: 'none', controllers: [], writable: false },
    missingNamespaces: [],
    overlay: undefined,
    overlayKnown: false,
    network: undefined,
    bridgeNetfilter: false,
    programs: new Set(),
    cniPlugins: false,
    containerdVersion: undefined,
    aptGet: false,
    dataDir,
    freeBytes: 0,
  };
}

export async function gatherFacts(dataDir: string, programNames: readonly string[]): Promise<MachineFacts> {
  const uid = process.getuid?.() ?? -1;
  if (process.platform !== 'linux' || uid !== 0) return otherSystem(dataDir);
  const programs = new Set(programNames.filter((name) => findProgram(name) !== undefined));
  // A built-in or already loaded module is no error; a missing one shows in what follows.
  if (findProgram('modprobe')) await tryRun('modprobe', ['--all', '--quiet', ...MODULES]);
  const overlayKnown = /\boverlay\b/.test(read('/proc/filesystems'));
  const [overlay, network, version] = await Promise.all([
    overlayKnown ? tryOverlay(dataDir) : 'unknown file system',
    programs.has('ip') && programs.has('nft') ? tryNetwork() : undefined,
    programs.has('containerd') ? tryRun('containerd', ['--version']) : undefined,
  ]);
  const space = statfsSync(nearestFolder(dataDir));
  return {
    platform: process.platform,
    architecture: process.arch,
    uid,
    capabilities: BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(read('/proc/self/status'))?.[1] ?? '0'}`),
    cgroups: cgroupFacts(),
    missingNamespaces: NAMESPACES.filter((name) => !existsSync(`/proc/self/ns/${name}`)),
    overlay,
    overlayKnown,
    network,
    bridgeNetfilter: existsSync('/proc/sys/net/bridge/bridge-nf-call-iptables'),
    programs,
    cniPlugins: cniBinDir() !== undefined,
    containerdVersion: /\bv?(\d+\.\d+\.\d+)/.exec(version?.stdout ?? '')?.[1],
    aptGet: findProgram('apt-get') !== undefined,
    dataDir,
    freeBytes: space.bavail * space.bsize,
  };
}
