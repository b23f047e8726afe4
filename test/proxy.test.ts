// Service rules in a real kernel: what a client sees, from pods and from the node itself.

import { execFileSync } from 'node:child_process';
import { afterEach, expect, test } from 'vitest';
import { NftablesSink } from '../src/host/nftables.ts';
import type { Rule } from '../src/proxy/rule-set.ts';
import { connect, testNode, type TestNode } from './support/network.ts';

const VIP = '10.96.0.50';

function rule(pods: readonly { ip: string }[], more: Partial<Rule> = {}): Rule {
  return {
    frontend: { ip: VIP, protocol: 'tcp', port: 80 },
    backends: pods.map(({ ip }) => ({ ip, port: 8080 })),
    drop: false,
    affinitySeconds: 0,
    keepSource: false,
    ...more,
  };
}

let sinks: NftablesSink[] = [];
function sinkOf(node: TestNode): NftablesSink {
  const warn = (message: string) => expect.fail(message);
  const networks = { podCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/16' };
  const sink = new NftablesSink({ table: 'cortest', ...networks, netns: node.netns, warn });
  sinks.push(sink);
  return sink;
}
const nft = (node: TestNode, ...args: string[]) =>
  execFileSync('nsenter', [`--net=${node.netns}`, 'nft', ...args], { encoding: 'utf8' });

afterEach(async () => {
  await Promise.all(sinks.map((sink) => sink.close()));
  sinks = [];
});

const served = (answers: readonly string[]) => [...new Set(answers.map((a) => a.split(' ')[0]))].sort();

test('a VIP spreads over its pods, from pods and from the node, and a pod reaches itself', async () => {
  await using node = testNode();
  const [a, b, client] = [node.pod(), node.pod(), node.pod()];
  await Promise.all([node.serve(a), node.serve(b)]);
  const sink = sinkOf(node);
  await sink.replace([rule([a, b])]);
  expect(served(connect(client.netns, VIP, 80, { times: 30 }))).toEqual([a.ip, b.ip]);
  expect(connect(client.netns, VIP, 80)[0]).toMatch(new RegExp(`${client.ip}$`));
  expect(served(connect(node.netns, VIP, 80, { times: 30 }))).toEqual([a.ip, b.ip]);
  expect(served(connect(a.netns, VIP, 80, { times: 30 }))).toEqual([a.ip, b.ip]);
});

test('changes take and give back exactly what they name; nothing left refuses at once', async () => {
  await using node = testNode();
  const [a, b, client] = [node.pod(), node.pod(), node.pod()];
  await Promise.all([node.serve(a), node.serve(b)]);
  const sink = sinkOf(node);
  await sink.replace([rule([])]);
  expect(connect(client.netns, VIP, 80)).toEqual(['ECONNREFUSED']);
  expect(connect(node.netns, VIP, 80)).toEqual(['ECONNREFUSED']);
  await sink.change([{ before: rule([]), after: rule([a]) }]);
  expect(served(connect(client.netns, VIP, 80, { times: 5 }))).toEqual([a.ip]);
  await sink.change([{ before: rule([a]), after: rule([a, b]) }]);
  expect(served(connect(client.netns, VIP, 80, { times: 30 }))).toEqual([a.ip, b.ip]);
  await sink.change([{ before: rule([a, b]), after: rule([b]) }]);
  expect(served(connect(client.netns, VIP, 80, { times: 10 }))).toEqual([b.ip]);
  await sink.change([{ before: rule([b]), after: undefined }]);
  const elements = nft(node, 'list', 'table', 'ip', 'cortest');
  expect(elements).not.toContain('elements');
  await sink.remove();
  expect(nft(node, 'list', 'tables')).toBe('');
});

test('node ports, session affinity, UDP', async () => {
  await using node = testNode();
  const [a, b, client] = [node.pod(), node.pod(), node.pod()];
  await Promise.all([node.serve(a), node.serve(b)]);
  const sink = sinkOf(node);
  const sticky = rule([a, b], { affinitySeconds: 600, frontend: { ip: VIP, protocol: 'tcp', port: 81 } });
  const nodePort = rule([a, b], { frontend: { protocol: 'tcp', port: 30080 } });
  const udp = rule([a], { frontend: { ip: VIP, protocol: 'udp', port: 53 } });
  await sink.replace([sticky, nodePort, udp]);
  expect(served(connect(client.netns, VIP, 81, { times: 20 }))).toHaveLength(1);
  expect(served(connect(client.netns, node.ip, 30080, { times: 30 }))).toEqual([a.ip, b.ip]);
  expect(served(connect(node.netns, node.ip, 30080, { times: 30 }))).toEqual([a.ip, b.ip]);
  expect(connect(client.netns, VIP, 53, { protocol: 'udp' })).toEqual([a.ip]);
  await sink.change([{ before: udp, after: { ...udp, backends: [{ ip: b.ip, port: 8080 }] } }]);
  expect(connect(client.netns, VIP, 53, { protocol: 'udp', times: 2 })).toEqual([b.ip, b.ip]);
  const kept = connect(client.netns, VIP, 81)[0]!.split(' ')[0]!;
  const left = kept === a.ip ? b : a;
  await sink.change([{ before: sticky, after: { ...sticky, backends: [{ ip: left.ip, port: 8080 }] } }]);
  expect(served(connect(client.netns, VIP, 81, { times: 5 }))).toEqual([left.ip]);
});

test('writing all anew keeps clients with affinity where they are', async () => {
  await using node = testNode();
  const [a, b, client] = [node.pod(), node.pod(), node.pod()];
  await Promise.all([node.serve(a), node.serve(b)]);
  const sink = sinkOf(node);
  const sticky = rule([a, b], { affinitySeconds: 600 });
  await sink.replace([sticky]);
  const remembered = () => nft(node, 'list', 'map', 'ip', 'cortest', 'vip-sticky').match(/: 0x\d+/)?.[0];
  connect(client.netns, VIP, 80);
  const slot = remembered();
  expect(slot).toBeDefined();
  await sink.replace([sticky, rule([a], { frontend: { ip: VIP, protocol: 'tcp', port: 82 } })]);
  expect(remembered()).toBe(slot);
  expect(served(connect(client.netns, VIP, 82))).toEqual([a.ip]);
});

test('a table of another shape is replaced', async () => {
  await using node = testNode();
  nft(node, 'add table ip cortest; add map ip cortest vip { type ipv4_addr : ipv4_addr; }; add chain ip cortest old');
  const sink = sinkOf(node);
  await sink.replace([rule([])]);
  expect(nft(node, 'list', 'table', 'ip', 'cortest')).not.toContain('old');
  expect(await sink.intact()).toBe(true);
});

test('a flushed ruleset and a lost chain show; a refused change leaves everything as it was', async () => {
  await using node = testNode();
  const a = node.pod();
  const sink = sinkOf(node);
  await sink.replace([rule([a])]);
  expect(await sink.intact()).toBe(true);
  const before = nft(node, 'list', 'table', 'ip', 'cortest');
  const other = rule([a], { frontend: { ip: VIP, protocol: 'tcp', port: 99 } });
  await expect(sink.change([{ before: other, after: rule([a, a]) }])).rejects.toThrow('No such file');
  expect(nft(node, 'list', 'table', 'ip', 'cortest')).toBe(before);
  nft(node, 'flush', 'chain', 'ip', 'cortest', 'refuse-local');
  nft(node, 'delete', 'chain', 'ip', 'cortest', 'refuse-local');
  expect(await sink.intact()).toBe(false);
  await sink.replace([rule([a])]);
  expect(await sink.intact()).toBe(true);
  nft(node, 'flush', 'ruleset');
  expect(await sink.intact()).toBe(false);
});

test('a restricted frontend lets in whom it names and drops others, and a change of that is a change of elements', async () => {
  await using node = testNode();
  const [a, friend, stranger] = [node.pod(), node.pod(), node.pod()];
  await node.serve(a);
  const sink = sinkOf(node);
  const open = rule([a]);
  const restricted = rule([a], { sources: [`${friend.ip}/32`, '198.51.100.0/24', '198.51.100.7/32'] });
  await sink.replace([restricted]);
  expect(served(connect(friend.netns, VIP, 80))).toEqual([a.ip]);
  expect(connect(stranger.netns, VIP, 80)).toEqual(['timeout']);
  await sink.change([{ before: restricted, after: open }]);
  expect(served(connect(stranger.netns, VIP, 80))).toEqual([a.ip]);
  await sink.change([{ before: open, after: rule([a], { sources: [] }) }]);
  expect(connect(friend.netns, VIP, 80)).toEqual(['timeout']);
});

test('UDP flows to endpoints that went are forgotten, by a change as by who comes anew; others stay', async () => {
  await using node = testNode();
  const [a, b, client] = [node.pod(), node.pod(), node.pod()];
  await Promise.all([node.serve(a), node.serve(b)]);
  const udp = (port: number, pods: readonly { ip: string }[]) =>
    rule(pods, { frontend: { ip: VIP, protocol: 'udp', port } });
  /** The Service's ports that clients have flows at, and where those lead. */
  const flows = () =>
    execFileSync('nsenter', [`--net=${node.netns}`, 'conntrack', '-L', '-p', 'udp', '-d', VIP], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
      .split('\n')
      .flatMap((line) => /dport=(\d+) .*?src=(\S+) /.exec(line)?.slice(1).join(' ') ?? [])
      .sort();
  const first = sinkOf(node);
  await first.replace([udp(53, [a]), udp(54, [a]), udp(55, [a])]);
  for (const port of [53, 54, 55]) connect(client.netns, VIP, port, { protocol: 'udp' });
  expect(flows()).toEqual([`53 ${a.ip}`, `54 ${a.ip}`, `55 ${a.ip}`]);
  await first.change([{ before: udp(53, [a]), after: udp(53, [b]) }]);
  await first.close();
  expect(flows()).toEqual([`54 ${a.ip}`, `55 ${a.ip}`]);
  // What changed while nobody was there: one port leads elsewhere, one is gone.
  const next = sinkOf(node);
  await next.replace([udp(54, [a, b])]);
  await next.close();
  expect(flows()).toEqual([`54 ${a.ip}`]);
  await next.replace([udp(54, [b])]);
  await next.close();
  expect(flows()).toEqual([]);
});
