// What a node still has on the machine, one sentence each: for tests and for `coracle` to check itself after a stop.

import { readdir } from 'node:fs/promises';
import { cgroupFolders, cgroupProcesses } from './cgroup-tree.ts';
import { nodeInterface, tableName } from './cni.ts';
import { containerdPaths } from './containerd/start.ts';
import { isBelow, listMounts } from './mounts.ts';
import { networkResults, type NodeParts } from './node-teardown.ts';
import { commandLineOf, findProcesses } from './processes.ts';
import { tryRun } from './run.ts';

export interface LeftoverOptions extends NodeParts {
  /** Further nftables tables of the cluster, as `ip coracle_proxy`. */
  readonly tables?: readonly string[] | undefined;
}

interface Link {
  readonly ifname: string;
  readonly master?: string;
}

async function leftProcesses(options: LeftoverOptions): Promise<string[]> {
  const { dataDir, runDir, cgroupRoot } = options;
  const mine = (argument: string) => [dataDir, runDir].some((dir) => argument.includes(`${dir}/`));
  const named = findProcesses(
    (commandLine) => /containerd|nsenter|conmon/.test(commandLine[0] ?? '') && commandLine.some(mine),
  );
  const pids = new Set([...named, ...cgroupProcesses(cgroupRoot)].map((one) => one.pid));
  return [...pids].map((pid) => `process ${pid} runs: ${commandLineOf(pid).join(' ').slice(0, 200)}`);
}

async function leftMounts(options: LeftoverOptions): Promise<string[]> {
  const folders = [options.dataDir, options.runDir, ...options.sharedFolders];
  const mounts = (await listMounts()).filter((mount) => folders.some((folder) => isBelow(mount.mountPoint, folder)));
  return mounts.map((mount) => `${mount.type} is mounted on ${mount.mountPoint}`);
}

async function leftNetwork(options: LeftoverOptions): Promise<string[]> {
  const { bridge, sysctls, dataDir } = options.network;
  const links = JSON.parse((await tryRun('ip', ['-j', 'link'])).stdout || '[]') as readonly Link[];
  const ours = links.filter((link) => [bridge, nodeInterface(bridge)].includes(link.ifname) || link.master === bridge);
  const tables = (await tryRun('nft', ['list', 'tables'])).stdout
    .split('\n')
    .map((line) => line.replace(/^table /, ''));
  const wanted = [`ip ${tableName(bridge)}`, ...(options.tables ?? [])];
  const forward = (await tryRun('nft', ['list', 'chain', 'ip', 'filter', 'FORWARD'])).stdout;
  const claims: string[] = [];
  for (const name of await readdir(sysctls.dir).catch(() => [])) {
    if ((await readdir(`${sysctls.dir}/${name}`)).includes(sysctls.owner)) claims.push(name);
  }
  return [
    ...ours.map((link) => `the network interface ${link.ifname} is there`),
    ...tables.filter((table) => wanted.includes(table)).map((table) => `the nftables table ${table} is there`),
    ...(forward.includes(`"coracle ${bridge}"`) ? ['a rule in the FORWARD chain is there'] : []),
    ...claims.map((name) => `the kernel setting ${name} is claimed`),
    ...(await networkResults(bridge)).map((file) => `${file} is there`),
    ...(await readdir(dataDir).catch(() => [])).map((name) => `${dataDir}/${name} is there`),
  ];
}

/** Empty when nothing is left of the node but its data. */
export async function findLeftovers(options: LeftoverOptions): Promise<string[]> {
  const { state, socket } = containerdPaths(options);
  const files = (await readdir(options.runDir).catch(() => []))
    .map((name) => `${options.runDir}/${name}`)
    .filter((path) => path === state || path === socket);
  return [
    ...(await leftProcesses(options)),
    ...(await leftMounts(options)),
    ...cgroupFolders(options.cgroupRoot).map((folder) => `the cgroup ${folder} is there`),
    ...(await leftNetwork(options)),
    ...files.map((path) => `${path} is there`),
  ];
}
