// The way to the pods of other nodes: a route to each node's part of the pod network, by the node's own address. It works
// where nodes see each other directly, without a router between them.

import { Node } from '../api/kinds/core/node.ts';
import { sleep, type Env } from '../base/env.ts';
import type { InformerFactory } from '../client/informer.ts';

export interface PodRoute {
  /** The addresses of a node's pods. */
  readonly cidr: string;
  /** The node's own address. */
  readonly via: string;
}

export interface RouteSink {
  /** Makes these the routes to pods, all of them. Rejects with an Error that names the first that could not be made. */
  replace(routes: readonly PodRoute[]): Promise<void>;
}

export interface PodRoutesOptions {
  readonly env: Env;
  readonly informers: InformerFactory;
  readonly nodeName: string;
  readonly sink: RouteSink;
}

const RETRY = 10_000;

/** The routes a node needs, in a fixed order. */
export function planRoutes(nodes: readonly Node[], self: string): PodRoute[] {
  return nodes
    .filter((node) => node.metadata.name !== self)
    .flatMap(({ spec, status }) => {
      const via = status?.addresses?.find((a) => a.type === 'InternalIP' && !a.address.includes(':'))?.address;
      return spec.podCIDR && via ? [{ cidr: spec.podCIDR, via }] : [];
    })
    .toSorted((a, b) => (a.cidr < b.cidr ? -1 : 1));
}

/** Runs until the signal aborts. The routes stay: connections must outlive a restart. */
export async function runPodRoutes(options: PodRoutesOptions, { signal }: { signal: AbortSignal }): Promise<void> {
  const { informers, nodeName, sink } = options;
  const log = options.env.log.child('pod-routes');
  const nodes = informers.informer(Node);
  await nodes.synced;
  let wake = () => {};
  // Not yet known: whatever routes an earlier run left are made right.
  let current: string | undefined;
  const wanted = () => planRoutes(nodes.list(), nodeName);
  const unsubscribe = nodes.on(() => wake());
  signal.addEventListener('abort', () => wake(), { once: true });
  try {
    while (!signal.aborted) {
      const routes = wanted();
      const text = JSON.stringify(routes);
      if (text === current) {
        await new Promise<void>((resolve) => (wake = resolve));
        continue;
      }
      try {
        await sink.replace(routes);
        current = text;
      } catch (error) {
        log.warn('pods of another node cannot be reached', { error: (error as Error).message });
        await sleep(options.env, RETRY, { signal, unref: true }).catch(() => {});
      }
    }
  } finally {
    unsubscribe();
  }
}
