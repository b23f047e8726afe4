// How a component that runs on its own reaches the API server: by the kubeconfig it was given.

import { existsSync } from 'node:fs';
import type { Env } from '../base/env.ts';
import { UserError } from '../cli/platform.ts';
import { Client } from '../client/client.ts';
import { httpTransport, type HttpTransport } from '../host/http-transport.ts';
import { readKubeconfig, type ClusterAccess } from '../host/kubeconfig.ts';
import type { Flags } from './flags.ts';

export interface ComponentContext {
  readonly env: Env;
  readonly signal: AbortSignal;
}

export interface ComponentClient {
  readonly access: ClusterAccess;
  readonly transport: HttpTransport;
  readonly client: Client;
}

/** Throws a UserError when there is no such file, or nothing in it to connect with. */
export function accessOf(flags: Flags): ClusterAccess {
  const file = flags.required('kubeconfig', 'it says how to reach the API server; coracle kubeconfig prints one');
  if (!existsSync(file)) throw new UserError(`--kubeconfig ${file}: there is no such file`);
  try {
    return readKubeconfig([file]).access();
  } catch (error) {
    throw new UserError(`--kubeconfig ${file}: ${(error as Error).message}`);
  }
}

/** Connects for as long as `use` runs. Rejects with a UserError when the server does not take the credentials. */
export async function withClient(
  flags: Flags,
  userAgent: string,
  context: ComponentContext,
  use: (connection: ComponentClient) => Promise<void>,
): Promise<void> {
  const access = accessOf(flags);
  const transport = httpTransport({ env: context.env, ...access });
  try {
    await greet(transport, access, context);
    await use({ access, transport, client: new Client(transport, userAgent) });
  } finally {
    transport.close();
  }
}

/** A server that is not there yet is waited for; one that will never let us in is not. */
async function greet(transport: HttpTransport, { server }: ClusterAccess, { env, signal }: ComponentContext) {
  try {
    const { status } = await transport.raw({ method: 'GET', target: '/api', headers: {} }, { signal });
    if (status === 401) throw new UserError(`${server} does not accept the credentials of the kubeconfig`);
  } catch (error) {
    if (error instanceof UserError || signal.aborted) throw error;
    const { message, cause } = error as Error & { cause?: { code?: string } };
    if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(cause?.code ?? ''))
      throw new UserError(`the certificate of ${server} is not the cluster's: ${message}`);
    env.log.warn('the API server does not answer yet', { server, error: message });
  }
}
