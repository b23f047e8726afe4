// The child of kill-proxy.test.ts: goes from one set of rules to the next as quickly as the kernel takes them, and tells of
// each that is in place. argv: the network namespace, the first state.

import { writeSync } from 'node:fs';
import { NftablesSink } from '../../../src/host/nftables.ts';
import { frontendKey, type Rule, type RuleChange } from '../../../src/proxy/rule-set.ts';

export const NETWORKS = { podCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/16' };
/** So many that a transaction does not fit into a pipe. */
const SERVICES = 900;

/** Every rule differs between a state and the next. */
export function rulesOf(state: number): Rule[] {
  return Array.from({ length: SERVICES }, (_, i) => ({
    frontend: { ip: `10.96.${i >> 8}.${i & 255}`, protocol: 'tcp' as const, port: 80 },
    backends: Array.from({ length: (state + i) % 3 }, (_, k) => ({ ip: `10.244.${state % 200}.${k + 1}`, port: 8080 })),
    drop: false,
    affinitySeconds: 0,
    keepSource: false,
  }));
}

if (process.argv[1] === import.meta.filename) {
  const [netns = '', first = '0'] = process.argv.slice(2);
  const sink = new NftablesSink({ table: 'killed', ...NETWORKS, netns });
  let before = rulesOf(Number(first));
  await sink.replace(before);
  writeSync(1, `${first}\n`);
  for (let state = Number(first) + 1; ; state++) {
    const old = new Map(before.map((rule) => [frontendKey(rule.frontend), rule]));
    const after = rulesOf(state);
    const changes: RuleChange[] = after.map((rule) => ({ before: old.get(frontendKey(rule.frontend)), after: rule }));
    await sink.change(changes);
    writeSync(1, `${state}\n`);
    before = after;
  }
}
