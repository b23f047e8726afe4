// The control plane behind HTTPS: certificates, authentication, discovery and the listener around the same API server
// that components in this process call directly.

import { readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import type { NodeConnector } from '../api/node-api.ts';
import type { UserInfo } from '../api/op.ts';
import type { Env } from '../base/env.ts';
import { Pki, apiServerNames, type KeyPair } from '../host/pki.ts';
import { httpForward } from '../host/http-forward.ts';
import { processMetrics } from '../host/process-metrics.ts';
import { listen, type Listener } from '../host/listener.ts';
import { headerInflater } from '../host/spdy-headers.ts';
import { tokenSigner } from '../host/token-signer.ts';
import type { Authenticator } from '../server/authn/authenticator.ts';
import { parseTokenFile } from '../server/authn/token-file.ts';
import type { Caches } from '../server/caches.ts';
import type { Handler } from '../server/call.ts';
import { Discovery } from '../server/discovery.ts';
import { discoveryHandler, openApiHandler } from '../server/discovery-handler.ts';
import { healthHandler } from '../server/health.ts';
import { createHttpHandler } from '../server/http.ts';
import { logFlagsHandlers } from '../server/log-flags.ts';
import { metricsHandler } from '../server/metrics-handler.ts';
import type { PathHandler } from '../server/http-exchange.ts';
import { OpenApi } from '../server/openapi.ts';
import type { Descriptions } from '../server/openapi-schemas.ts';
import { openIdHandlers, versionHandler } from '../server/plain-paths.ts';
import { tracesHandler } from '../server/traces-handler.ts';
import { streamHandler } from '../server/streams/handler.ts';
import { buildInfo } from './build-info.ts';
import { authentication, ISSUER } from './authentication.ts';
import { keepRenewed } from './certificate-renewal.ts';
import type { ControlPlane } from './control-plane.ts';
import { GIT_VERSION, versionInfo } from './version.ts';

export interface ApiFrontOptions {
  readonly env: Env;
  readonly pki: Pki;
  readonly bindAddress: string;
  readonly port: number;
  readonly clusterIp: string;
  /** Where others reach the server: a name of its certificate. */
  readonly address?: string;
  readonly clusterDomain: string;
  readonly tokenAuthFile?: string;
  /** PEM of further authorities of client certificates. */
  readonly clientCa?: string;
  readonly anonymous?: boolean;
  readonly paths?: readonly PathHandler[];
  readonly nodeConnector?: NodeConnector;
}

/** Authentication of requests and the handlers that go with it: made before the server, for the server needs them. */
export class ApiFront {
  readonly #options: ApiFrontOptions;
  readonly #signer;
  #authenticator: Authenticator | undefined;

  constructor(options: ApiFrontOptions) {
    this.#options = options;
    this.#signer = tokenSigner(options.pki.serviceAccountKey);
  }

  /** For `ControlPlaneOptions.handlers`. */
  readonly handlers = (caches: Caches): readonly (readonly [string, Handler])[] => {
    const { env, tokenAuthFile, anonymous } = this.#options;
    const { authenticator, handlers } = authentication(caches, {
      env,
      signer: this.#signer,
      ...(tokenAuthFile ? { tokens: readTokens(tokenAuthFile) } : {}),
      ...(anonymous === undefined ? {} : { anonymous }),
    });
    this.#authenticator = authenticator;
    return handlers;
  };

  /** Opens the port; its certificate is kept good until the signal aborts. Rejects with a plain message when it cannot be had. */
  async listen(plane: ControlPlane, context: { signal: AbortSignal }): Promise<Listener> {
    const { env, pki, bindAddress, port, clientCa } = this.#options;
    if (!this.#authenticator) throw new Error('handlers() comes before listen()');
    const serving = this.#certificate();
    const { cert, key } = serving;
    const handler = createHttpHandler({
      server: plane.server,
      authenticator: this.#authenticator,
      paths: [...this.#paths(plane), ...(this.#options.paths ?? [])],
      streams: streamHandler({
        env,
        inflater: headerInflater,
        forward: httpForward({ kubelet: () => this.#kubeletAccess() }),
      }),
    });
    const listener = await listen({
      env: { ...env, log: env.log.child('apiserver') },
      host: bindAddress,
      port,
      cert,
      key,
      clientCa: clientCa ? `${pki.ca}\n${clientCa}` : pki.ca,
      handler,
    });
    const use = (pair: KeyPair) => listener.setCertificate(pair.cert, pair.key);
    keepRenewed({ env, what: 'apiserver', make: () => this.#certificate(), use }, serving, context);
    return listener;
  }

  #kubeletAccess() {
    const { pki } = this.#options;
    const { cert, key } = pki.apiServerKubeletClient();
    return { cert, key, ca: pki.ca };
  }

  #certificate(): KeyPair {
    const { pki, clusterIp, clusterDomain, address } = this.#options;
    const names = address ? [...machineNames(), address] : machineNames();
    return pki.apiServer(apiServerNames(clusterIp, clusterDomain, names));
  }

  #paths({ server, metrics, bootstrapped }: ControlPlane): PathHandler[] {
    const log = this.#options.env.log.child('apiserver');
    processMetrics(metrics);
    buildInfo(metrics);
    const openApi = new OpenApi(server.kinds, { version: GIT_VERSION, descriptions: loadDescriptions });
    return [
      healthHandler(
        [
          // A store that was lost or closed refuses this.
          { name: 'etcd', check: async () => void (await server.caches.store.get('/')) },
          { name: 'informer-sync', check: () => synced(server.caches), endpoints: ['readyz'] },
          ...[...bootstrapped.keys()].map((name) => ({ name, check: () => checkDone(bootstrapped.get(name)) })),
        ],
        (name, error) => log.warn('health check failed', { check: name, error }),
      ),
      metricsHandler(metrics),
      ...(this.#options.env.tracer ? [tracesHandler(this.#options.env.tracer, server.kinds)] : []),
      ...(this.#options.env.log.levels ? logFlagsHandlers(this.#options.env.log.levels) : []),
      versionHandler(versionInfo()),
      discoveryHandler(new Discovery(server.kinds)),
      openApiHandler(openApi),
      ...openIdHandlers(ISSUER, `https://${this.#options.clusterIp}`, [this.#signer.jwk]),
    ];
  }
}

/** Resolves when every kind in use has been read. */
async function synced(caches: Caches): Promise<void> {
  await Promise.all([...caches.storages()].map(({ cache }) => cache.ready));
}

function checkDone(done: boolean | undefined): void {
  if (!done) throw new Error('not finished');
}

async function loadDescriptions(): Promise<Descriptions> {
  const { descriptionsJson } = await import('../api/generated/descriptions.ts');
  return JSON.parse(descriptionsJson) as Descriptions;
}

function readTokens(file: string): Map<string, UserInfo> {
  try {
    return parseTokenFile(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`--token-auth-file ${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** The names and addresses this machine may be reached by. */
export function machineNames(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap(
    (list) => list?.map((i) => i.address.replace(/%.*$/, '')) ?? [],
  );
  return [...new Set([hostname(), ...addresses])];
}

export const LOOPBACK_ADDRESS = '127.0.0.1';

/** The IPv4 address others reach this machine by; loopback when it has no other. */
export function machineAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outside = all.find((i) => i.family === 'IPv4' && !i.internal && !i.address.startsWith('169.254.'));
  return outside?.address ?? LOOPBACK_ADDRESS;
}
