// A port for an embedded cluster, so that kubectl and other programs can talk to it: loopback only, with a certificate
// made for the occasion and nothing on disk.

import { realClock, realRandom } from '../base/real-env.ts';
import type { Env } from '../base/env.ts';
import { kubeconfigText } from '../host/kubeconfig.ts';
import { listen, type Listener } from '../host/listener.ts';
import { httpForward } from '../host/http-forward.ts';
import { headerInflater } from '../host/spdy-headers.ts';
import { issue, keyPem, newKey } from '../host/x509.ts';
import type { Authenticator } from '../server/authn/authenticator.ts';
import { Discovery } from '../server/discovery.ts';
import { discoveryHandler, openApiHandler } from '../server/discovery-handler.ts';
import { healthHandler } from '../server/health.ts';
import { createHttpHandler } from '../server/http.ts';
import type { HttpExchange } from '../server/http-exchange.ts';
import { OpenApi } from '../server/openapi.ts';
import type { Descriptions } from '../server/openapi-schemas.ts';
import { versionHandler } from '../server/plain-paths.ts';
import type { ApiServer } from '../server/pipeline.ts';
import { streamHandler } from '../server/streams/handler.ts';
import { GIT_VERSION, versionInfo } from './version.ts';

const DAY = 24 * 3_600_000;

export interface EmbeddedPort {
  /** `https://127.0.0.1:<port>`. */
  readonly url: string;
  /** PEM of the authority of its certificate. */
  readonly ca: string;
  /** Of the administrator, as YAML. */
  readonly kubeconfig: string;
  close(): Promise<void>;
}

export interface EmbeddedPortOptions {
  readonly env: Env;
  readonly server: ApiServer;
  readonly authenticator: Authenticator;
  readonly token: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Called after each answer. */
  readonly served: () => void;
}

export async function openPort(options: EmbeddedPortOptions): Promise<EmbeddedPort> {
  const { env, server, authenticator, token, port, served } = options;
  const { ca, cert, key } = certificates();
  const openApi = new OpenApi(server.kinds, { version: GIT_VERSION, descriptions: loadDescriptions });
  const handler = createHttpHandler({
    server,
    authenticator,
    paths: [
      healthHandler([{ name: 'store', check: () => void server.caches.store.revision }], (name, error) =>
        env.log.warn('health check failed', { check: name, error }),
      ),
      versionHandler(versionInfo()),
      discoveryHandler(new Discovery(server.kinds)),
      openApiHandler(openApi),
    ],
    streams: streamHandler({
      env,
      inflater: headerInflater,
      forward: httpForward({
        kubelet: () => {
          throw new Error('simulated nodes have no port');
        },
      }),
    }),
  });
  const told = async (exchange: HttpExchange) => {
    await handler(exchange);
    served();
  };
  // Sockets live in the machine's time, whatever the cluster's is.
  const listener: Listener = await listen({
    env: { ...env, clock: realClock, random: realRandom },
    host: '127.0.0.1',
    port,
    cert,
    key,
    clientCa: ca,
    handler: told,
  });
  const url = `https://127.0.0.1:${listener.port}`;
  return {
    url,
    ca,
    kubeconfig: kubeconfigText({ name: 'coracle-test', server: url, ca, token }),
    close: () => listener.close(),
  };
}

function certificates(): { readonly ca: string; readonly cert: string; readonly key: string } {
  const now = realClock.now();
  const authority = newKey();
  const subject = { commonName: 'coracle-test' };
  const lasts = { notBefore: now - DAY, notAfter: now + 30 * DAY };
  const issuer = { subject, key: authority.privateKey, publicKey: authority.publicKey };
  const ca = issue({ subject, publicKey: authority.publicKey, ca: true, ...lasts }, issuer, realRandom);
  const leaf = newKey();
  const cert = issue(
    {
      subject: { commonName: 'kube-apiserver' },
      publicKey: leaf.publicKey,
      usages: ['server auth'],
      keyEncipherment: true,
      names: ['127.0.0.1', 'localhost'],
      ...lasts,
    },
    issuer,
    realRandom,
  );
  return { ca, cert, key: keyPem(leaf.privateKey) };
}

async function loadDescriptions(): Promise<Descriptions> {
  const { descriptionsJson } = await import('../api/generated/descriptions.ts');
  return JSON.parse(descriptionsJson) as Descriptions;
}
