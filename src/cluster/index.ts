// `coracle`: what a program needs that talks to a cluster from Node: clients, kinds, kubeconfig files, HTTP, real time.

import { homedir } from 'node:os';
import { Client } from '../client/client.ts';
import type { Env } from '../base/env.ts';
import { realEnv } from '../base/real-env.ts';
import { httpTransport, type HttpTransport } from '../host/http-transport.ts';
import { kubeconfigPaths, readKubeconfig } from '../host/kubeconfig.ts';

export * from '../client/index.ts';
export { httpTransport, type HttpTransport, type HttpTransportOptions } from '../host/http-transport.ts';
export { Kubeconfig, kubeconfigPaths, readKubeconfig, type ClusterAccess } from '../host/kubeconfig.ts';

export interface KubeconfigClientOptions {
  readonly env?: Env;
  /** Names the program in managed fields and audit; `coracle` unless told. */
  readonly userAgent?: string;
  /** One file, instead of $KUBECONFIG or ~/.kube/config. */
  readonly kubeconfig?: string;
  /** The current context unless told. */
  readonly context?: string;
}

export interface KubeconfigClient {
  readonly client: Client;
  /** The context's namespace. */
  readonly namespace: string;
  readonly transport: HttpTransport;
  /** Ends all connections. */
  close(): void;
}

/** A client of the cluster that kubectl would talk to. Throws when there is no such context. */
export function clientOfKubeconfig(options: KubeconfigClientOptions = {}): KubeconfigClient {
  const { env = realEnv(), userAgent = 'coracle', kubeconfig, context } = options;
  const paths = kubeconfigPaths(process.env, homedir(), kubeconfig);
  const { namespace = 'default', ...access } = readKubeconfig(paths).access(context);
  const transport = httpTransport({ env, ...access });
  return { client: new Client(transport, userAgent), namespace, transport, close: () => transport.close() };
}
