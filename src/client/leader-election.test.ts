import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Lease } from '../api/kinds/coordination/lease.ts';
import { Namespace } from '../api/kinds/core/namespace.ts';
import { sleep } from '../base/env.ts';
import { drainMicrotasks } from '../base/virtual-clock.ts';
import { createTestServer, type TestServer } from '../cluster/test-server.ts';
import { Client } from './client.ts';
import { LeadershipLost, runLeaderElection } from './leader-election.ts';

let test: TestServer;
let log: string[];
const cut = new Set<string>();
/** Milliseconds by which answers to a candidate are late. */
const late = new Map<string, number>();
beforeEach(async () => {
  test = createTestServer();
  log = [];
  cut.clear();
  late.clear();
  await test.client.create(Namespace, { metadata: { name: 'kube-system' } } as never);
});
afterEach(() => test.close());

function candidate(identity: string) {
  const abort = new AbortController();
  const client = new Client(async (op, options) => {
    if (cut.has(identity)) throw new Error('unreachable');
    const result = await test.client.do(op, options?.signal);
    const ms = late.get(identity);
    if (ms) await sleep(test.env, ms, options?.signal ? { signal: options.signal } : {});
    return result;
  }, identity);
  const ended = runLeaderElection(
    { client, env: test.env, namespace: 'kube-system', name: 'scheduler', identity, signal: abort.signal },
    async ({ signal }) => {
      log.push(`${identity} leads`);
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      log.push(`${identity} ends`);
    },
  );
  const how = ended.then(
    () => 'done',
    (error: unknown) => (error instanceof LeadershipLost ? 'lost' : String(error)),
  );
  return { stop: () => abort.abort(), how };
}
const lease = () => test.client.get(Lease, { namespace: 'kube-system', name: 'scheduler' });
const idle = async () => {
  for (let i = 0; i < 10; i++) await drainMicrotasks();
};

describe('leader election', () => {
  it('lets one lead, renews, and passes on at once when released', async () => {
    const a = candidate('a');
    await idle();
    const b = candidate('b');
    await test.clock.advance(60_000);
    expect(log).toEqual(['a leads']);
    expect((await lease()).spec).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 });
    expect(Date.parse((await lease()).spec.renewTime!)).toBeGreaterThan(test.clock.now() - 3000);
    expect(test.clock.nextForeground()).toBeUndefined();
    a.stop();
    expect(await a.how).toBe('done');
    await test.clock.advance(5_000);
    expect(log).toEqual(['a leads', 'a ends', 'b leads']);
    expect((await lease()).spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
    b.stop();
    expect(await b.how).toBe('done');
  });

  it('gives up when it cannot renew, before another takes over', async () => {
    const a = candidate('a');
    await idle();
    const b = candidate('b');
    cut.add('a');
    await test.clock.advance(13_000);
    expect(log).toEqual(['a leads', 'a ends']);
    expect(await a.how).toBe('lost');
    await test.clock.advance(10_000);
    expect(log).toEqual(['a leads', 'a ends', 'b leads']);
    b.stop();
    await b.how;
  });

  it.each([9_000, 12_000, 60_000])('ends before another takes over, also when answers come %i ms late', async (ms) => {
    const a = candidate('a');
    await idle();
    const b = candidate('b');
    late.set('a', ms);
    await test.clock.advance(90_000);
    b.stop();
    await b.how;
    a.stop();
    expect(await a.how).toBe('lost');
    expect(log.slice(0, 3)).toEqual(['a leads', 'a ends', 'b leads']);
  });

  it('an orderly end releases what a request under way has just renewed', async () => {
    const a = candidate('a');
    await idle();
    late.set('a', 1_000);
    await test.clock.advance(2_500);
    a.stop();
    await test.clock.advance(2_000);
    expect(await a.how).toBe('done');
    expect((await lease()).spec.holderIdentity).toBe('');
  });

  it('survives a short outage', async () => {
    const a = candidate('a');
    await idle();
    cut.add('a');
    await test.clock.advance(7_000);
    cut.clear();
    await test.clock.advance(20_000);
    expect(log).toEqual(['a leads']);
    a.stop();
    expect(await a.how).toBe('done');
  });

  it('ends quietly when stopped while waiting', async () => {
    const a = candidate('a');
    await idle();
    const b = candidate('b');
    await test.clock.advance(3_000);
    b.stop();
    expect(await b.how).toBe('done');
    a.stop();
    await a.how;
  });
});
