// What the kubelet knows of one pod's sandboxes and containers: filled by the answers of runtime calls, by runtime
// events, and once by listing at start. A plain mutable record owned by one pod worker; plan and status only read it.

import type { ContainerStatus, SandboxStatus } from './runtime.ts';

export class PodRuntime {
  readonly #onScale: (wall: number) => number;
  readonly #ended = new Map<string, number>();
  /** Newest first. */
  sandboxes: SandboxStatus[] = [];
  readonly #containers = new Map<string, ContainerStatus[]>();
  readonly #stopped = new Set<string>();
  /** Grows with every change. */
  version = 0;

  /** `onScale` takes what the runtime tells of time to the scale that deadlines are kept on. */
  constructor(onScale: (wall: number) => number = (wall) => wall) {
    this.#onScale = onScale;
  }

  /** When an exited container ended, on the scale of deadlines. */
  endedAt({ id, finishedAt }: ContainerStatus): number {
    return this.#ended.get(id) ?? this.#onScale(finishedAt);
  }

  /** The newest sandbox. */
  get sandbox(): SandboxStatus | undefined {
    return this.sandboxes[0];
  }

  /** All known instances of a container, newest first. */
  instances(name: string): readonly ContainerStatus[] {
    return this.#containers.get(name) ?? [];
  }

  /** The newest instance of a container. */
  latest(name: string): ContainerStatus | undefined {
    return this.#containers.get(name)?.[0];
  }

  /** The newest instance of a container, if it lives in the current sandbox. */
  current(name: string): ContainerStatus | undefined {
    const latest = this.latest(name);
    return latest && latest.sandboxId === this.sandbox?.id ? latest : undefined;
  }

  /** Every known instance of every container. */
  all(): ContainerStatus[] {
    return [...this.#containers.values()].flat();
  }

  find(id: string): ContainerStatus | undefined {
    for (const list of this.#containers.values()) {
      for (const container of list) if (container.id === id) return container;
    }
    return undefined;
  }

  putSandbox(sandbox: SandboxStatus): void {
    this.version++;
    const others = this.sandboxes.filter((s) => s.id !== sandbox.id);
    this.sandboxes = [...others, sandbox].sort((a, b) => b.attempt - a.attempt || b.createdAt - a.createdAt);
  }

  /** The runtime has been told to stop this sandbox, and has done so: its network is gone too. */
  isStopped(id: string): boolean {
    return this.#stopped.has(id);
  }

  markStopped(id: string): void {
    this.#stopped.add(id);
    const sandbox = this.sandboxes.find((s) => s.id === id);
    if (sandbox) this.putSandbox({ ...sandbox, state: 'notready' });
  }

  removeSandbox(id: string): void {
    this.version++;
    this.#stopped.delete(id);
    this.sandboxes = this.sandboxes.filter((s) => s.id !== id);
  }

  /** Answers may overtake each other: a container never goes back to an earlier state. */
  put(container: ContainerStatus): void {
    const known = this.find(container.id);
    if (known && ORDER[container.state] < ORDER[known.state]) return;
    this.version++;
    if (container.state === 'exited' && !this.#ended.has(container.id))
      this.#ended.set(container.id, this.#onScale(container.finishedAt));
    const others = this.instances(container.name).filter((c) => c.id !== container.id);
    // By attempt, not by time: a clock that was put back would make the newest instance the oldest.
    this.#containers.set(
      container.name,
      [...others, container].sort((a, b) => b.attempt - a.attempt || b.createdAt - a.createdAt),
    );
  }

  remove(id: string): void {
    this.version++;
    this.#ended.delete(id);
    for (const [name, list] of this.#containers) {
      const rest = list.filter((c) => c.id !== id);
      if (rest.length === list.length) continue;
      if (rest.length) this.#containers.set(name, rest);
      else this.#containers.delete(name);
    }
  }
}

const ORDER = { created: 0, running: 1, unknown: 1, exited: 2 } as const;

/** Anything that is not over: stopping it is needed before its pod is gone. */
export const isAlive = (container: ContainerStatus): boolean =>
  container.state === 'running' || container.state === 'unknown';
