// A control plane with a port: what `coracle server` runs, and the greater part of `coracle up`.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { notFound } from '../api/errors.ts';
import { Node } from '../api/kinds/core/node.ts';
import type { NodeApi, NodeConnector } from '../api/node-api.ts';
import type { UserInfo } from '../api/op.ts';
import type { Env } from '../base/env.ts';
import type { ServiceAccount } from '../api/kinds/core/service-account.ts';
import type { ControllerDefinition } from '../client/controller.ts';
import { certificateSigning } from '../controllers/certificate-signing.ts';
import { serviceAccountTokens } from '../controllers/service-account-tokens.ts';
import { certificateSigner } from '../host/csr-signer.ts';
import { nodeConnector } from '../host/node-api-client.ts';
import { LmdbStore } from '../host/lmdb-store.ts';
import type { Listener } from '../host/listener.ts';
import { saveMemory } from '../host/memory-saver.ts';
import { Pki } from '../host/pki.ts';
import { tokenSigner } from '../host/token-signer.ts';
import { legacyToken } from '../server/authn/token-issuer.ts';
import type { AdmissionOptions } from '../server/admission/index.ts';
import type { ApiServerAddress } from '../server/bootstrap.ts';
import type { Caches } from '../server/caches.ts';
import type { PathHandler } from '../server/http-exchange.ts';
import { MemoryStore } from '../store/memory-store.ts';
import type { Store } from '../store/store.ts';
import { ApiFront, LOOPBACK_ADDRESS, machineAddress } from './api-front.ts';
import { runWheneverElected, type Election } from './elect.ts';
import { CONTROLLER_MANAGER, SCHEDULER } from './identities.ts';
import { publishJoinInfo, type JoinInfo } from './join-info.ts';
import { createControlPlane, type AuthorizationMode, type ControlPlane } from './control-plane.ts';

export interface ServerOptions {
  readonly env: Env;
  readonly dataDir: string;
  readonly store: 'memory' | 'disk';
  readonly bindAddress: string;
  readonly port: number;
  readonly serviceCidr: string;
  readonly clusterCidr: string;
  readonly clusterDomain: string;
  /** The address of cluster DNS, for nodes to know. */
  readonly clusterDns?: string;
  readonly advertiseAddress?: string;
  readonly nodePorts?: readonly [first: number, last: number];
  readonly authorization?: readonly AuthorizationMode[];
  readonly admission?: AdmissionOptions;
  readonly selectControllers?: string;
  readonly tokenAuthFile?: string;
  readonly clientCa?: string;
  /** How long certificates last that nodes and others ask for; a year unless told. */
  readonly signingSeconds?: number;
  readonly anonymous?: boolean;
  /** How to reach nodes, instead of by the address they tell. */
  readonly nodeConnector?: NodeConnector;
  /** The nodes in this process: all others are reached by the address they tell. */
  readonly localNode?: (name: string) => NodeApi | undefined;
  /** False: the scheduler runs elsewhere. */
  readonly scheduler?: boolean;
  /** Scheduler and controllers run only while they lead: others may run elsewhere. */
  readonly election?: (name: string) => Election;
  readonly paths?: readonly PathHandler[];
  /** Controllers that need the cluster's certificates. */
  readonly controllers?: (pki: Pki) => readonly ControllerDefinition[];
}

export interface RunningServer {
  readonly plane: ControlPlane;
  readonly listener: Listener;
  readonly pki: Pki;
  /** `https://<address>:<port>`, as other machines reach it. */
  readonly url: string;
  /** Resolves when all loops have ended after the signal aborted and everything is closed. */
  readonly ended: Promise<void>;
}

/** History kept for watches that resume, as upstream keeps five minutes of it. */
const COMPACT_EVERY = 5 * 60_000;

function firstAddress(cidr: string): string {
  const parts = cidr.split('/')[0]!.split('.').map(Number);
  return [...parts.slice(0, 3), parts[3]! + 1].join('.');
}

export function openStore(kind: 'memory' | 'disk', dataDir: string): Store {
  if (kind === 'memory') return new MemoryStore();
  const dir = join(dataDir, 'store');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return new LmdbStore(dir);
}

/** Resolves once the API answers and the system's objects exist. When it cannot, nothing of it stays open. */
export async function startServer(options: ServerOptions, { signal }: { signal: AbortSignal }): Promise<RunningServer> {
  const { env } = options;
  mkdirSync(options.dataDir, { recursive: true, mode: 0o755 });
  const pki = new Pki(join(options.dataDir, 'pki'), env);
  const store = openStore(options.store, options.dataDir);
  const address = options.advertiseAddress ?? machineAddress();
  let plane: ControlPlane | undefined;
  let listener: Listener | undefined;
  try {
    const front = new ApiFront({ ...options, pki, clusterIp: firstAddress(options.serviceCidr), address });
    plane = controlPlane(options, { pki, store, address, handlers: front.handlers, port: () => listener?.port ?? 0 });
    listener = await front.listen(plane, { signal });
    await plane.bootstrap();
    await publishJoinInfo(plane.server, joinInfo(options));
  } catch (error) {
    await listener?.close();
    plane?.close();
    await store.close();
    throw error;
  }
  const loops = runLoops(options, plane, { signal });
  const ended = closing({ env, plane, listener, store, loops, signal });
  return { plane, listener, pki, url: `https://${address}:${listener.port}`, ended };
}

const joinInfo = ({ clusterCidr, serviceCidr, clusterDomain, clusterDns }: ServerOptions): JoinInfo => ({
  podSubnet: clusterCidr,
  serviceSubnet: serviceCidr,
  dnsDomain: clusterDomain,
  ...(clusterDns ? { clusterDNS: clusterDns } : {}),
});

async function runLoops(options: ServerOptions, plane: ControlPlane, context: { signal: AbortSignal }): Promise<void> {
  const { env, election, scheduler = true } = options;
  const run = (user: UserInfo, name: string, loop: (c: { signal: AbortSignal }) => Promise<void>) =>
    election
      ? runWheneverElected({ client: plane.clientOf(user, name), env }, election(name), loop, context)
      : loop(context);
  await Promise.all([
    run(CONTROLLER_MANAGER, 'kube-controller-manager', (c) => plane.runControllers(c)),
    scheduler && run(SCHEDULER, 'kube-scheduler', (c) => plane.runScheduler(c)),
  ]);
}

interface Parts {
  readonly pki: Pki;
  readonly store: Store;
  readonly address: string;
  readonly handlers: ApiFront['handlers'];
  /** Port 0 takes a free one, known once it is open: bootstrap reads it then. */
  readonly port: () => number;
}

function controlPlane(options: ServerOptions, { pki, store, address, handlers, port }: Parts): ControlPlane {
  const { nodePorts, serviceCidr } = options;
  const plane: ControlPlane = createControlPlane({
    ...options,
    store,
    serviceRanges: { clusterIPs: serviceCidr, ...(nodePorts ? { nodePorts } : {}) },
    handlers,
    // Endpoints cannot be loopback: then there is no Service `kubernetes`, and nobody who could reach it.
    ...(address === LOOPBACK_ADDRESS ? {} : { advertise: advertised(address, port, serviceCidr) }),
    rootCa: pki.ca,
    controllers: [...pkiControllers(pki, options), ...(options.controllers?.(pki) ?? [])],
    nodeConnector: options.nodeConnector ?? connectorOf(options, pki, () => plane),
  });
  return plane;
}

const advertised = (address: string, port: () => number, clusterIPs: string): ApiServerAddress => ({
  addresses: [address],
  get port() {
    return port();
  },
  clusterIPs,
});

/** A node of this process is called, others are reached by the address their Node tells. */
function connectorOf({ env, localNode }: ServerOptions, pki: Pki, plane: () => ControlPlane): NodeConnector {
  const remote = nodeConnector({
    env,
    tls: () => ({ ...pki.apiServerKubeletClient(), ca: pki.ca }),
    async node(name) {
      const node = (await plane().caches.current(Node)).get(undefined, name);
      if (!node) throw notFound({ resource: 'nodes' }, name);
      return node as Node;
    },
  });
  return (name) => localNode?.(name) ?? remote(name);
}

async function closing(parts: {
  readonly env: Env;
  readonly plane: ControlPlane;
  readonly listener: Listener;
  readonly store: Store;
  readonly loops: Promise<unknown>;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { env, plane, listener, store, loops, signal } = parts;
  const compaction = compactRegularly(env, store, plane.caches, signal);
  const saver = saveMemory(env.clock);
  const loopsEnded = loops.catch((error: unknown) => env.log.error('a control loop ended with an error', { error }));
  await stopped(signal);
  await loopsEnded;
  compaction.cancel();
  saver.stop();
  await listener.close(1000);
  plane.close();
  await store.close();
}

/** The controllers that sign with the cluster's keys. */
function pkiControllers(pki: Pki, { env, signingSeconds }: ServerOptions): ControllerDefinition[] {
  const { authority, notAfter } = pki;
  const signing = { authority, notAfter, ...(signingSeconds ? { signingSeconds } : {}) };
  const signer = tokenSigner(pki.serviceAccountKey);
  const token = (account: ServiceAccount, name: string) => legacyToken(account, name, signer);
  return [certificateSigning(certificateSigner(signing, env)), serviceAccountTokens({ rootCa: pki.ca, token })];
}

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/**
 * Forgets the history before the last interval, so that a watch always finds at least one interval of it, as far as there is
 * room for it.
 */
function compactRegularly(env: Env, store: Store, caches: Caches, signal: AbortSignal): { cancel(): void } {
  let before = store.revision;
  let timer = env.clock.setTimer(COMPACT_EVERY, tick, { unref: true });
  function tick(): void {
    if (signal.aborted) return;
    store.compact(before).catch((error: unknown) => env.log.error('compaction failed', { error }));
    caches.forget(before);
    before = store.revision;
    timer = env.clock.setTimer(COMPACT_EVERY, tick, { unref: true });
  }
  return { cancel: () => timer.cancel() };
}
