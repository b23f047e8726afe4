// The resize of one pod in time: what it holds, what its containers run with, and what is still to be done.

import type { Container, ResourceRequirements } from '../api/generated/core-v1.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import type { CgroupLimits } from './host.ts';
import type { Waiting } from './plan-steps.ts';
import { cgroupParent, linuxResources, podCgroupLimits } from './resources.ts';
import { askedBy, heldBy, refuseResize, resizeStep, sameResources, widest, withAllocation } from './resize.ts';
import type { Allocation } from './resize.ts';
import type { NodeContext } from './node-context.ts';

export interface ResizeNotes {
  note(type: 'Normal' | 'Warning', reason: string, message: string): void;
}

export class PodResizer {
  readonly #node: NodeContext;
  readonly #notes: ResizeNotes;
  readonly #actual = new Map<string, ResourceRequirements>();
  #allocation: Allocation;
  #limits: CgroupLimits | undefined;
  #told = '';
  #started = false;
  /** Grows with everything that changes the pod's status. */
  version = 0;
  /** Why the node does not give what the spec asks for. */
  pending: Waiting | undefined;
  /** Why the last step failed. */
  error: Waiting | undefined;

  constructor(node: NodeContext, pod: Pod, notes: ResizeNotes) {
    this.#node = node;
    this.#notes = notes;
    this.#allocation = heldBy(pod);
  }

  /** The pod with the resources it holds, after deciding about a change of its spec. */
  take(pod: Pod): Pod {
    const held = withAllocation(pod, this.#allocation);
    if (held !== pod || this.pending) this.version++;
    if (held === pod) {
      this.pending = undefined;
      return pod;
    }
    const refused = refuseResize(pod, this.#node.otherPods(pod.metadata.uid!), this.#node.allocatable);
    this.pending = refused;
    if (refused) {
      this.#tell(
        'Warning',
        `Resize${refused.reason}`,
        `Pod resize ${refused.reason}: ${text(pod)}, ${refused.message}`,
      );
      return held;
    }
    this.#allocation = askedBy(pod);
    this.#started = true;
    this.#tell('Normal', 'ResizeStarted', `Pod resize started: ${text(pod)}`);
    return pod;
  }

  /** A container begins to run, or is found running, with what the pod holds. */
  began(id: string, name: string): void {
    if (!this.#actual.has(id)) this.#actual.set(id, this.#allocation.get(name) ?? {});
  }

  ended(id: string): void {
    this.#actual.delete(id);
  }

  /** What a running container runs with. */
  readonly actual = (id: string): ResourceRequirements | undefined => this.#actual.get(id);

  readonly step = (container: Container, id: string) => resizeStep(container, this.#actual.get(id));

  /** Whether a running container is yet to get what it is to have. */
  inProgress(pod: Pod): boolean {
    const wanted = new Map([...(pod.spec.initContainers ?? []), ...pod.spec.containers].map((c) => [c.name, c]));
    return this.#running.some(({ id, name }) => {
      const actual = this.#actual.get(id);
      return actual !== undefined && !sameResources(actual, wanted.get(name)?.resources ?? {});
    });
  }

  #running: readonly { readonly id: string; readonly name: string }[] = [];

  /** Tells the containers that run now, and of the end of a resize. */
  observe(pod: Pod, running: readonly { readonly id: string; readonly name: string }[]): void {
    this.#running = running;
    if (!this.#started || this.inProgress(pod)) return;
    this.#started = false;
    this.version++;
    this.error = undefined;
    this.#tell('Normal', 'ResizeCompleted', `Pod resize completed: ${text(pod)}`);
  }

  /** The pod's cgroup as it is to be when it starts. */
  limits(pod: Pod): CgroupLimits {
    return (this.#limits = podCgroupLimits(pod));
  }

  /** Gives a running container its new resources; the pod's cgroup grows before and shrinks after. */
  async update(pod: Pod, container: Container, id: string): Promise<void> {
    const { host, runtime, config, machine } = this.#node;
    const parent = cgroupParent(config.cgroupRoot, pod);
    const wanted = podCgroupLimits(pod);
    const apply = async (limits: CgroupLimits) => {
      if (config.manageCgroups) await host.cgroups.apply(parent, limits);
      this.#limits = limits;
    };
    try {
      await apply(widest(this.#limits ?? wanted, wanted));
      await runtime.updateResources(id, linuxResources(pod, container, machine.memoryBytes));
      this.#actual.set(id, container.resources ?? {});
      this.version++;
      this.error = undefined;
      if (!this.inProgress(pod)) await apply(wanted);
    } catch (error) {
      const { message } = error as Error;
      this.version++;
      this.error = { reason: 'Error', message };
      this.#tell('Warning', 'ResizeError', `Pod resize error: ${text(pod)}, ${message}`);
      throw error;
    }
  }

  #tell(type: 'Normal' | 'Warning', reason: string, message: string): void {
    if (this.#told === reason + message) return;
    this.#told = reason + message;
    this.#notes.note(type, reason, message);
  }
}

/** The resources asked for, as upstream's events show them. */
function text(pod: Pod): string {
  const list = (containers: readonly Container[]) =>
    containers.map(({ name, resources = {} }) => ({ name, resources }));
  const { containers, initContainers = [] } = pod.spec;
  const { generation } = pod.metadata;
  return JSON.stringify({
    ...(initContainers.length ? { initContainers: list(initContainers) } : {}),
    containers: list(containers),
    ...(generation ? { generation } : {}),
  });
}
