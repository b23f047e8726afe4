// What is left on this machine of something whose names are known, as the machine itself tells: processes, mounts, network
// namespaces and links, packet filter rules, cgroups. Beside the product's own look at itself (host/leftovers.ts).

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const tell = (program: string, ...args: string[]): string[] =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).split('\n');

function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return line ? [`process ${pid}: ${line.slice(0, 300)}`] : [];
      } catch {
        // It has ended meanwhile.
        return [];
      }
    });
}

function cgroups(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4]!)
    .flatMap((root) => readdirSync(root).map((name) => `cgroup ${root}/${name}`));
}

/** Lines that name one of the words; empty when all is gone. Needs root. */
export function tracesOf(words: readonly string[]): string[] {
  const all = [
    ...commandLines(),
    ...readFileSync('/proc/self/mountinfo', 'utf8').split('\n'),
    ...tell('ip', 'netns').map((line) => `netns ${line}`),
    ...tell('ip', '-o', 'link'),
    ...tell('nft', 'list', 'ruleset'),
    ...cgroups(),
  ];
  return all.filter((line) => words.some((word) => line.includes(word)));
}
