// The kubelet's ContainerRuntime over the container runtime interface of containerd. Everything the interface cannot do
// well (events, exec, attach) goes through containerd's own services on the same socket.

import type { Env } from '../../base/env.ts';
import type { ExecOptions, StdStreams } from '../../api/node-api.ts';
import {
  RuntimeError,
  type ContainerConfig,
  type ContainerRuntime,
  type ContainerStatus,
  type Image,
  type LinuxResources,
  type PullAuth,
  type ResourceUsage,
  type RuntimeEvent,
  type SandboxConfig,
  type SandboxStatus,
} from '../../kubelet/runtime.ts';
import { GrpcChannel } from '../rpc/grpc.ts';
import {
  containerConfigMessage,
  containerStateOf,
  containerStatusOf,
  imageOf,
  ipsOf,
  resourcesMessage,
  sandboxConfigMessage,
  sandboxStatusOf,
} from './convert.ts';
import { watchEvents } from './events.ts';
import { exec } from './exec.ts';
import { Cri, type ContainerMessage } from './messages.ts';
import { PortForwarder, type ByteStreams } from './port-forward.ts';

export interface CriOptions {
  readonly env: Env;
  readonly socket: string;
  /** Where the named pipes of exec sessions and the sockets of port-forwards live for as long as they run. Short. */
  readonly streamDir: string;
  /** Told of every sandbox that got its addresses and of every one that goes, for host ports. */
  readonly hostPorts?: HostPorts | undefined;
}

/** Publishes container ports on the node's addresses. */
export interface HostPorts {
  open(sandboxId: string, ports: SandboxConfig['ports'], ips: readonly string[]): Promise<void>;
  /** Idempotent. */
  close(sandboxId: string): Promise<void>;
}

export interface CriRuntime extends ContainerRuntime {
  /** Ends the connection; calls under way fail. */
  close(): void;
}

const isNotFound = (error: unknown) => error instanceof RuntimeError && error.code === 'NOT_FOUND';

/** Resolves to undefined for what does not exist. */
async function ifFound<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** An exit's reason may still turn into OOMKilled for this long. */
const SETTLING_MS = 2_000;

/** How much longer than a command may take the runtime's answer is waited for. */
const EXEC_PATIENCE_SECONDS = 60;

class Runtime implements CriRuntime {
  private readonly channel: GrpcChannel;
  private readonly options: CriOptions;
  private readonly forwarder: PortForwarder;
  /** Addresses never change while a sandbox lives, and the list does not have them. */
  private readonly ips = new Map<string, readonly string[]>();
  private readonly sandboxOf = new Map<string, string>();
  /** The last status of each container: as long as the state stays, so does the rest. */
  private readonly statuses = new Map<string, ContainerStatus>();

  constructor(options: CriOptions) {
    this.options = options;
    this.channel = new GrpcChannel(options.socket, { 'containerd-namespace': 'k8s.io' });
    this.forwarder = new PortForwarder(this.channel, options.streamDir);
  }

  async info() {
    const [version, { status }] = await Promise.all([
      this.channel.call(Cri.version, {}),
      this.channel.call(Cri.status, {}),
    ]);
    const conditions = status?.conditions ?? [];
    const isTrue = (type: string) => conditions.find((condition) => condition.type === type)?.status ?? false;
    return {
      name: version.runtimeName,
      version: version.runtimeVersion,
      ready: isTrue('RuntimeReady'),
      networkReady: isTrue('NetworkReady'),
      message: conditions
        .filter((condition) => !condition.status && condition.message !== '')
        .map((condition) => condition.message)
        .join('; '),
    };
  }

  async runSandbox(config: SandboxConfig): Promise<string> {
    const { podSandboxId } = await this.channel.call(Cri.runPodSandbox, {
      config: sandboxConfigMessage(config),
      runtimeHandler: config.runtimeHandler,
    });
    const { hostPorts } = this.options;
    const published = config.ports.filter((port) => port.hostPort > 0);
    if (hostPorts && published.length > 0 && config.security.network !== 'node') {
      const status = await this.sandboxStatus(podSandboxId);
      await hostPorts.open(podSandboxId, published, status?.ips ?? []);
    }
    return podSandboxId;
  }

  async stopSandbox(id: string): Promise<void> {
    await this.options.hostPorts?.close(id);
    await ifFound(this.channel.call(Cri.stopPodSandbox, { podSandboxId: id }));
  }

  async removeSandbox(id: string): Promise<void> {
    await this.options.hostPorts?.close(id);
    await ifFound(this.channel.call(Cri.removePodSandbox, { podSandboxId: id }));
    this.ips.delete(id);
  }

  async listSandboxes(): Promise<SandboxStatus[]> {
    const { items } = await this.channel.call(Cri.listPodSandbox, {});
    const known = new Set(items.map((item) => item.id));
    for (const id of this.ips.keys()) if (!known.has(id)) this.ips.delete(id);
    const statuses = items.map(async (item) => {
      const ips = this.ips.get(item.id);
      return ips && item.state === 0 ? sandboxStatusOf(item, ips) : this.sandboxStatus(item.id);
    });
    return (await Promise.all(statuses)).filter((status) => status !== undefined);
  }

  async sandboxStatus(id: string): Promise<SandboxStatus | undefined> {
    const found = await ifFound(this.channel.call(Cri.podSandboxStatus, { podSandboxId: id }));
    if (!found?.status) return undefined;
    const ips = ipsOf(found.status);
    if (found.status.state === 0) this.ips.set(id, ips);
    return sandboxStatusOf(found.status, ips);
  }

  async createContainer(sandboxId: string, config: ContainerConfig, sandbox: SandboxConfig): Promise<string> {
    const { containerId } = await this.channel.call(Cri.createContainer, {
      podSandboxId: sandboxId,
      config: containerConfigMessage(config),
      sandboxConfig: sandboxConfigMessage(sandbox),
    });
    this.sandboxOf.set(containerId, sandboxId);
    return containerId;
  }

  async startContainer(id: string): Promise<void> {
    await this.channel.call(Cri.startContainer, { containerId: id });
  }

  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    const timeout = Math.max(0, Math.floor(graceSeconds));
    const request = { containerId: id, timeout };
    await ifFound(this.channel.call(Cri.stopContainer, request, { timeoutSeconds: timeout + 120 }));
  }

  async removeContainer(id: string): Promise<void> {
    await ifFound(this.channel.call(Cri.removeContainer, { containerId: id }));
    this.statuses.delete(id);
    this.sandboxOf.delete(id);
  }

  async listContainers(): Promise<ContainerStatus[]> {
    const { containers } = await this.channel.call(Cri.listContainers, {});
    const listed = new Set(containers.map((container) => container.id));
    for (const id of this.statuses.keys()) if (!listed.has(id)) this.statuses.delete(id);
    for (const { id, podSandboxId } of containers) this.sandboxOf.set(id, podSandboxId);
    const statuses = containers.map((container) => this.remembered(container) ?? this.containerStatus(container.id));
    return (await Promise.all(statuses)).filter((status) => status !== undefined);
  }

  private remembered(container: ContainerMessage): ContainerStatus | undefined {
    const known = this.statuses.get(container.id);
    if (!known || known.state !== containerStateOf(container.state)) return undefined;
    const settled = known.state !== 'exited' || Math.abs(this.options.env.clock.now() - known.finishedAt) > SETTLING_MS;
    return settled && known.state !== 'unknown' ? known : undefined;
  }

  async containerStatus(id: string): Promise<ContainerStatus | undefined> {
    const [found, sandboxId] = await Promise.all([
      ifFound(this.channel.call(Cri.containerStatus, { containerId: id })),
      this.sandboxIdOf(id),
    ]);
    if (!found?.status || sandboxId === undefined) return undefined;
    const status = containerStatusOf(found.status, sandboxId);
    this.statuses.set(id, status);
    return status;
  }

  private async sandboxIdOf(containerId: string): Promise<string | undefined> {
    const known = this.sandboxOf.get(containerId);
    if (known !== undefined) return known;
    const { containers } = await this.channel.call(Cri.listContainers, { filter: { id: containerId } });
    const sandboxId = containers[0]?.podSandboxId;
    if (sandboxId !== undefined) this.sandboxOf.set(containerId, sandboxId);
    return sandboxId;
  }

  async updateResources(id: string, resources: LinuxResources): Promise<void> {
    const request = { containerId: id, linux: resourcesMessage(resources) };
    await this.channel.call(Cri.updateContainerResources, request);
  }

  async reopenLog(id: string): Promise<void> {
    await this.channel.call(Cri.reopenContainerLog, { containerId: id });
  }

  async execSync(id: string, command: readonly string[], timeoutSeconds: number) {
    const request = { containerId: id, cmd: command, timeout: Math.ceil(timeoutSeconds) };
    const limit = timeoutSeconds > 0 ? Math.ceil(timeoutSeconds) + EXEC_PATIENCE_SECONDS : undefined;
    const { clock } = this.options.env;
    const began = clock.monotonic();
    try {
      return await this.channel.call(Cri.execSync, request, { timeoutSeconds: limit });
    } catch (error) {
      const late = limit !== undefined && clock.monotonic() - began >= limit * 1000;
      if (!late || !(error instanceof RuntimeError) || error.code !== 'DEADLINE_EXCEEDED') throw error;
      // containerd itself ends a command in time: this one it has never run, or has lost. That is no fault of the command.
      throw new RuntimeError('UNAVAILABLE', `the runtime did not answer within ${limit} seconds`);
    }
  }

  exec(id: string, options: ExecOptions, streams: StdStreams, context: { signal: AbortSignal }): Promise<number> {
    const { env, streamDir } = this.options;
    return exec({ env, streamDir, channel: this.channel }, id, options, streams, context);
  }

  async attach(
    id: string,
    options: Omit<ExecOptions, 'command'>,
    streams: StdStreams,
    context: { signal: AbortSignal },
  ): Promise<void> {
    // Seldom needed, and the WebSocket library takes its time to load.
    const { attach } = await import('./attach.ts');
    return attach(this.channel, id, options, streams, context);
  }

  portForward(sandboxId: string, port: number, streams: ByteStreams, context: { signal: AbortSignal }): Promise<void> {
    return this.forwarder.forward(sandboxId, port, streams, context);
  }

  async imageStatus(reference: string): Promise<Image | undefined> {
    const { image } = await this.channel.call(Cri.imageStatus, { image: { image: reference } });
    return image && imageOf(image);
  }

  async listImages(): Promise<Image[]> {
    const { images } = await this.channel.call(Cri.listImages, {});
    return images.map(imageOf);
  }

  async pullImage(reference: string, auth: PullAuth | undefined): Promise<string> {
    const request = { image: { image: reference }, auth };
    // containerd itself gives up on a pull that makes no progress.
    const { imageRef } = await this.channel.call(Cri.pullImage, request, {});
    return imageRef;
  }

  async removeImage(reference: string): Promise<void> {
    await ifFound(this.channel.call(Cri.removeImage, { image: { image: reference } }));
  }

  async usage(): Promise<ResourceUsage[]> {
    const { stats } = await this.channel.call(Cri.listContainerStats, {});
    return stats.map(({ attributes, cpu, memory }) => ({
      containerId: attributes?.id ?? '',
      name: attributes?.metadata?.name ?? '',
      timestamp: Math.floor((cpu?.timestamp || memory?.timestamp || 0) / 1e6),
      cpuNanoseconds: cpu?.usageCoreNanoSeconds?.value ?? 0,
      memoryWorkingSetBytes: memory?.workingSetBytes?.value ?? 0,
    }));
  }

  events(sink: (event: RuntimeEvent) => void, context: { signal: AbortSignal }): Promise<void> {
    const forget = (event: RuntimeEvent) => {
      if (event.type === 'lost') this.statuses.clear();
      else this.statuses.delete(event.containerId);
      sink(event);
    };
    return watchEvents({ env: this.options.env, channel: this.channel }, forget, context);
  }

  close(): void {
    this.forwarder.close();
    this.channel.close();
  }
}

/** The ContainerRuntime behind a containerd socket. The connection is made on the first call and remade when it breaks. */
export function criRuntime(options: CriOptions): CriRuntime {
  return new Runtime(options);
}
