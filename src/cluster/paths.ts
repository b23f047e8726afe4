// Where a cluster keeps things. Root: /var/lib/coracle/<name> and /run/coracle/<name>; others: below their home.

import { accessSync, constants, existsSync, readlinkSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { readState } from './state-file.ts';

export interface ClusterPaths {
  /** Everything that survives a stop. */
  readonly data: string;
  readonly store: string;
  readonly pki: string;
  readonly logs: string;
  /** containerd's root: images and snapshots. */
  readonly containerd: string;
  readonly kubelet: string;
  readonly podLogs: string;
  readonly adminKubeconfig: string;
  /** Everything that a reboot may lose: sockets, pid files, containerd's state. */
  readonly run: string;
  readonly stateFile: string;
  readonly logFile: string;
}

const isRoot = () => process.getuid?.() === 0;

export function dataRoot(): string {
  if (process.env['CORACLE_HOME']) return resolve(process.env['CORACLE_HOME']);
  return isRoot()
    ? '/var/lib/coracle'
    : join(process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share'), 'coracle');
}

/** The user's own where there is one; the variable may be that of somebody else, as under sudo and su. */
function runtimeFolder(): string {
  const own = process.env['XDG_RUNTIME_DIR'];
  try {
    if (own) accessSync(own, constants.W_OK);
    return own || tmpdir();
  } catch {
    return tmpdir();
  }
}

/** Short, for unix sockets have at most 107 bytes of path. */
export function runRoot(): string {
  return isRoot() ? '/run/coracle' : join(runtimeFolder(), `coracle-${process.getuid?.() ?? 0}`);
}

/** Who wants which kernel settings of the network namespace this process is in: each has its own values. */
export function sysctlClaims(): string {
  const namespace = process.platform === 'linux' ? readlinkSync('/proc/self/ns/net') : '';
  return join(runRoot(), 'sysctls', /\d+/.exec(namespace)?.[0] ?? 'net');
}

/** Names are the machine's: a cluster that was started with another home, and not stopped, has its data there. */
function dataOf(name: string, stateFile: string): string {
  const known = readState(stateFile)?.dataDir;
  return known && existsSync(known) ? known : join(dataRoot(), name);
}

export function pathsOf(cluster: { readonly name: string; readonly dataDir: string | undefined }): ClusterPaths {
  const run = join(runRoot(), cluster.name);
  const stateFile = join(run, 'coracle.json');
  const data = cluster.dataDir ? resolve(cluster.dataDir) : dataOf(cluster.name, stateFile);
  return {
    data,
    store: join(data, 'store'),
    pki: join(data, 'pki'),
    logs: join(data, 'logs'),
    containerd: join(data, 'containerd'),
    kubelet: join(data, 'kubelet'),
    podLogs: join(data, 'pod-logs'),
    adminKubeconfig: join(data, 'admin.kubeconfig'),
    run,
    stateFile,
    logFile: join(data, 'logs', 'coracle.log'),
  };
}
