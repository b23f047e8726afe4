// Leader election over a coordination.k8s.io Lease, as client-go does it: whoever holds the Lease and keeps renewing it
// leads; others wait until it has not changed for its duration, measured on their own clock.
// https://github.com/kubernetes/client-go/tree/master/tools/leaderelection

import { rfc3339Micro, sleep, type Env } from '../base/env.ts';
import { isReason } from '../api/errors.ts';
import type { Draft } from '../api/object.ts';
import { Lease } from '../api/kinds/coordination/lease.ts';
import type { Client } from './client.ts';

export interface LeaderElectionOptions {
  readonly client: Client;
  readonly env: Env;
  /** The Lease; upstream's components use `kube-system`. */
  readonly namespace: string;
  readonly name: string;
  /** Unique among the candidates. */
  readonly identity: string;
  /** Milliseconds; 15,000, 10,000 and 2,000 as upstream. */
  readonly leaseDuration?: number;
  readonly renewDeadline?: number;
  readonly retryPeriod?: number;
  readonly signal: AbortSignal;
}

export class LeadershipLost extends Error {
  constructor(name: string) {
    super(`leader election lost: ${name}`);
    this.name = 'LeadershipLost';
  }
}

const JITTER = 1.2;

/**
 * Waits for leadership, then calls `lead`, whose signal aborts when leadership ends. Resolves when `lead` returned or the
 * outer signal aborted (the Lease is then released for the next candidate). Rejects with LeadershipLost when the Lease
 * could not be renewed in time, after `lead` has ended.
 */
export async function runLeaderElection(
  options: LeaderElectionOptions,
  lead: (context: { signal: AbortSignal }) => Promise<void>,
): Promise<void> {
  const { env, signal } = options;
  const retryPeriod = options.retryPeriod ?? 2_000;
  const elector = new Elector(options);
  // Waiting keeps no simulation busy, but the process of a standby candidate, which has nothing else to do, alive.
  const pause = (ms: number, until: AbortSignal) =>
    sleep(env, ms, { signal: until, background: true }).then(
      () => true,
      () => false,
    );
  // What is held counts from the sending of the request that got it: others count from when they saw its effect, and an
  // answer may take its time.
  let renewed = env.clock.monotonic();
  while (!(await elector.tryAcquireOrRenew())) {
    if (!(await pause(retryPeriod * (1 + JITTER * env.random.next()), signal))) return;
    renewed = env.clock.monotonic();
  }
  if (signal.aborted) return elector.release();

  const term = new AbortController();
  const leading = AbortSignal.any([signal, term.signal]);
  let lost = false;
  const renew = async () => {
    while (await pause(retryPeriod, leading)) {
      const sent = env.clock.monotonic();
      if (await elector.tryAcquireOrRenew()) renewed = sent;
    }
  };
  /** Also while an answer is waited for. */
  const endInTime = async () => {
    const deadline = options.renewDeadline ?? 10_000;
    const left = () => renewed + deadline - env.clock.monotonic();
    while (left() > 0) if (!(await pause(left(), leading))) return;
    lost = true;
    env.log.error('leadership lost', { lease: options.name, identity: options.identity });
    term.abort(new LeadershipLost(options.name));
    elector.giveUp();
  };
  const renewing = Promise.all([renew(), endInTime()]);
  try {
    await lead({ signal: leading });
  } catch (error) {
    if (!leading.aborted) throw error;
  } finally {
    term.abort();
    await renewing;
    if (!lost) await elector.release();
  }
  if (lost) throw new LeadershipLost(options.name);
}

class Elector {
  readonly #options: LeaderElectionOptions;
  readonly #duration: number;
  #observed: Lease | undefined;
  #observedAt = 0;
  /** Of requests under way: an orderly end waits for them, so that it knows what to release. */
  readonly #over = new AbortController();

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#duration = options.leaseDuration ?? 15_000;
  }

  get #leads(): boolean {
    return this.#observed?.spec.holderIdentity === this.#options.identity;
  }

  /** Leadership is lost: the answer under way no longer matters. */
  giveUp(): void {
    this.#over.abort(new LeadershipLost(this.#options.name));
  }

  /** True when this candidate holds the Lease now. Failures are logged and count as false. */
  async tryAcquireOrRenew(): Promise<boolean> {
    const { client, env, namespace, name } = this.#options;
    if (this.#options.signal.aborted) return false;
    const { signal } = this.#over;
    try {
      // The holder's own copy is most likely current: renewing then takes one request.
      if (this.#leads) {
        try {
          return await this.#write(this.#observed!);
        } catch (error) {
          if (!isReason(error, 'Conflict', 'NotFound')) throw error;
        }
      }
      const current = await client.get(Lease, { namespace, name }, { signal }).catch((error: unknown) => {
        if (isReason(error, 'NotFound')) return undefined;
        throw error;
      });
      if (!current) {
        this.#observe(await client.create(Lease, this.#fresh(), { signal }));
        return true;
      }
      if (sameRecord(current, this.#observed)) this.#observed = current;
      else this.#observe(current);
      const held = current.spec.holderIdentity && !this.#leads;
      const lasts = (current.spec.leaseDurationSeconds ?? this.#duration / 1000) * 1000;
      if (held && this.#observedAt + lasts > env.clock.monotonic()) return false;
      return await this.#write(current);
    } catch (error) {
      if (!signal.aborted && !isReason(error, 'Conflict', 'AlreadyExists'))
        env.log.warn('cannot acquire or renew the lease', { lease: name, error });
      return false;
    }
  }

  /** Lets go of the Lease so that the next candidate need not wait it out. */
  async release(): Promise<void> {
    if (!this.#leads) return;
    const { client, env, name } = this.#options;
    const now = rfc3339Micro(env.clock.now());
    const held = this.#observed!;
    try {
      const spec = { ...held.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: now, acquireTime: now };
      await client.update(Lease, { ...held, spec });
    } catch (error) {
      env.log.warn('cannot release the lease', { lease: name, error });
    }
  }

  async #write(current: Lease): Promise<boolean> {
    const { client, env, identity } = this.#options;
    const now = rfc3339Micro(env.clock.now());
    const mine = current.spec.holderIdentity === identity;
    const updated = await client.update(
      Lease,
      {
        ...current,
        spec: {
          ...current.spec,
          holderIdentity: identity,
          leaseDurationSeconds: Math.round(this.#duration / 1000),
          renewTime: now,
          acquireTime: mine ? (current.spec.acquireTime ?? now) : now,
          leaseTransitions: (current.spec.leaseTransitions ?? 0) + (mine ? 0 : 1),
        },
      },
      { signal: this.#over.signal },
    );
    this.#observe(updated);
    return true;
  }

  #fresh(): Draft<Lease> {
    const { env, namespace, name, identity } = this.#options;
    const now = rfc3339Micro(env.clock.now());
    return {
      apiVersion: Lease.apiVersion,
      kind: Lease.kind,
      metadata: { namespace, name },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.round(this.#duration / 1000),
        acquireTime: now,
        renewTime: now,
        leaseTransitions: 0,
      },
    };
  }

  #observe(lease: Lease): void {
    this.#observed = lease;
    this.#observedAt = this.#options.env.clock.monotonic();
  }
}

function sameRecord(a: Lease, b: Lease | undefined): boolean {
  return (
    b !== undefined &&
    a.spec.holderIdentity === b.spec.holderIdentity &&
    a.spec.renewTime === b.spec.renewTime &&
    a.spec.acquireTime === b.spec.acquireTime &&
    a.spec.leaseTransitions === b.spec.leaseTransitions
  );
}
