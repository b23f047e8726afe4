// One at a time among several of the same kind: the Leases that upstream's scheduler and controller manager hold.

import { hostname } from 'node:os';
import { uuid, type Env } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import { LeadershipLost, runLeaderElection } from '../client/leader-election.ts';

export interface Election {
  /** The Lease. */
  readonly name: string;
  readonly namespace: string;
  /** Milliseconds. */
  readonly leaseDuration: number;
  readonly renewDeadline: number;
  readonly retryPeriod: number;
}

export const electionOf = (name: string): Election => ({
  name,
  namespace: 'kube-system',
  leaseDuration: 15_000,
  renewDeadline: 10_000,
  retryPeriod: 2_000,
});

interface Candidate {
  readonly client: Client;
  readonly env: Env;
}
type Run = (context: { signal: AbortSignal }) => Promise<void>;

/** Runs it while leading. Rejects with LeadershipLost when the Lease could not be kept. */
export async function runElected(
  { client, env }: Candidate,
  election: Election,
  run: Run,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  let leads = 0;
  const ended = env.metrics?.reading(
    'leader_election_master_status',
    'Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master. ' +
      "'name' is the string used to identify the lease. Please make sure to group by name.",
    ['name'],
    () => [[[election.name], leads]],
  );
  const identity = `${hostname()}_${uuid(env.random)}`;
  try {
    await runLeaderElection({ client, env, identity, ...election, signal }, (context) => {
      env.log.info('became the leader', { lease: election.name, identity });
      leads = 1;
      return run(context).finally(() => (leads = 0));
    });
  } finally {
    ended?.();
  }
}

/** The same, standing for election again after a loss: for what shares its process with others. */
export async function runWheneverElected(
  candidate: Candidate,
  election: Election,
  run: Run,
  context: { signal: AbortSignal },
): Promise<void> {
  while (!context.signal.aborted) {
    try {
      await runElected(candidate, election, run, context);
      return;
    } catch (error) {
      if (!(error instanceof LeadershipLost)) throw error;
    }
  }
}
