// Machines as far as nodes can tell: network, mounts and processes of their own, on a network that tests can cut. And the
// processes that tests run on them, and kill.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { realEnv } from '../../src/base/real-env.ts';
import { networkOf, slotOf } from '../../src/cluster/networks.ts';
import { pathsOf } from '../../src/cluster/paths.ts';
import { nodeParts } from '../../src/cluster/real-node.ts';
import { containerdPaths } from '../../src/host/containerd/start.ts';
import { criRuntime } from '../../src/host/cri/runtime.ts';
import { loadImages } from '../../src/host/images/load.ts';
import { findLeftovers } from '../../src/host/leftovers.ts';
import { tracesOf } from './traces.ts';

export const ENTRY = fileURLToPath(new URL('../../src/cluster/main.ts', import.meta.url));

export const sh = (command: string) =>
  execFileSync('/bin/sh', ['-ec', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** A process that a test starts, kills and starts again. */
export class Part {
  readonly #command: readonly string[];
  readonly #home: string;
  #child: ChildProcess | undefined;
  #said = '';

  /** `home`: the CORACLE_HOME of the process. */
  constructor(command: readonly string[], home: string) {
    this.#command = command;
    this.#home = home;
  }

  start(): void {
    const [program = '', ...args] = this.#command;
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, CORACLE_HOME: this.#home },
    });
    child.stderr.on('data', (chunk: Buffer) => (this.#said = (this.#said + chunk.toString()).slice(-20_000)));
    this.#child = child;
  }

  get said(): string {
    return this.#said;
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return null;
    const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    // nsenter forks into a PID namespace: its child is the one that counts.
    for (const pid of sh(`pgrep -P ${child.pid} || true`).split('\n').filter(Boolean))
      process.kill(Number(pid), signal);
    child.kill(signal);
    return ended;
  }
}

export interface MachineNetwork {
  /** Where everything is kept. */
  readonly dir: string;
  /** An existing bridge, with the address 1 of the subnet; at most 8 characters. */
  readonly bridge: string;
  /** Ends the names of nodes. */
  readonly id: number;
  /** The first three parts of the addresses. */
  readonly subnet: string;
}

/** A machine of its own as far as containers can tell: network, mounts and processes. */
export class Machine {
  readonly node: string;
  readonly ip: string;
  readonly agent: Part;
  readonly dataDir: string;
  readonly #kubeconfig: string;
  readonly #netns: string;
  readonly #link: string;
  readonly #unshare: ChildProcess;
  readonly #init: string;

  constructor(index: number, { dir, bridge, id, subnet }: MachineNetwork) {
    this.node = `w${index}-${id}`;
    this.ip = `${subnet}.${index + 1}`;
    this.dataDir = join(dir, this.node);
    this.#kubeconfig = join(dir, `${this.node}.kubeconfig`);
    this.#netns = `${bridge}n${index}`;
    const veth = (this.#link = `${bridge}v${index}`);
    sh(
      `ip netns add ${this.#netns}; ip link add ${veth} type veth peer name eth0 netns ${this.#netns};` +
        `ip link set ${veth} master ${bridge} up`,
    );
    sh(
      `nsenter --net=/run/netns/${this.#netns} sh -ec 'ip link set lo up; ip addr add ${this.ip}/24 dev eth0; ip link set eth0 up; ip route add default via ${subnet}.1'`,
    );
    const args = [`--net=/run/netns/${this.#netns}`, 'unshare', '-m', '-p', '-f', '--kill-child=KILL', '--mount-proc'];
    this.#unshare = spawn('nsenter', [...args, 'sleep', 'infinity'], { stdio: 'ignore' });
    let init = '';
    while (!init) init = sh(`pgrep -P ${this.#unshare.pid} || true; sleep 0.02`).trim();
    this.#init = init;
    this.agent = new Part([...this.#inside, process.execPath, ENTRY, ...this.#args], dir);
  }

  get #inside(): string[] {
    return ['nsenter', '-t', this.#init, '-m', '-p', '-n'];
  }

  get #args(): string[] {
    return ['agent', '--kubeconfig', this.#kubeconfig, '--data-dir', this.dataDir];
  }

  /** Cuts the machine off its network, or mends that: frames are dropped without a word. */
  connected(on: boolean): void {
    sh(`ip link set ${this.#link} ${on ? 'up' : 'down'}`);
  }

  /** Runs a command on the machine. */
  run(command: string): string {
    const [program = '', ...args] = [...this.#inside, 'sh', '-ec', command];
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  get parts() {
    const paths = pathsOf({ name: `node.${this.node}`, dataDir: this.dataDir });
    return nodeParts(`node.${this.node}`, paths, networkOf(slotOf(paths) ?? 0));
  }

  async load(archive: string): Promise<void> {
    const { socket, streamDir } = containerdPaths(this.parts);
    const runtime = criRuntime({ env: realEnv(), socket, streamDir });
    try {
      await loadImages({ socket, runtime }, archive);
    } finally {
      runtime.close();
    }
  }

  /** Resolves to what is left. */
  async remove(): Promise<string[]> {
    const { parts } = this;
    await this.agent.end('SIGTERM');
    const left: string[] = [];
    try {
      this.run(`${process.execPath} ${ENTRY} ${this.#args.join(' ')} --cleanup 2>&1`);
      left.push(...this.run('ip -o link show type bridge; nft list tables; ip route show proto 119').split('\n'));
      left.push(...this.run(`grep -F ${this.dataDir} /proc/self/mountinfo || true`).split('\n'));
    } catch (error) {
      left.push(String((error as { stdout?: string }).stdout ?? error));
    }
    const gone = new Promise((resolve) => this.#unshare.once('exit', resolve));
    this.#unshare.kill('SIGKILL');
    await gone;
    sh(`ip netns del ${this.#netns}`);
    left.push(...(await findLeftovers(parts)), ...tracesOf([this.dataDir, this.#netns, this.#link, parts.cgroupRoot]));
    if (existsSync(parts.runDir)) left.push(`${parts.runDir} is there`);
    return left.filter(Boolean);
  }
}
