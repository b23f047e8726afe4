// Random histories of rules in a real kernel: changes one by one must lead to the very table that writing all at once
// makes. `CORACLE_RUNS` sets how many histories (20 unless told).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NftablesSink } from '../src/host/nftables.ts';
import { frontendKey, type Rule, type RuleChange } from '../src/proxy/rule-set.ts';
import { testNode } from './support/network.ts';
import { nftContents } from './support/nft-contents.ts';

const options = { podCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/16' };
const runs = Number(process.env['CORACLE_RUNS'] ?? 20);

const frontend = fc.record(
  {
    ip: fc.constantFrom('10.96.0.1', '10.96.0.2', '192.0.2.1'),
    protocol: fc.constantFrom('tcp' as const, 'udp' as const, 'sctp' as const),
    port: fc.constantFrom(53, 80),
  },
  { requiredKeys: ['protocol', 'port'] },
);
const backend = fc.record({
  ip: fc.integer({ min: 1, max: 6 }).map((n) => `10.244.0.${n}`),
  port: fc.constantFrom(53, 80),
});
const rule: fc.Arbitrary<Rule> = fc.record({
  frontend,
  backends: fc.uniqueArray(backend, { maxLength: 4, selector: (b) => `${b.ip}:${b.port}` }),
  drop: fc.boolean(),
  affinitySeconds: fc.constantFrom(0, 0, 60),
  keepSource: fc.boolean(),
  sources: fc.option(fc.subarray(['192.0.2.0/24', '192.0.2.77/25', '198.51.100.1/32', '0.0.0.0/0']), {
    nil: undefined,
  }),
}) as fc.Arbitrary<Rule>;
/** One transaction: some rules come or change, some frontends go. */
const step = fc.record({ set: fc.array(rule, { maxLength: 4 }), drop: fc.array(frontend, { maxLength: 2 }) });

test('changes one by one and all at once make the same table', { timeout: 600_000 }, async () => {
  await using node = testNode();
  const stepwise = new NftablesSink({ ...options, table: 'stepwise', netns: node.netns });
  const atonce = new NftablesSink({ ...options, table: 'atonce', netns: node.netns });
  let compared = 0;
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        const rules = new Map<string, Rule>();
        await stepwise.replace([]);
        for (const { set, drop } of steps) {
          const changes = new Map<string, RuleChange>();
          const change = (key: string, after: Rule | undefined) => {
            const before = changes.has(key) ? changes.get(key)!.before : rules.get(key);
            if (before || after) changes.set(key, { before, after });
            else changes.delete(key);
          };
          for (const one of set) change(frontendKey(one.frontend), one);
          for (const one of drop) change(frontendKey(one), undefined);
          await stepwise.change([...changes.values()]);
          for (const [key, { after }] of changes) {
            if (after) rules.set(key, after);
            else rules.delete(key);
          }
        }
        await atonce.replace(rules.values());
        const got = nftContents(node.netns, 'stepwise');
        expect(got).toEqual(nftContents(node.netns, 'atonce'));
        compared += got.length;
      }),
      { numRuns: runs, seed: 7 },
    );
    expect(compared).toBeGreaterThan(runs);
  } finally {
    await Promise.all([stepwise.close(), atonce.close()]);
  }
});
