// UDP has no end: the kernel goes on translating a client's packets to a backend that went for as long as they keep coming.
// So the tracked flows of what changed are forgotten; those of TCP end by themselves. With the `conntrack` program.

import type { Rule, RuleChange } from '../proxy/rule-set.ts';
import type { NetShell } from './net-shell.ts';

/** Exit code 1 says that there was nothing to delete. */
async function conntrack(shell: NetShell, commands: readonly string[]): Promise<void> {
  const deletes = commands.map((args) => `conntrack -D -p udp ${args} >/dev/null; [ $? -le 1 ] || exit $?`);
  for (let i = 0; i < deletes.length; i += 100) {
    const { code, output } = await shell.run(`(\n${deletes.slice(i, i + 100).join('\n')}\n)`);
    if (code > 1) throw new Error(`flows to gone endpoints may go on: ${output.trim().slice(0, 200)}`);
  }
}

/** Forgets the flows to backends that a change took away, and those from before there was one. */
export async function forgetChanged(shell: NetShell, changes: readonly RuleChange[]): Promise<void> {
  const commands = changes.flatMap(({ before, after }) => {
    const { protocol, ip, port } = (before ?? after)!.frontend;
    if (protocol !== 'udp') return [];
    const left = new Set(after?.backends.map((b) => b.ip));
    const origin = ip ? `--orig-dst ${ip} --orig-port-dst ${port}` : `--orig-port-dst ${port}`;
    const gone = (before?.backends ?? []).filter((b) => !left.has(b.ip)).map((b) => `${origin} --dst-nat ${b.ip}`);
    // Packets sent before there was a backend have left entries without translation.
    const first = !before?.backends.length && left.size > 0 ? [origin] : [];
    return [...new Set([...gone, ...first])];
  });
  await conntrack(shell, commands);
}

const FLOW = /src=\S+ dst=(\S+) sport=\d+ dport=(\d+) .*?src=(\S+) dst=\S+ sport=(\d+) /;

/**
 * Forgets the flows that lead elsewhere than `rules` say: those of changes that nobody saw. What is addressed neither to a
 * frontend nor into the Services' range (as `10.96.0.0/12`) is none of this one's.
 */
export async function forgetStale(shell: NetShell, rules: readonly Rule[], serviceCidr: string): Promise<void> {
  const { code, output } = await shell.run('conntrack -L -p udp 2>/dev/null');
  if (code > 1) throw new Error('flows to gone endpoints may go on: conntrack cannot be asked');
  const wanted = new Map(
    rules
      .filter((rule) => rule.frontend.protocol === 'udp' && rule.frontend.ip)
      .map((rule) => [
        `${rule.frontend.ip} ${rule.frontend.port}`,
        new Set(rule.backends.map((b) => `${b.ip} ${b.port}`)),
      ]),
  );
  const commands = new Set<string>();
  for (const line of output.split('\n')) {
    const [, dst, port, from, fromPort] = FLOW.exec(line) ?? [];
    if (!dst) continue;
    const backends = wanted.get(`${dst} ${port}`);
    if (!backends && !inBlock(dst, serviceCidr)) continue;
    if (backends?.has(`${from} ${fromPort}`) || (backends?.size === 0 && from === dst)) continue;
    const translated = from === dst ? '' : ` --dst-nat ${from}`;
    commands.add(`--orig-dst ${dst} --orig-port-dst ${port}${translated}`);
  }
  await conntrack(shell, [...commands]);
}

const bits = (ip: string) => ip.split('.').reduce((all, part) => all * 256 + Number(part), 0);

function inBlock(ip: string, block: string): boolean {
  const [network, length] = block.split('/');
  const size = 2 ** (32 - Number(length));
  return Math.floor(bits(ip) / size) === Math.floor(bits(network!) / size);
}
