// How long a changed endpoint takes from the kubelet's status write to the rule in the kernel, hop by hop, beside a bare
// `nft` that changes one element of the same table. Everything is as in a cluster: API server, all controllers that have
// to do with Services, proxy and a real nftables table, in a network namespace of its own. Needs root.
// `node bench/endpoints.ts [--services 10000] [--rounds 300]`

import { parseArgs } from 'node:util';
import { EndpointsWorld, type Stamps } from './endpoints/world.ts';
import { bareChange, cpuMs, elements, inNamespace, percentile, sleep } from './endpoints/measure.ts';

const { values } = parseArgs({
  options: { services: { type: 'string', default: '10000' }, rounds: { type: 'string', default: '300' } },
});
const services = Number(values.services);
const rounds = Number(values.rounds);
const ms = (value: number) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
const both = (list: readonly number[]) => `${ms(percentile(list, 50))} / ${ms(percentile(list, 99))}`;
const say = (what: string, text: string) => console.log(`${what.padEnd(56)} ${text}`);

await using netns = inNamespace();
await using world = await EndpointsWorld.start({ netns: netns.path, services });
say(`${services} Services with 2 pods each made in`, ms(world.tookToFill));

{
  const before = process.memoryUsage.rss();
  const cpu = cpuMs();
  const took = await world.startProxy();
  const more = (process.memoryUsage.rss() - before) / 2 ** 20;
  say('first sync from nothing', `${ms(took)}, CPU ${ms(cpuMs() - cpu)}, ${more.toFixed(0)} MB more`);
  say('  of which the kernel', ms(world.kernelTimes.at(-1)!));
  say('  elements in the kernel', String(elements(netns.path)));
}
await sleep(2_000);

const stamps: Stamps[] = [];
for (let i = 0; i < 20 + rounds; i++) {
  const round = await world.flip(world.random(services));
  if (i >= 20) stamps.push(round);
  await sleep(10);
}
say(`one pod's readiness, ${rounds} times, p50 / p99`, both(stamps.map((s) => s.kernel - s.began)));
say('  status write', both(stamps.map((s) => s.written - s.began)));
say('  write to changed slice at the proxy', both(stamps.map((s) => s.slice - s.written)));
say('  plan', both(stamps.map((s) => s.planned - s.slice)));
say('  kernel', both(stamps.map((s) => s.kernel - s.planned)));
{
  const cpu = cpuMs();
  for (let i = 0; i < 100; i++) await world.flip(world.random(services));
  say('  CPU of each, all components', ms((cpuMs() - cpu) / 100));
}
const bare: number[] = [];
for (let i = 0; i < 60; i++) bare.push(await bareChange(netns.path));
say('floor: one element by a bare nft, p50 / p99', both(bare));

const crowd: number[] = [];
for (let i = 0; i < 10; i++) crowd.push(await world.flipMany(100));
say('100 pods at once until the last is in the kernel', both(crowd));

const created: number[] = [];
for (let i = 0; i < 30; i++) created.push(await world.createService());
say('a Service created until its pods answer', both(created));

{
  // The proxy's own timers keep no process alive.
  const alive = setInterval(() => undefined, 1_000);
  const repaired = await world.flush();
  clearInterval(alive);
  say('`nft flush ruleset` until all is back', ms(repaired));
}
{
  const cpu = cpuMs();
  await sleep(10_000);
  say('at rest for 10 s: CPU of all', ms(cpuMs() - cpu));
  say('resident', `${(process.memoryUsage.rss() / 2 ** 20).toFixed(0)} MB`);
}
const wrong = await world.differences();
say('differences between kernel and API', String(wrong));
if (wrong) process.exitCode = 1;
