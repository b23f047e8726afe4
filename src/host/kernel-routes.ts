// Routes to pods in the kernel's table, told apart from everybody else's by their protocol number.

import type { PodRoute, RouteSink } from '../proxy/pod-routes.ts';
import { run, tryRun } from './run.ts';

/** Numbers below 192 that iproute2 has no name for are free; see rtnetlink(7). */
const PROTOCOL = '119';

interface Known {
  readonly dst: string;
  readonly gateway?: string;
}

/** `clusterCidr` tells the routes of this cluster from those of others on the machine; an IPv4 block of whole bytes or not. */
export class KernelRoutes implements RouteSink {
  readonly #inCluster: (cidr: string) => boolean;

  constructor(clusterCidr: string) {
    const number = (text: string) => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    const [address = '', bits = '32'] = clusterCidr.split('/');
    const size = 2 ** (32 - Number(bits));
    this.#inCluster = (cidr) => Math.floor(number(cidr.split('/')[0]!) / size) === Math.floor(number(address) / size);
  }

  async replace(routes: readonly PodRoute[]): Promise<void> {
    const wanted = new Map(routes.map(({ cidr, via }) => [cidr, via]));
    const known = await this.list();
    for (const { cidr } of known.filter((route) => !wanted.has(route.cidr))) await remove(cidr);
    const failures: string[] = [];
    for (const { cidr, via } of routes) {
      if (known.some((route) => route.cidr === cidr && route.via === via)) continue;
      const { code, stderr } = await tryRun('ip', ['route', 'replace', cidr, 'via', via, 'proto', PROTOCOL]);
      if (code !== 0) failures.push(`no route to ${cidr} by ${via}: ${stderr.trim().split('\n')[0]}`);
    }
    if (failures.length) throw new Error(failures.join('; '));
  }

  async list(): Promise<PodRoute[]> {
    const text = await run('ip', ['-4', '-j', 'route', 'show', 'proto', PROTOCOL]);
    const all = (text.trim() ? JSON.parse(text) : []) as readonly Known[];
    return all.flatMap(({ dst, gateway }) => (gateway && this.#inCluster(dst) ? [{ cidr: dst, via: gateway }] : []));
  }

  async clear(): Promise<void> {
    for (const { cidr } of await this.list()) await remove(cidr);
  }
}

async function remove(cidr: string): Promise<void> {
  await tryRun('ip', ['route', 'delete', cidr, 'proto', PROTOCOL]);
}
