// What the scheduler writes about pods: bindings, why a pod waits, and the end of pods that make room for it.

import { isReason } from '../api/errors.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { rfc3339, type Env } from '../base/env.ts';
import type { Span } from '../base/trace.ts';
import type { Client } from '../client/client.ts';
import type { EventRecorder } from '../client/event-recorder.ts';

const refOf = ({ metadata: { namespace, name } }: Pod) => ({ namespace, name });

export interface Waiting {
  /** Of the PodScheduled condition. */
  readonly reason: 'Unschedulable' | 'SchedulerError';
  readonly message: string;
  /** The node where room is being made; undefined where none is. */
  readonly nominated?: string | undefined;
}

export class PodWrites {
  readonly #client: Client;
  readonly #env: Env;
  readonly #events: EventRecorder;
  readonly #scheduler: string;

  constructor(
    context: { readonly client: Client; readonly env: Env; readonly events: EventRecorder },
    scheduler: string,
  ) {
    this.#client = context.client;
    this.#env = context.env;
    this.#events = context.events;
    this.#scheduler = scheduler;
  }

  /** Rejects when the API refuses. */
  async bind(pod: Pod, node: string, span?: Span): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    const target = { kind: 'Node', name: node };
    await this.#client.within(span).do({
      verb: 'create',
      group: '',
      version: 'v1',
      resource: 'pods',
      subresource: 'binding',
      namespace,
      name,
      body: { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace, uid }, target },
      options: {},
    });
    const message = `Successfully assigned ${namespace}/${name} to ${node}`;
    this.#events.record({ about: pod, type: 'Normal', reason: 'Scheduled', message, action: 'Binding' });
  }

  /** Writes the event, the PodScheduled condition and the nomination of a pod that has to wait. Never rejects. */
  async tell(pod: Pod, { reason, message, nominated }: Waiting): Promise<void> {
    this.#events.record({ about: pod, type: 'Warning', reason: 'FailedScheduling', message, action: 'Scheduling' });
    const old = pod.status?.conditions?.find((c) => c.type === 'PodScheduled');
    const same = old?.status === 'False' && old.reason === reason && old.message === message;
    if (same && pod.status?.nominatedNodeName === nominated) return;
    const now = rfc3339(this.#env.clock.now());
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason,
      message,
      lastProbeTime: null,
      lastTransitionTime: old?.status === 'False' ? old.lastTransitionTime : now,
      ...(pod.metadata.generation ? { observedGeneration: pod.metadata.generation } : {}),
    };
    const forgotten = pod.status?.nominatedNodeName ? { nominatedNodeName: null } : {};
    const nomination = nominated ? { nominatedNodeName: nominated } : forgotten;
    await this.#patchStatus(pod, { conditions: [condition], ...nomination });
  }

  /** The pod's nomination lost its sense: somebody more important takes the node. */
  async forgetNomination(pod: Pod): Promise<void> {
    await this.#patchStatus(pod, { nominatedNodeName: null });
  }

  /** Deletes the victims, telling each why. Never rejects: what is still there counts at the next attempt. */
  async preempt(victims: readonly Pod[], pod: Pod, node: string): Promise<void> {
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'PreemptionByScheduler',
      message: `${this.#scheduler}: preempting to accommodate a higher priority pod`,
      lastTransitionTime: rfc3339(this.#env.clock.now()),
    };
    await Promise.all(
      victims.map(async (victim) => {
        if (victim.metadata.deletionTimestamp) return;
        await this.#patchStatus(victim, { conditions: [condition] });
        try {
          await this.#client.delete(Pod, refOf(victim), { preconditions: { uid: victim.metadata.uid } });
        } catch (error) {
          if (!isReason(error, 'NotFound', 'Conflict')) this.#warn('cannot delete a pod in the way', victim, error);
          return;
        }
        const message = `Preempted by pod ${pod.metadata.uid} on node ${node}`;
        const note = {
          about: victim,
          related: pod,
          type: 'Normal',
          reason: 'Preempted',
          action: 'Preempting',
        } as const;
        this.#events.record({ ...note, message });
      }),
    );
  }

  async #patchStatus(pod: Pod, status: object): Promise<void> {
    const patch = { metadata: { uid: pod.metadata.uid }, status };
    try {
      await this.#client.patch(Pod, refOf(pod), 'strategic', patch, { subresource: 'status' });
    } catch (error) {
      if (!isReason(error, 'NotFound', 'Conflict')) this.#warn('cannot write the status of a pod', pod, error);
    }
  }

  #warn(what: string, pod: Pod, error: unknown): void {
    const { namespace, name } = pod.metadata;
    this.#env.log.warn(what, { pod: `${namespace}/${name}`, error: String(error) });
  }
}
