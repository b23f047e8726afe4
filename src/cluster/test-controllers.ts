// Controllers on a test server, without nodes: a test plays scheduler and kubelet by hand.

import { Namespace } from '../api/kinds/core/namespace.ts';
import type { ClusterRole } from '../api/kinds/rbac/cluster-role.ts';
import type { ClusterRoleBinding } from '../api/kinds/rbac/cluster-role-binding.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { Event } from '../api/kinds/core/event.ts';
import { keyOf } from '../api/object.ts';
import { rfc3339 } from '../base/env.ts';
import { drainMicrotasks } from '../base/virtual-clock.ts';
import type { ControllerDefinition } from '../client/controller.ts';
import { roleOf } from '../client/controller-rbac.ts';
import { runControllers } from '../client/controller-runtime.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { targetNode } from '../controllers/daemon-set-nodes.ts';
import type { Authorizer } from '../server/authorizer.ts';
import { bindController } from '../server/authz/bootstrap-policy.ts';
import { RbacAuthorizer, type RbacSource } from '../server/authz/rbac.ts';
import { createTestServer, type TestServer, type TestServerOptions } from './test-server.ts';

export interface TestControllers extends TestServer {
  /** Runs until nothing is left to do: all promises and, in order, all foreground timers (up to an hour of them). */
  settle(): Promise<void>;
  pods(): Promise<readonly Pod[]>;
  /** Gives pods a node and makes them run and be ready, as of now. */
  makeReady(pods?: readonly Pod[]): Promise<void>;
  /** `reason: message` of all events, oldest first, with `xN` for repeats. */
  events(): Promise<string[]>;
  stop(): Promise<void>;
}

/** Starts `definitions` with a namespace `default` to work in. Call `stop` at the end. */
export async function startControllers(
  definitions: readonly ControllerDefinition[],
  options: TestServerOptions = {},
): Promise<TestControllers> {
  const test = createTestServer({ authorizer: rolesOf(definitions), ...options });
  const { client, clock, env } = test;
  await client.create(Namespace, { metadata: { name: 'default' } } as Namespace);
  const abort = new AbortController();
  const { signal } = abort;
  const informers = createInformerFactory({ client, env }, { signal });
  const running = runControllers(
    definitions,
    (definition) => ({ env, informers, client: test.clientFor(serviceAccount(definition), definition.name) }),
    { signal },
  );
  const settle = async () => {
    const end = clock.now() + 3_600_000;
    for (;;) {
      for (let i = 0; i < 20; i++) await drainMicrotasks();
      const next = clock.nextForeground();
      if (next === undefined || next > end) return;
      await clock.advanceTo(next);
    }
  };
  await settle();
  return {
    ...test,
    settle,
    pods: async () => (await client.list(Pod)).items,
    async makeReady(pods) {
      for (const pod of pods ?? (await client.list(Pod)).items) await makeReady(test, pod);
      await settle();
    },
    async events() {
      const { items } = await client.list(Event);
      return [...items]
        .sort((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
        .map((e) => `${e.reason}: ${e.message}${(e.count ?? 1) > 1 ? ` x${e.count}` : ''}`);
    },
    async stop() {
      abort.abort();
      await running;
      test.close();
    },
  };
}

/** A controller may do what its definition grants, and nothing else: what it lacks would be missed in a real cluster. */
function rolesOf(definitions: readonly ControllerDefinition[]): Authorizer {
  const roles = definitions.map(roleOf) as ClusterRole[];
  const bindings = definitions.map(({ name }) => bindController(name)) as ClusterRoleBinding[];
  const source: RbacSource = {
    generation: () => 1,
    clusterRole: (name) => roles.find((role) => role.metadata.name === name),
    role: () => undefined,
    clusterRoleBindings: () => bindings,
    roleBindings: () => [],
  };
  return new RbacAuthorizer(source);
}

function serviceAccount({ name }: ControllerDefinition) {
  return {
    name: `system:serviceaccount:kube-system:${name}`,
    groups: ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated'],
  };
}

async function makeReady({ client, clock }: TestServer, pod: Pod): Promise<void> {
  const ready = pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
  if (ready || pod.metadata.deletionTimestamp) return;
  const { namespace, name } = pod.metadata;
  if (!pod.spec.nodeName) {
    const target = { apiVersion: 'v1', kind: 'Node', name: targetNode(pod) ?? 'node-1' };
    await client.do({
      verb: 'create',
      group: '',
      version: 'v1',
      resource: 'pods',
      namespace,
      name,
      subresource: 'binding',
      options: {},
      body: { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace }, target },
    });
  }
  const current = await client.get(Pod, { namespace, name });
  const now = rfc3339(clock.now());
  await client.update(
    Pod,
    {
      ...current,
      status: {
        ...current.status,
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: now }],
      },
    },
    { subresource: 'status' },
  );
}

/** `namespace/name` of each, in order. */
export const keysOf = (objects: readonly { metadata: { name: string; namespace?: string } }[]) =>
  objects.map(keyOf).sort();
