// Can this machine run real containers? What is wrong comes as single sentences that say what to do: `fatal` ones cannot be
// helped here, others can, some of them by installing Debian packages.

import type { MachineFacts } from './machine-facts.ts';
import { gatherFacts } from './machine-facts.ts';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { findProgram, tryRun } from './run.ts';

export interface Finding {
  readonly message: string;
  /** Real containers cannot run here at all. */
  readonly fatal: boolean;
  /** Debian packages whose installation helps. */
  readonly packages?: readonly string[];
}

export interface PreflightOptions {
  /** Where images and volumes will be. Default /var/lib/coracle. */
  readonly dataDir?: string;
  /** TCP ports that must be free, and what for. */
  readonly ports?: readonly { readonly port: number; readonly use: string }[];
}

const MIN_FREE_BYTES = 1e9;
const POLICY_FILE = '/usr/sbin/policy-rc.d';
const INSTALL_TIMEOUT_MS = 600_000;

/** Programs a node runs, and the Debian packages they are in. */
export const PROGRAMS: Readonly<Record<string, string>> = {
  containerd: 'containerd',
  ctr: 'containerd',
  'containerd-shim-runc-v2': 'containerd',
  nft: 'nftables',
  conntrack: 'conntrack',
  ip: 'iproute2',
  mount: 'mount',
  nsenter: 'util-linux',
  mkfifo: 'coreutils',
  // The demo image and the images of tests are made of it.
  busybox: 'busybox-static',
};
const CONTROLLERS = ['cpu', 'memory', 'pids'];
const CAPABILITIES: Readonly<Record<string, bigint>> = { CAP_NET_ADMIN: 12n, CAP_SYS_ADMIN: 21n };
const OLDEST_CONTAINERD = [1, 6] as const;

const fatal = (message: string): Finding => ({ message, fatal: true });
const problem = (message: string): Finding => ({ message, fatal: false });
const list = (words: readonly string[]) => words.join(', ').replace(/, ([^,]*)$/, ' and $1');

function platformFindings(facts: MachineFacts): Finding[] {
  if (facts.platform !== 'linux') return [fatal(`Real containers need Linux, and this is ${facts.platform}.`)];
  if (facts.architecture !== 'x64' && facts.architecture !== 'arm64') {
    return [fatal(`Real containers need an x86-64 or arm64 machine, and this is ${facts.architecture}.`)];
  }
  if (facts.uid !== 0) return [fatal('Real containers need root: run the same command with sudo.')];
  const lacking = Object.entries(CAPABILITIES).flatMap(([name, bit]) =>
    ((facts.capabilities >> bit) & 1n) === 1n ? [] : [name],
  );
  if (lacking.length === 0) return [];
  const where = 'run on the machine itself or in a privileged container';
  return [fatal(`Real containers need ${list(lacking)}, which this root user does not have: ${where}.`)];
}

function cgroupFindings({ cgroups }: MachineFacts): Finding[] {
  if (cgroups.version === 'none') {
    return [fatal('Real containers need cgroups, and none are mounted: mount them at /sys/fs/cgroup.')];
  }
  const missing = CONTROLLERS.filter((controller) => !cgroups.controllers.includes(controller));
  if (missing.length > 0) {
    const help = missing.includes('memory') ? 'boot the kernel with cgroup_enable=memory' : 'enable them in the kernel';
    return [fatal(`Real containers need the cgroup controllers ${list(missing)}: ${help}.`)];
  }
  return cgroups.writable ? [] : [fatal('Real containers need to make cgroups, and /sys/fs/cgroup is read-only here.')];
}

function kernelFindings(facts: MachineFacts): Finding[] {
  const found: Finding[] = [];
  if (facts.missingNamespaces.length > 0) {
    found.push(fatal(`This kernel lacks ${list(facts.missingNamespaces)} namespaces: real containers need them.`));
  }
  if (facts.overlay !== undefined) {
    found.push(
      facts.overlayKnown
        ? problem(
            `Images cannot be kept below ${facts.dataDir} (${facts.overlay}): choose a folder on a plain disk with --data-dir.`,
          )
        : fatal('This kernel has no overlay file system, which real containers need: load it with modprobe overlay.'),
    );
  }
  if (facts.network !== undefined) {
    found.push(fatal(`This kernel cannot make pod networks: ${facts.network}.`));
  } else if (!facts.bridgeNetfilter) {
    found.push(problem('Services need the kernel module br_netfilter: load it with modprobe br_netfilter.'));
  }
  return found;
}

function programFindings(facts: MachineFacts): Finding[] {
  const missing = Object.keys(PROGRAMS).filter((name) => !facts.programs.has(name));
  const packages = new Set(missing.map((name) => PROGRAMS[name]!));
  if (!facts.programs.has('crun') && !facts.programs.has('runc')) packages.add('crun');
  if (!facts.cniPlugins) packages.add('containernetworking-plugins');
  if (packages.size > 0) {
    const names = [...packages].toSorted();
    if (!facts.aptGet) {
      return [fatal(`Real containers need ${list(names)}: install them, for there is no apt-get here to do it.`)];
    }
    return [{ message: `These Debian packages are missing: ${list(names)}.`, fatal: false, packages: names }];
  }
  const [major = 0, minor = 0] = (facts.containerdVersion ?? '').split('.').map(Number);
  const [oldMajor, oldMinor] = OLDEST_CONTAINERD;
  if (major > oldMajor || (major === oldMajor && minor >= oldMinor)) return [];
  const has = facts.containerdVersion ? `this is ${facts.containerdVersion}` : 'its version cannot be told';
  return [problem(`containerd ${OLDEST_CONTAINERD.join('.')} or newer is needed, and ${has}: upgrade it.`)];
}

function spaceFindings({ freeBytes, dataDir }: MachineFacts): Finding[] {
  if (freeBytes >= MIN_FREE_BYTES) return [];
  const free = `${Math.floor(freeBytes / 1e6)} MB`;
  return [problem(`Only ${free} are free for ${dataDir}: make room for at least ${MIN_FREE_BYTES / 1e9} GB.`)];
}

/** What the facts mean, the worst first; empty when all is well. */
export function judge(facts: MachineFacts): Finding[] {
  const platform = platformFindings(facts);
  if (platform.length > 0) return platform;
  const all = [...cgroupFindings(facts), ...kernelFindings(facts), ...programFindings(facts), ...spaceFindings(facts)];
  return all.toSorted((a, b) => Number(b.fatal) - Number(a.fatal));
}

function portIsFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Looks at this machine; changes nothing but loading kernel modules. Empty when a real node can run. */
export async function preflight(options: PreflightOptions = {}): Promise<Finding[]> {
  const facts = await gatherFacts(options.dataDir ?? '/var/lib/coracle', ['crun', 'runc', ...Object.keys(PROGRAMS)]);
  const found = judge(facts);
  for (const { port, use } of options.ports ?? []) {
    if (!(await portIsFree(port))) {
      found.push(problem(`Port ${port} (${use}) is taken by another program: stop it or choose another port.`));
    }
  }
  return found;
}

/**
 * Installs Debian packages. Resolves to undefined, or to one sentence that says why it did not work. Services that
 * packages bring are not started: Coracle runs a containerd of its own.
 */
export async function installPackages(packages: readonly string[]): Promise<string | undefined> {
  const apt = findProgram('apt-get');
  if (!apt) return `There is no apt-get on this machine: install ${list(packages)} yourself and try again.`;
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const aptGet = (...args: string[]) =>
    tryRun(apt, ['-o', 'DPkg::Lock::Timeout=120', '-o', 'APT::Color=0', ...args], {
      env,
      timeoutMs: INSTALL_TIMEOUT_MS,
    });
  const install = () => aptGet('install', '-y', '--no-install-recommends', ...packages);
  const quiet = !existsSync(POLICY_FILE);
  if (quiet) writeFileSync(POLICY_FILE, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    let result = await install();
    // Without package lists, or with old ones, apt knows no packages or looks for versions that are gone.
    if (result.code !== 0 && (await aptGet('update')).code === 0) result = await install();
    if (result.code === 0) return undefined;
    const reason =
      /^E: (.*)$/m.exec(result.stderr)?.[1] ?? (result.stderr.trim().split('\n').at(-1) || 'no reason given');
    return `apt-get could not install ${list(packages)} (${reason}): install them yourself and try again.`;
  } catch (error) {
    return `apt-get cannot be run (${(error as Error).message}): install ${list(packages)} yourself and try again.`;
  } finally {
    if (quiet) rmSync(POLICY_FILE, { force: true });
  }
}
