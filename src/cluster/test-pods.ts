// For tests of pods: nodes that are closed after each test, and what is said of their pods in few words.

import type { PodCondition } from '../api/generated/core-v1.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import type { ContainerConfig } from '../kubelet/runtime.ts';
import type { ContainerBehaviour } from '../kubelet/simulated-behaviour.ts';
import { testNode, type TestNode, type TestNodeOptions } from './test-node.ts';

export const SECOND = 1000;
const open: TestNode[] = [];

/** A node that `closeNodes` closes. */
export async function node(options: TestNodeOptions = {}): Promise<TestNode> {
  const made = await testNode(options);
  open.push(made);
  return made;
}

/** For nodes whose kubelet has stopped and whose server another one goes on with: they are not closed. */
export function forgetNodes(): void {
  open.length = 0;
}

/** For afterEach. */
export async function closeNodes(): Promise<void> {
  for (const one of open.splice(0)) await one.close();
}

/** Behaviour by container name. */
export const acting = (by: Record<string, ContainerBehaviour | ((c: ContainerConfig) => ContainerBehaviour)>) => ({
  simulate: {
    scenario: (c: ContainerConfig) => {
      const known = by[c.name] ?? {};
      return typeof known === 'function' ? known(c) : known;
    },
  },
});

/** `Ready=False(ContainersNotReady)` and so on. */
export const conditionsOf = (pod: Pod | undefined) =>
  (pod?.status?.conditions ?? []).map((c: PodCondition) => `${c.type}=${c.status}${c.reason ? `(${c.reason})` : ''}`);

export const remove = (n: TestNode, name: string, gracePeriodSeconds?: number) =>
  n.client.delete(Pod, { namespace: 'default', name }, gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds });

/** The containers that were made, in order. */
export const started = (n: TestNode) =>
  n.runtime.calls.filter((c) => c.startsWith('createContainer')).map((c) => c.slice(16));

export const init = (name: string) => ({ name, image: 'busybox:1' });
export const sidecar = (name: string) => ({ name, image: 'busybox:1', restartPolicy: 'Always' });
