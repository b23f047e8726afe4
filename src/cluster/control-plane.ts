// The control plane without any transport: API server, controllers and scheduler over one store. The real cluster puts a
// listener in front of it, the embedded one uses it as it is.

import { builtinKinds } from '../api/kinds/index.ts';
import type { StatusError } from '../api/errors.ts';
import type { NodeConnector } from '../api/node-api.ts';
import type { UserInfo } from '../api/op.ts';
import type { Env } from '../base/env.ts';
import { Metrics } from '../base/metrics.ts';
import { Client } from '../client/client.ts';
import type { ControllerDefinition } from '../client/controller.ts';
import { roleOf } from '../client/controller-rbac.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { controllersOf } from '../controllers/index.ts';
import { runScheduler } from '../scheduler/scheduler.ts';
import { admissionPlugins, type AdmissionOptions } from '../server/admission/index.ts';
import type { Authorizer } from '../server/authorizer.ts';
import { apiMetrics } from '../server/api-metrics.ts';
import { bindController, NODE_RULES, nodesBinding } from '../server/authz/bootstrap-policy.ts';
import { bootstrapRbac } from '../server/authz/bootstrap.ts';
import { NodeAuthorizer } from '../server/authz/node.ts';
import { nodeSource } from '../server/authz/node-source.ts';
import { rbacSource } from '../server/authz/rbac-source.ts';
import { alwaysAllow, alwaysDeny, RbacAuthorizer, UnionAuthorizer } from '../server/authz/rbac.ts';
import { reviewHandlers } from '../server/authz/reviews.ts';
import { bootstrapSystem, publishApiServer, type ApiServerAddress } from '../server/bootstrap.ts';
import { Caches } from '../server/caches.ts';
import type { Handler } from '../server/call.ts';
import { createApiServer, type ApiServer, type OperationHook } from '../server/pipeline.ts';
import { ServiceAllocator, type ServiceRanges } from '../server/service-allocator.ts';
import { storeMetrics } from '../server/store-metrics.ts';
import { subresourceHandlers } from '../server/subresources/index.ts';
import type { Store } from '../store/store.ts';
import { SCHEDULER } from './identities.ts';
import { runControllerManager, selectControllers } from './run-controllers.ts';

export type AuthorizationMode = 'RBAC' | 'Node' | 'AlwaysAllow' | 'AlwaysDeny';

export interface ControlPlaneOptions {
  readonly env: Env;
  readonly store: Store;
  /** In the order they are asked; Node and RBAC unless told. */
  readonly authorization?: readonly AuthorizationMode[];
  readonly admission?: AdmissionOptions;
  readonly serviceRanges?: ServiceRanges;
  readonly nodeConnector?: NodeConnector;
  /** Handlers that need more than the control plane has: tokens, token reviews. */
  readonly handlers?: (caches: Caches) => Iterable<readonly [string, Handler]>;
  /** Where pods reach the API server: behind the Service `kubernetes`. */
  readonly advertise?: ApiServerAddress;
  /** For the ConfigMap kube-root-ca.crt. */
  readonly rootCa?: string;
  readonly clusterCidr?: string;
  /** Further controllers: those that need what only the composition has. */
  readonly controllers?: readonly ControllerDefinition[];
  /** As upstream's --controllers: `*`, names, `-names`. */
  readonly selectControllers?: string;
  readonly observe?: OperationHook;
  /** Wraps each component's client. */
  readonly between?: (client: Client, user: UserInfo, userAgent: string) => Client;
  readonly freeze?: boolean;
}

const HOOKS = {
  system: [
    'poststarthook/start-system-namespaces-controller',
    'poststarthook/scheduling/bootstrap-system-priority-classes',
  ],
  roles: ['poststarthook/rbac/bootstrap-roles'],
} as const;

export interface ControlPlane {
  readonly server: ApiServer;
  readonly caches: Caches;
  readonly metrics: Metrics;
  /** What of `bootstrap` is done, by upstream's names of the hooks. */
  readonly bootstrapped: ReadonlyMap<string, boolean>;
  clientOf(user: UserInfo, userAgent: string): Client;
  /** Makes what every cluster has: namespaces, roles, the Service `kubernetes`. The API serves before and meanwhile. */
  bootstrap(): Promise<void>;
  /** In the place of `bootstrap`, over a store that is known to hold all that. */
  resume(): Promise<void>;
  /** Controllers, until the signal aborts. */
  runControllers(context: { signal: AbortSignal }): Promise<void>;
  runScheduler(context: { signal: AbortSignal }): Promise<void>;
  /** As `ApiServer.close`. */
  close(error?: StatusError): void;
}

export function createControlPlane(options: ControlPlaneOptions): ControlPlane {
  const { store } = options;
  const metrics = options.env.metrics ?? new Metrics();
  const env = { ...options.env, metrics };
  const log = env.log.child('apiserver');
  const caches = new Caches({ store, log, freeze: options.freeze ?? false, timer: storeMetrics(metrics, env.clock) });
  const roles = rbacSource(caches);
  const rbac = new RbacAuthorizer(roles);
  const modes = options.authorization ?? ['Node', 'RBAC'];
  const authorizer = authorizerOf(modes, rbac, caches);
  const definitions = definitionsOf(options);
  const selected = selectControllers(definitions, options.selectControllers ?? '*');
  const server = createApiServer({
    env,
    caches,
    kinds: builtinKinds,
    authorizer,
    admission: admissionPlugins(
      { caches, env, authorizer, rbac: modes.includes('RBAC') ? rbac : undefined },
      options.admission,
    ),
    handlers: [
      ...subresourceHandlers,
      ...reviewHandlers(modes.includes('RBAC') ? rbac : undefined),
      ...(options.handlers?.(caches) ?? []),
    ],
    allocators: [['services', new ServiceAllocator(caches, env.random, options.serviceRanges)]],
    ...(options.nodeConnector ? { nodeConnector: options.nodeConnector } : {}),
    ...countingHooks(metrics, caches, options.observe),
    ...(options.freeze ? { freeze: true } : {}),
  });
  const bootstrapped = new Map<string, boolean>(Object.values(HOOKS).flatMap((all) => all.map((h) => [h, false])));
  const clientOf = clientsOf(server, options.between);
  const done = (hooks: readonly string[]) => hooks.forEach((hook) => bootstrapped.set(hook, true));
  return {
    server,
    caches,
    metrics,
    bootstrapped,
    clientOf,
    async bootstrap() {
      await roles.ready;
      await bootstrapSystem(server);
      done(HOOKS.system);
      await Promise.all([
        bootstrapRbac(server, {
          clusterRoles: definitions.map(roleOf),
          clusterRoleBindings: [
            ...definitions.map((d) => bindController(d.name)),
            ...(modes.includes('Node') ? [] : [nodesBinding]),
          ],
        }),
        options.advertise ? publishApiServer(server, options.advertise) : undefined,
      ]);
      done(HOOKS.roles);
    },
    async resume() {
      await roles.ready;
      done([...HOOKS.system, ...HOOKS.roles]);
    },
    runControllers: (context) => runControllerManager({ env, clientOf, definitions: selected }, context),
    async runScheduler(context) {
      const client = clientOf(SCHEDULER, 'kube-scheduler');
      const informers = createInformerFactory({ client, env }, context);
      await runScheduler({ client, env, informers }, context);
    },
    close: (error) => server.close(error),
  };
}

/** All controllers of the cluster: they have roles even where they run elsewhere. */
function definitionsOf({ rootCa, clusterCidr, controllers }: ControlPlaneOptions): readonly ControllerDefinition[] {
  const config = { kinds: builtinKinds, ...(rootCa ? { rootCa } : {}), ...(clusterCidr ? { clusterCidr } : {}) };
  return [...controllersOf(config), ...(controllers ?? [])];
}

/** Every operation is counted, and told to `also`. */
function countingHooks(metrics: Metrics, caches: Caches, also: OperationHook | undefined) {
  const { audit, observe } = apiMetrics(metrics, caches);
  if (!also) return { audit, observe };
  const both: OperationHook = (op, outcome) => {
    observe(op, outcome);
    also(op, outcome);
  };
  return { audit, observe: both };
}

function clientsOf(server: ApiServer, between: ControlPlaneOptions['between']) {
  return (user: UserInfo, userAgent: string): Client => {
    const client = new Client(server.transport(user, userAgent), userAgent);
    return between?.(client, user, userAgent) ?? client;
  };
}

function authorizerOf(modes: readonly AuthorizationMode[], rbac: RbacAuthorizer, caches: Caches): Authorizer {
  const all = modes.flatMap((mode): Authorizer[] => {
    if (mode === 'RBAC') return [rbac];
    if (mode === 'Node') return [new NodeAuthorizer(nodeSource(caches), NODE_RULES)];
    if (mode === 'AlwaysAllow') return [alwaysAllow];
    return [alwaysDeny];
  });
  return all.length === 1 ? all[0]! : new UnionAuthorizer(all);
}
