// Keeps the Node object and the node's Lease current: registers once, renews the lease every quarter of its life,
// reports the status when it changes and every few minutes otherwise.
// https://kubernetes.io/docs/concepts/architecture/nodes/#node-heartbeats

import { isReason } from '../api/errors.ts';
import { Lease } from '../api/kinds/coordination/lease.ts';
import { Node } from '../api/kinds/core/node.ts';
import { sameJson } from '../api/same-json.ts';
import { rfc3339Micro, sleep, type Env } from '../base/env.ts';
import { SteadyTime } from '../base/steady-time.ts';
import type { Client } from '../client/client.ts';
import type { EventNote } from '../client/controller.ts';
import type { KubeletConfig } from './config.ts';
import type { KubeletHost, Machine } from './host.ts';
import { conditionEvents, newNode, nodeLabels, nodeStatus, type NodeFacts } from './node-status.ts';
import type { ContainerRuntime } from './runtime.ts';

const LEASE_NAMESPACE = 'kube-node-lease';
const RETRY = 1_000;

export interface NodeAgentContext {
  readonly env: Env;
  readonly client: Client;
  readonly config: KubeletConfig;
  readonly runtime: Pick<ContainerRuntime, 'info' | 'listImages'>;
  readonly host: Pick<KubeletHost, 'pressure'>;
  readonly machine: Machine;
  readonly record: (node: Node, note: EventNote) => void;
  /** The machine's clock was set, by so many milliseconds. */
  readonly clockJumped?: (ms: number) => void;
  readonly signal: AbortSignal;
}

export class NodeAgent {
  readonly #context: NodeAgentContext;
  #node: Node | undefined;
  #lease: Lease | undefined;
  #reported = 0;
  #hurry: (() => void) | undefined;
  #again = false;

  constructor(context: NodeAgentContext) {
    this.#context = context;
  }

  /** The Node as last read or written. */
  get node(): Node {
    if (!this.#node) throw new Error('the node is not registered');
    return this.#node;
  }

  /** Somebody else wrote the Node. */
  observe(node: Node): void {
    const version = (n: Node) => Number(n.metadata.resourceVersion ?? 0);
    if (!this.#node || version(node) >= version(this.#node)) this.#node = node;
  }

  /** Looks for a change of the node's state at once instead of at the next check. */
  checkNow(): void {
    // A check under way may have looked too early: it is followed by another.
    this.#again = true;
    this.#hurry?.();
  }

  /** Resolves once the Node exists and carries this kubelet's labels; retries until then. */
  async register(): Promise<void> {
    const { env, config, signal } = this.#context;
    const ref = { name: config.nodeName };
    for (let ms = RETRY; ; ms = Math.min(ms * 2, 7_000)) {
      try {
        this.#node = await this.#registerOnce(await this.#facts(), ref);
        const text = 'Updated Node Allocatable limit across pods';
        this.#event('Normal', 'Starting', 'Starting kubelet.');
        this.#event('Normal', 'NodeAllocatableEnforced', text);
        for (const reason of conditionEvents(undefined, this.#node.status ?? {})) this.#conditionEvent(reason);
        return;
      } catch (error) {
        if (signal.aborted) throw error;
        env.log.warn('cannot register the node, trying again', { node: ref.name, error });
        await sleep(env, ms, { signal });
      }
    }
  }

  async #registerOnce(facts: NodeFacts, ref: { name: string }): Promise<Node> {
    const { client, signal, env } = this.#context;
    const wanted = newNode(facts);
    this.#reported = env.clock.monotonic();
    try {
      return await client.create(Node, wanted, { signal });
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
    let node = await client.get(Node, ref, { signal });
    const labels = { ...node.metadata.labels, ...nodeLabels(facts) };
    const annotations = { ...node.metadata.annotations, ...wanted.metadata.annotations };
    if (!sameJson(labels, node.metadata.labels) || !sameJson(annotations, node.metadata.annotations)) {
      node = await client.update(Node, { ...node, metadata: { ...node.metadata, labels, annotations } }, { signal });
    }
    this.#noteReboot(node, facts.machine.bootId);
    const status = nodeStatus(facts, node.status);
    return client.update(Node, { ...node, status }, { subresource: 'status', signal });
  }

  #noteReboot(node: Node, bootId: string): void {
    const before = node.status?.nodeInfo?.bootID;
    if (!before || before === bootId) return;
    const message = `Node ${this.#context.config.nodeName} has been rebooted, boot id: ${bootId}`;
    this.#context.record(node, { type: 'Warning', reason: 'Rebooted', message });
  }

  /** Both loops, until the signal aborts. */
  async run(): Promise<void> {
    await Promise.all([this.#leaseLoop(), this.#statusLoop()]);
  }

  async #statusLoop(): Promise<void> {
    const { env, config, signal } = this.#context;
    for (;;) {
      await this.#pause(config.statusCheckSeconds * 1000);
      try {
        await this.#report();
      } catch (error) {
        if (signal.aborted) throw error;
        env.log.warn('cannot report the node status', { node: config.nodeName, error });
      }
    }
  }

  /** Sleeps, or until somebody hurries. */
  async #pause(ms: number): Promise<void> {
    const { env, signal } = this.#context;
    if (this.#again) {
      this.#again = false;
      return;
    }
    const woken = new AbortController();
    this.#hurry = () => woken.abort(new Error('hurry'));
    try {
      await sleep(env, ms, { signal: AbortSignal.any([signal, woken.signal]), unref: true });
    } catch (error) {
      if (signal.aborted) throw error;
    }
    this.#hurry = undefined;
    this.#again = false;
  }

  async #report(): Promise<void> {
    const { client, config, env, signal } = this.#context;
    const facts = await this.#facts();
    const due = env.clock.monotonic() - this.#reported >= config.statusReportSeconds * 1000;
    for (let tries = 0; ; tries++) {
      const node = this.node;
      const status = nodeStatus(facts, node.status, due);
      if (!due && sameJson(status, node.status)) return;
      try {
        const written = await client.update(Node, { ...node, status }, { subresource: 'status', signal });
        this.#reported = env.clock.monotonic();
        this.observe(written);
        for (const reason of conditionEvents(node.status, status)) this.#conditionEvent(reason);
        return;
      } catch (error) {
        if (!isReason(error, 'Conflict') || tries >= 5) throw error;
        this.observe(await client.get(Node, { name: config.nodeName }, { signal }));
      }
    }
  }

  async #facts(): Promise<NodeFacts> {
    const { config, machine, runtime, host, env } = this.#context;
    const [info, images, pressure] = await Promise.all([
      runtime.info().catch((error: Error) => error),
      runtime.listImages().catch(() => []),
      host.pressure().catch(() => undefined),
    ]);
    const facts = { config, machine, images, pressure, now: env.clock.now() };
    if (info instanceof Error) {
      const { name, version } = runtimeOf(this.#node);
      return { ...facts, runtime: { name, version, problem: `container runtime is down: ${info.message}` } };
    }
    const { name, version, ready, networkReady, message } = info;
    const problem = !ready
      ? `container runtime status check may not have completed yet: ${message}`
      : !networkReady
        ? `container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:${message}`
        : '';
    return { ...facts, runtime: { name, version, problem } };
  }

  async #leaseLoop(): Promise<void> {
    const { env, config, signal } = this.#context;
    const period = (config.leaseSeconds * 1000) / 4;
    const time = new SteadyTime(env.clock);
    for (;;) {
      this.#noticeJump(time.jump());
      let wait = period * (1 + 0.04 * env.random.next());
      try {
        await this.#renew();
      } catch (error) {
        if (signal.aborted) throw error;
        this.#lease = undefined;
        wait = RETRY;
        env.log.warn('cannot renew the node lease', { node: config.nodeName, error });
      }
      await sleep(env, wait, { signal, unref: true });
    }
  }

  #noticeJump(ms: number): void {
    if (ms === 0) return;
    const { env, clockJumped } = this.#context;
    env.log.warn('the clock of the machine was set', { seconds: Math.round(ms / 1000) });
    clockJumped?.(ms);
  }

  async #renew(): Promise<void> {
    const { client, config, env, signal } = this.#context;
    const { nodeName } = config;
    const spec = {
      holderIdentity: nodeName,
      leaseDurationSeconds: config.leaseSeconds,
      renewTime: rfc3339Micro(env.clock.now()),
    };
    this.#lease ??= await this.#existingLease();
    if (this.#lease) {
      const { metadata } = this.#lease;
      const owned = metadata.ownerReferences?.length ? metadata : { ...metadata, ownerReferences: this.#owner() };
      this.#lease = await client.update(Lease, { ...this.#lease, metadata: owned, spec }, { signal });
      return;
    }
    const metadata = { name: nodeName, namespace: LEASE_NAMESPACE, ownerReferences: this.#owner() };
    this.#lease = await client.create(Lease, { metadata, spec }, { signal });
  }

  async #existingLease(): Promise<Lease | undefined> {
    const { client, config, signal } = this.#context;
    try {
      return await client.get(Lease, { namespace: LEASE_NAMESPACE, name: config.nodeName }, { signal });
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  #owner() {
    const { name, uid } = this.node.metadata;
    return [{ apiVersion: 'v1', kind: 'Node', name, uid: uid! }];
  }

  #conditionEvent(reason: string): void {
    const text = `Node ${this.#context.config.nodeName} status is now: ${reason}`;
    this.#event('Normal', reason, text);
  }

  #event(type: EventNote['type'], reason: string, message: string): void {
    if (this.#node) this.#context.record(this.#node, { type, reason, message });
  }
}

function runtimeOf(node: Node | undefined): { name: string; version: string } {
  const [name = '', version = ''] = (node?.status?.nodeInfo?.containerRuntimeVersion ?? '').split('://');
  return { name, version };
}
