// Writes one pod's status: one write at a time, the newest wins, nothing is written that the API already has.

import { isReason } from '../api/errors.ts';
import type { PodStatus } from '../api/generated/core-v1.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { sameJson } from '../api/same-json.ts';
import type { Env, Timer } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import { statusSpan } from './action-span.ts';
import { isTerminal } from './pod-spec.ts';
import { OWNED_CONDITIONS } from './pod-conditions.ts';

/** Changes nobody waits for may ride along with the next one for this long. */
const LINGER = 200;
/** The first word on a pod waits this long, and the words on its end: one that runs, or is gone, at once needs no other. */
const PASSING_LINGER = 5;
const RETRY = { first: 500, last: 30_000 };

export class StatusWriter {
  readonly #client: Client;
  readonly #env: Env;
  readonly #signal: AbortSignal;
  #pod: Pod;
  #wanted: PodStatus | undefined;
  #written: PodStatus | undefined;
  #signature = '';
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  #gone = false;
  /** The version our own last write made. */
  version = '';

  constructor(client: Client, env: Env, pod: Pod, signal: AbortSignal) {
    this.#client = client;
    this.#env = env;
    this.#pod = pod;
    this.#signal = signal;
  }

  /** The status last asked for, or undefined when this kubelet has not spoken of the pod yet. */
  get last(): PodStatus | undefined {
    return this.#wanted ?? this.#written;
  }

  /** A newer version of the pod has been read. */
  observe(pod: Pod): void {
    if (versionOf(pod) < versionOf(this.#pod)) return;
    this.#pod = pod;
    if (pod.metadata.resourceVersion === this.version || !this.#written || this.#wanted) return;
    if (!this.#overruled(this.#written)) return;
    this.#written = undefined;
    this.#signature = '';
  }

  /**
   * The pod is what our own last write made of `before`, and nobody else has changed it in between: events may be missed,
   * and the next thing that is seen of a pod then is our own version with somebody else's changes in it.
   */
  echoed(pod: Pod, before: Pod): boolean {
    const [now, then] = [pod.metadata, before.metadata];
    return (
      now.resourceVersion === this.version &&
      now.generation === then.generation &&
      now.deletionTimestamp === then.deletionTimestamp &&
      sameJson(now.labels, then.labels) &&
      sameJson(now.annotations, then.annotations)
    );
  }

  /** Somebody else spoke for us (a node that seemed lost is back): what we wrote is no longer what is there. */
  #overruled(written: PodStatus): boolean {
    return !sameJson(ownStatuses(written), ownStatuses(this.#pod.status));
  }

  set(status: PodStatus): void {
    if (this.#gone) return;
    const known = this.last ?? this.#pod.status;
    if (known && sameJson(known, status)) return;
    this.#wanted = status;
    const signature = signatureOf(status);
    const first = this.#signature === '' && status.phase === 'Pending';
    const passing = first || this.#pod.metadata.deletionTimestamp !== undefined;
    const urgent = signature !== this.#signature && !passing;
    this.#signature = signature;
    if (this.#writing) return;
    if (urgent) {
      this.#timer?.cancel();
      this.#timer = undefined;
      this.#begin();
    } else {
      this.#timer ??= this.#env.clock.setTimer(passing ? PASSING_LINGER : LINGER, () => {
        this.#timer = undefined;
        if (!this.#writing) this.#begin();
      });
    }
  }

  /** Resolves once everything asked for is written (or the pod is gone). */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (!this.#gone && !this.#signal.aborted && (this.#writing || this.#wanted)) {
      this.#begin();
      await this.#writing;
    }
  }

  /** The pod is gone from the API: nothing is written any more. */
  close(): void {
    this.#gone = true;
    this.#timer?.cancel();
  }

  #begin(): void {
    // A microtask later: what one pass of the worker changes in several steps is one write.
    this.#writing ??= Promise.resolve()
      .then(() => this.#drain())
      .finally(() => {
        this.#writing = undefined;
        // Asked for between the last look and here.
        if (this.#wanted && !this.#gone && !this.#signal.aborted) this.#begin();
      });
  }

  async #drain(): Promise<void> {
    let pause = RETRY.first;
    while (this.#wanted && !this.#gone && !this.#signal.aborted) {
      const status = this.#wanted;
      try {
        await this.#write(status);
        this.#written = status;
        // The other's word may have come while ours was still on its way back.
        if (this.#wanted === status && !this.#overruled(status)) this.#wanted = undefined;
        pause = RETRY.first;
      } catch (error) {
        if (this.#signal.aborted) return;
        if (isReason(error, 'NotFound')) return this.close();
        if (isReason(error, 'Conflict')) {
          await this.#reread();
          continue;
        }
        this.#env.log.warn('cannot write pod status, trying again', { pod: this.#pod.metadata.name, error });
        const ms = pause;
        pause = Math.min(pause * 2, RETRY.last);
        await new Promise<void>((resolve) => void this.#env.clock.setTimer(ms, resolve));
      }
    }
  }

  async #write(status: PodStatus): Promise<void> {
    const pod = this.#pod;
    const foreign = (pod.status?.conditions ?? []).filter((c) => !OWNED_CONDITIONS.has(c.type));
    const own = (status.conditions ?? []).filter((c) => OWNED_CONDITIONS.has(c.type));
    const body: Pod = { ...pod, status: { ...status, ...endOf(pod.status), conditions: [...foreign, ...own] } };
    const span = statusSpan(this.#env.tracer, body);
    const client = this.#client.within(span);
    const writing = client.update(Pod, body, { subresource: 'status', signal: this.#signal });
    const result = await (span ? writing.finally(() => span.finish()) : writing);
    this.version = result.metadata.resourceVersion ?? '';
    this.observe(result);
  }

  async #reread(): Promise<void> {
    try {
      const { namespace, name, uid } = this.#pod.metadata;
      const fresh = await this.#client.get(Pod, { namespace, name }, { signal: this.#signal });
      if (fresh.metadata.uid !== uid) this.close();
      else this.#pod = fresh;
    } catch (error) {
      if (isReason(error, 'NotFound')) this.close();
      else if (!this.#signal.aborted) {
        this.#env.log.warn('cannot read pod', { pod: this.#pod.metadata.name, error });
        await new Promise<void>((resolve) => void this.#env.clock.setTimer(RETRY.first, resolve));
      }
    }
  }
}

/** A pod ends once: what has been told of that stays. */
function endOf(status: PodStatus | undefined): Partial<PodStatus> {
  if (!isTerminal(status?.phase)) return {};
  const { phase, reason, message } = status!;
  return { phase: phase!, ...(reason ? { reason } : {}), ...(message ? { message } : {}) };
}

/** The state of each condition that is the kubelet's to say. */
const ownStatuses = (status: PodStatus | undefined) =>
  Object.fromEntries(
    (status?.conditions ?? []).filter((c) => OWNED_CONDITIONS.has(c.type)).map((c) => [c.type, c.status]),
  );

const versionOf = (pod: Pod) => Number(pod.metadata.resourceVersion ?? 0);

/** What somebody may wait for: phase, readiness and the containers' states. */
function signatureOf(status: PodStatus): string {
  const parts = [status.phase ?? '', status.reason ?? ''];
  for (const c of status.conditions ?? []) {
    if (c.type !== 'PodReadyToStartContainers') parts.push(`${c.type}=${c.status}`);
  }
  const all = [status.initContainerStatuses, status.containerStatuses, status.ephemeralContainerStatuses];
  for (const c of all.flatMap((list) => list ?? [])) {
    const { waiting, running, terminated } = c.state ?? {};
    const state = waiting ? `w:${waiting.reason}` : terminated ? `t:${terminated.exitCode}` : running ? 'r' : '';
    parts.push(`${c.name}:${state}:${c.ready}:${c.started}:${c.restartCount}`);
  }
  return parts.join('|');
}
