// The floor under pods: the runtime calls that the kubelet made for one pod, repeated for others with the very same
// configuration (network, cgroups, mounts, log path), as containerd remembers it, and with nothing around them.

import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hostCgroups } from '../../src/host/cgroups.ts';
import { Cri, type ContainerConfigMessage, type PodSandboxConfigMessage } from '../../src/host/cri/messages.ts';
import { GrpcChannel } from '../../src/host/rpc/grpc.ts';

/** Keys of these are names that users gave, not fields. */
const MAPS = new Set(['labels', 'annotations', 'sysctls']);

/** Fields as the interface names them in JSON (`log_directory`), in the words of the messages (`logDirectory`). */
function fieldsOf(value: unknown, isMap = false): unknown {
  if (Array.isArray(value)) return value.map((item) => fieldsOf(item));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => {
    const name = isMap ? key : key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    return [name, fieldsOf(item, MAPS.has(name))];
  });
  return Object.fromEntries(entries) as Record<string, unknown>;
}

interface Template {
  readonly sandbox: PodSandboxConfigMessage;
  readonly container: ContainerConfigMessage;
}

async function configOf(channel: GrpcChannel, pod: string): Promise<Template> {
  const { items } = await channel.call(Cri.listPodSandbox, {});
  const podSandboxId = items.find((item) => item.metadata?.name === pod)!.id;
  const { containers } = await channel.call(Cri.listContainers, { filter: { podSandboxId } });
  const [sandbox, container] = await Promise.all([
    channel.call(Cri.podSandboxStatus, { podSandboxId, verbose: true }),
    channel.call(Cri.containerStatus, { containerId: containers[0]!.id, verbose: true }),
  ]);
  const read = (info: Readonly<Record<string, string>>) =>
    fieldsOf((JSON.parse(info['info']!) as { config: unknown }).config) as unknown;
  return {
    sandbox: read(sandbox.info) as PodSandboxConfigMessage,
    container: read(container.info) as ContainerConfigMessage,
  };
}

export class BarePods {
  readonly #channel: GrpcChannel;
  readonly #template: Template;
  readonly #grace: number;
  #running: { readonly sandboxId: string; readonly containerId: string }[] = [];
  readonly #cgroups = new Set<string>();
  readonly #logs = new Set<string>();

  private constructor(channel: GrpcChannel, template: Template, grace: number) {
    this.#channel = channel;
    this.#template = template;
    this.#grace = grace;
  }

  /** Takes the configuration of a pod that runs, whose files the others will share. */
  static async like(socket: string, pod: string, graceSeconds: number): Promise<BarePods> {
    const channel = new GrpcChannel(socket);
    return new BarePods(channel, await configOf(channel, pod), graceSeconds);
  }

  /** Starts all, `width` at a time. */
  async start(names: readonly string[], width = names.length): Promise<void> {
    const configs = names.map((name) => this.#config(name));
    const began = await inTurns(configs, width, (config) => this.#one(config));
    this.#running.push(...began);
  }

  async stop(width = this.#running.length): Promise<void> {
    const ending = this.#running;
    this.#running = [];
    await inTurns(ending, width, async ({ sandboxId, containerId }) => {
      await this.#channel.call(Cri.stopContainer, { containerId, timeout: this.#grace });
      const stop = () => this.#channel.call(Cri.stopPodSandbox, { podSandboxId: sandboxId });
      // Now and then the network plugin finds the device gone already; asked again, all is well, and kubelets do ask again.
      await stop().catch(stop);
      await this.#channel.call(Cri.removePodSandbox, { podSandboxId: sandboxId });
    });
  }

  /** Names of pods that have a sandbox. */
  async present(): Promise<string[]> {
    const { items } = await this.#channel.call(Cri.listPodSandbox, {});
    return items.map((item) => item.metadata?.name ?? '');
  }

  /** Removes what the calls left: folders and cgroups. */
  async clean(): Promise<void> {
    for (const path of this.#cgroups) await hostCgroups().remove(path);
    for (const path of this.#logs) rmSync(path, { recursive: true, force: true });
    this.#cgroups.clear();
    this.#logs.clear();
  }

  close(): void {
    this.#channel.close();
  }

  #config(name: string): PodSandboxConfigMessage {
    const { sandbox } = this.#template;
    const cgroupParent = join(dirname(sandbox.linux!.cgroupParent!), `pod${name}`);
    const logDirectory = join(dirname(sandbox.logDirectory!), `bare_${name}`);
    mkdirSync(logDirectory, { recursive: true });
    this.#cgroups.add(cgroupParent);
    this.#logs.add(logDirectory);
    const metadata = { ...sandbox.metadata, name, uid: name };
    return { ...sandbox, metadata, hostname: name, logDirectory, linux: { ...sandbox.linux, cgroupParent } };
  }

  async #one(sandboxConfig: PodSandboxConfigMessage) {
    const { podSandboxId } = await this.#channel.call(Cri.runPodSandbox, { config: sandboxConfig });
    const config = this.#template.container;
    const { containerId } = await this.#channel.call(Cri.createContainer, { podSandboxId, config, sandboxConfig });
    await this.#channel.call(Cri.startContainer, { containerId });
    return { sandboxId: podSandboxId, containerId };
  }
}

/** All of them, `width` under way at a time. */
async function inTurns<T, R>(items: readonly T[], width: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async () => {
    while (next < items.length) results.push(await work(items[next++]!));
  };
  await Promise.all(Array.from({ length: width }, lane));
  return results;
}
