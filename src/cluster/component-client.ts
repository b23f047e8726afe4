// How a component that runs on its own reaches the API server: by the kubeconfig it was given.

import { existsSync, statSync } from 'node:fs';
import { sleep, type Env } from '../base/env.ts';
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

/**
 * Connects for as long as `use` runs; a certificate that is put into the kubeconfig meanwhile is taken over. `identity`
 * goes before the kubeconfig's. Rejects with a UserError when the server does not take the credentials.
 */
export async function withClient(
  flags: Flags,
  userAgent: string,
  context: ComponentContext,
  use: (connection: ComponentClient) => Promise<void>,
  identity?: { readonly cert: string; readonly key: string },
): Promise<void> {
  const access = accessOf(flags);
  const transport = httpTransport({ env: context.env, ...access, ...identity });
  const ended = new AbortController();
  const signal = AbortSignal.any([context.signal, ended.signal]);
  follow(flags, access, transport, { env: context.env, signal }).catch((error: unknown) => {
    if (!signal.aborted) context.env.log.error('the kubeconfig is not followed any more', { error });
  });
  try {
    await greet(transport, access, context);
    await use({ access, transport, client: new Client(transport, userAgent) });
  } finally {
    ended.abort(new Error('the component has ended'));
    transport.close();
  }
}

const LOOK_AGAIN = 60_000;

/** Rejects when the signal aborts. */
async function follow(
  flags: Flags,
  access: ClusterAccess,
  transport: HttpTransport,
  { env, signal }: ComponentContext,
): Promise<never> {
  const file = flags.text('kubeconfig')!;
  const changed = () => statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  for (let [seen, used] = [changed(), access.cert]; ;) {
    await sleep(env, LOOK_AGAIN, { signal, unref: true });
    const now = changed();
    if (now === undefined || now === seen) continue;
    try {
      const { cert, key } = accessOf(flags);
      seen = now;
      if (!cert || !key || cert === used) continue;
      used = cert;
      transport.setCertificate(cert, key);
      env.log.info('the kubeconfig has a new certificate', { file });
    } catch (error) {
      env.log.warn('the kubeconfig cannot be read again', { file, error: (error as Error).message });
    }
  }
}

/** A server that is not there yet is waited for; one that will never let us in is not. */
async function greet(transport: HttpTransport, { server }: ClusterAccess, { env, signal }: ComponentContext) {
  try {
    const { status, body } = await transport.raw({ method: 'GET', target: '/api', headers: {} }, { signal });
    if (status === 401)
      throw new UserError(`${server} does not accept the credentials of the kubeconfig${reasonIn(body.toString())}`);
  } catch (error) {
    if (error instanceof UserError || signal.aborted) throw error;
    const { message, cause } = error as Error & { cause?: { code?: string } };
    if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(cause?.code ?? ''))
      throw new UserError(`the certificate of ${server} is not the cluster's: ${message}`);
    env.log.warn('the API server does not answer yet', { server, error: message });
  }
}

/** What the server says beyond the plain refusal. */
function reasonIn(answer: string): string {
  const why = /"message":\s*"Unauthorized: ([^"]+)"/.exec(answer)?.[1];
  return why ? `: ${why}` : '';
}
