// The service proxy is killed with SIGKILL in the middle of its transactions: the kernel then holds one whole set of rules,
// the last that it told of or the next one, no helper process stays, and whoever comes next goes on from there.
//
// CORACLE_HARD_ROUNDS (8) kills.

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { NftablesSink } from '../../src/host/nftables.ts';
import { until } from '../support/cluster.ts';
import { testNode } from '../support/network.ts';
import { nftContents } from '../support/nft-contents.ts';
import { NETWORKS, rulesOf } from './support/proxy-main.ts';

const ROUNDS = Number(process.env['CORACLE_HARD_ROUNDS'] ?? 8);
const MAIN = join(import.meta.dirname, 'support/proxy-main.ts');

/** How many shells and nfts are in a network namespace. */
function helpers(netns: string): number {
  const wanted = `net:[${statSync(netns).ino}]`;
  return readdirSync('/proc').filter((pid) => {
    try {
      if (readlinkSync(`/proc/${pid}/ns/net`) !== wanted) return false;
      return /^(sh|nft)\0/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
    } catch {
      // No process, or one that has just ended.
      return false;
    }
  }).length;
}

test(`kill -9 of a proxy at work, ${ROUNDS} times`, { timeout: 30_000 + ROUNDS * 5_000 }, async () => {
  await using node = testNode();
  const { netns } = node;
  const reference = new NftablesSink({ table: 'reference', ...NETWORKS, netns });
  let state = 0;
  let moved = 0;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const own = helpers(netns);
      const child = spawn(process.execPath, [MAIN, netns, String(state)], { stdio: ['ignore', 'pipe', 'inherit'] });
      let told = '';
      child.stdout.on('data', (text: Buffer) => (told += text.toString()));
      const ended = new Promise((resolve) => child.once('close', resolve));
      await until('it has begun', () => told !== '');
      await delay(Math.random() * 300);
      child.kill('SIGKILL');
      await ended;
      await until('nothing of it is left', () => helpers(netns) <= own);
      const last = Number(told.trim().split('\n').at(-1));
      const got = nftContents(netns, 'killed');
      let found: number | undefined;
      for (const each of [last, last + 1]) {
        await reference.replace(rulesOf(each));
        if (JSON.stringify(nftContents(netns, 'reference')) === JSON.stringify(got)) found = each;
      }
      expect(found, `after ${last} the table is of one state`).toBeDefined();
      moved += found! - state;
      state = found! + 1;
    }
    expect(moved).toBeGreaterThan(0);
  } finally {
    await reference.close();
  }
});
