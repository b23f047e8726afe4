// An API server for tests: the real one, on the memory store, under a virtual clock, asked in process.

import type { AnyKind } from '../api/kind.ts';
import { builtinKinds } from '../api/kinds/index.ts';
import type { UserInfo } from '../api/op.ts';
import type { Env } from '../base/env.ts';
import { silentLogger, type Logger } from '../base/log.ts';
import { seededRandom, VirtualClock } from '../base/virtual-clock.ts';
import { Client } from '../client/client.ts';
import type { AdmissionPlugin } from '../server/admission.ts';
import { admissionPlugins, type AdmissionOptions } from '../server/admission/index.ts';
import { alwaysAllow } from '../server/authz/rbac.ts';
import { Caches } from '../server/caches.ts';
import { ServiceAllocator } from '../server/service-allocator.ts';
import { createApiServer, type ApiServer, type ApiServerOptions } from '../server/pipeline.ts';
import { MemoryStore } from '../store/memory-store.ts';

export const ADMIN: UserInfo = { name: 'admin', groups: ['system:masters', 'system:authenticated'] };

export interface TestServer {
  readonly server: ApiServer;
  readonly env: Env;
  readonly clock: VirtualClock;
  readonly store: MemoryStore;
  /** As `admin`, of the group system:masters. */
  readonly client: Client;
  clientFor(user: UserInfo, userAgent?: string): Client;
  close(): void;
}

export interface TestServerOptions extends Partial<Omit<ApiServerOptions, 'env' | 'caches' | 'admission'>> {
  /** Plugins to run: none unless told. `true` is the built-in ones, which want namespaces and service accounts. */
  readonly admission?: boolean | AdmissionOptions | ((caches: Caches, env: Env) => readonly AdmissionPlugin[]);
  /** Kinds besides the built-in ones. */
  readonly extraKinds?: readonly AnyKind[];
  readonly log?: Logger;
  readonly seed?: number;
  readonly store?: MemoryStore;
}

/**
 * Everything is allowed, nothing is admitted, unless the options say otherwise. Objects are frozen, so that code that
 * changes what it has read fails.
 */
export function createTestServer(options: TestServerOptions = {}): TestServer {
  const clock = new VirtualClock();
  const env: Env = { clock, random: seededRandom(options.seed ?? 1), log: options.log ?? silentLogger };
  const store = options.store ?? new MemoryStore();
  const caches = new Caches({ store, log: env.log, freeze: true });
  const { admission, authorizer = alwaysAllow } = options;
  const server = createApiServer({
    kinds: [...builtinKinds, ...(options.extraKinds ?? [])],
    allocators: [['services', new ServiceAllocator(caches, env.random)]],
    ...options,
    authorizer,
    admission:
      typeof admission === 'function'
        ? admission(caches, env)
        : admission
          ? admissionPlugins({ caches, env, authorizer }, admission === true ? {} : admission)
          : [],
    env,
    caches,
  });
  const clientFor = (user: UserInfo, userAgent = 'test/1') => new Client(server.transport(user, userAgent), userAgent);
  return { server, env, clock, store, client: clientFor(ADMIN), clientFor, close: () => server.close() };
}
