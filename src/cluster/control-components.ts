// Scheduler, controller manager and service proxy as programs of their own, with the flags of upstream's.

import { createPrivateKey, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import type { ServiceAccount } from '../api/kinds/core/service-account.ts';
import { builtinKinds } from '../api/kinds/index.ts';
import type { UserInfo } from '../api/op.ts';
import type { Env } from '../base/env.ts';
import { Client } from '../client/client.ts';
import type { ControllerDefinition } from '../client/controller.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { certificateSigning } from '../controllers/certificate-signing.ts';
import { controllersOf } from '../controllers/index.ts';
import { nodeDns } from '../controllers/node-dns.ts';
import { serviceAccountTokens } from '../controllers/service-account-tokens.ts';
import { certificateSigner, type SigningAuthority } from '../host/csr-signer.ts';
import { HealthPorts } from '../host/health-ports.ts';
import { httpTransport } from '../host/http-transport.ts';
import { NftablesSink } from '../host/nftables.ts';
import { tokenSigner } from '../host/token-signer.ts';
import { runProxy } from '../proxy/proxy.ts';
import { runScheduler } from '../scheduler/scheduler.ts';
import { legacyToken } from '../server/authn/token-issuer.ts';
import { AccountTokens } from './account-tokens.ts';
import { withClient, type ComponentClient, type ComponentContext } from './component-client.ts';
import { electionOf, runElected, type Election } from './elect.ts';
import { UserError } from '../cli/platform.ts';
import { openComponentEndpoint, openProxyEndpoints } from './component-endpoint.ts';
import type { Flags } from './flags.ts';
import { CONTROLLER_MANAGER } from './identities.ts';
import { realNodeName } from './real-node.ts';
import { runControllerManager, selectControllers } from './run-controllers.ts';

export function scheduler(flags: Flags, context: ComponentContext): Promise<void> {
  const election = leaderElection(flags, 'kube-scheduler');
  return withClient(flags, 'kube-scheduler', context, (connection) =>
    withEndpoint(flags, 'kube-scheduler', connection, context, () => {
      const { env } = context;
      const { client } = connection;
      return whenLeading(election, client, context, async ({ signal }) => {
        const informers = createInformerFactory({ client, env }, { signal });
        await runScheduler({ client, env, informers }, { signal });
      });
    }),
  );
}

/** Tells of the component while it runs. */
async function withEndpoint(
  flags: Flags,
  name: string,
  { client, access }: ComponentClient,
  { env }: ComponentContext,
  run: () => Promise<void>,
): Promise<void> {
  const endpoint = await openComponentEndpoint({ env, flags, name, client, clientCa: access.ca ?? '' });
  try {
    await run();
  } finally {
    await endpoint?.close();
  }
}

export function controllerManager(flags: Flags, context: ComponentContext): Promise<void> {
  const { env } = context;
  const election = leaderElection(flags, 'kube-controller-manager');
  const definitions = selectFrom(allControllers(flags, env), flags);
  const ownAccounts = flags.flag('use-service-account-credentials');
  return withClient(flags, 'kube-controller-manager', context, async (connection) => {
    const identities = ownAccounts ? accountIdentities(connection, env) : undefined;
    const clientOf = (user: UserInfo, agent: string) =>
      user === CONTROLLER_MANAGER || !identities ? new Client(connection.transport, agent) : identities.of(agent);
    try {
      await withEndpoint(flags, 'kube-controller-manager', connection, context, () =>
        whenLeading(election, connection.client, context, (leading) =>
          runControllerManager({ env, definitions, clientOf }, leading),
        ),
      );
    } finally {
      identities?.close();
    }
  });
}

export async function proxy(flags: Flags, context: ComponentContext): Promise<void> {
  const { env, signal } = context;
  const log = env.log.child('proxy');
  const sink = new NftablesSink({
    warn: (message) => log.warn(message),
    table: tableOf(flags),
    podCidr: flags.block('cluster-cidr').text,
    serviceCidr: flags.block('service-cluster-ip-range').text,
  });
  if (flags.flag('cleanup')) return sink.remove();
  const nodeName = flags.text('hostname-override') ?? realNodeName();
  await withClient(flags, 'kube-proxy', context, async ({ client }) => {
    const informers = createInformerFactory({ client, env }, { signal });
    let healthy = true;
    const endpoints = await openProxyEndpoints(env, flags, () => healthy);
    try {
      const health = new HealthPorts({ warn: (message) => log.warn(message) });
      await runProxy({ env, informers, nodeName, sink, health, synced: (ok) => (healthy = ok) }, { signal });
    } finally {
      await endpoints.close();
    }
  });
}

function tableOf(flags: Flags): string {
  const name = flags.text('nftables-table') ?? '';
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(name))
    throw flags.refuse('nftables-table', 'a name has letters, digits and underscores');
  return name;
}

/** Undefined when this one need not ask. */
function leaderElection(flags: Flags, name: string): Election | undefined {
  if (!flags.flag('leader-elect')) return undefined;
  const [leaseDuration, renewDeadline, retryPeriod] = [
    flags.duration('leader-elect-lease-duration'),
    flags.duration('leader-elect-renew-deadline'),
    flags.duration('leader-elect-retry-period'),
  ];
  if (leaseDuration <= renewDeadline)
    throw flags.refuse('leader-elect-lease-duration', 'it must be longer than --leader-elect-renew-deadline');
  if (renewDeadline <= retryPeriod * 1.2)
    throw flags.refuse('leader-elect-renew-deadline', 'it must be longer than 1.2 times --leader-elect-retry-period');
  return {
    ...electionOf(flags.text('leader-elect-resource-name') ?? name),
    namespace: flags.text('leader-elect-resource-namespace') ?? 'kube-system',
    leaseDuration,
    renewDeadline,
    retryPeriod,
  };
}

async function whenLeading(
  election: Election | undefined,
  client: Client,
  { env, signal }: ComponentContext,
  run: (context: { signal: AbortSignal }) => Promise<void>,
): Promise<void> {
  if (election) await runElected({ client, env }, election, run, { signal });
  else await run({ signal });
}

function selectFrom(all: readonly ControllerDefinition[], flags: Flags): ControllerDefinition[] {
  try {
    return selectControllers(all, flags.text('controllers') ?? '*');
  } catch (error) {
    throw flags.refuse('controllers', (error as Error).message);
  }
}

/** Every controller that the flags give what it needs. */
function allControllers(flags: Flags, env: Env): ControllerDefinition[] {
  const rootCa = flags.file('root-ca-file');
  const tokenKey = flags.file('service-account-private-key-file');
  const authority = signingAuthority(flags);
  const signer = tokenKey === undefined ? undefined : keyed(flags, () => tokenSigner(tokenKey));
  const token = (account: ServiceAccount, name: string) => legacyToken(account, name, signer!);
  return [
    ...controllersOf({
      kinds: builtinKinds,
      ...(flags.flag('allocate-node-cidrs') ? { clusterCidr: flags.block('cluster-cidr').text } : {}),
      ...(rootCa ? { rootCa } : {}),
    }),
    nodeDns,
    ...(authority ? [certificateSigning(certificateSigner(authority, env))] : []),
    ...(signer ? [serviceAccountTokens({ rootCa: rootCa ?? '', token })] : []),
  ];
}

function keyed<T>(flags: Flags, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw flags.refuse('service-account-private-key-file', (error as Error).message);
  }
}

function signingAuthority(flags: Flags): SigningAuthority | undefined {
  const cert = flags.file('cluster-signing-cert-file');
  const key = flags.file('cluster-signing-key-file');
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined)
    throw new UserError('--cluster-signing-cert-file and --cluster-signing-key-file go together: name both');
  let parsed: X509Certificate;
  let privateKey: KeyObject;
  try {
    parsed = new X509Certificate(cert);
    privateKey = createPrivateKey(key);
  } catch (error) {
    throw flags.refuse('cluster-signing-cert-file', `no certificate and key in PEM (${(error as Error).message})`);
  }
  if (!parsed.checkPrivateKey(privateKey))
    throw flags.refuse('cluster-signing-key-file', 'it is not the key of --cluster-signing-cert-file');
  const commonName = /^CN=(.*)$/m.exec(parsed.subject)?.[1] ?? '';
  return {
    authority: { subject: { commonName }, key: privateKey, publicKey: createPublicKey(privateKey) },
    notAfter: Date.parse(parsed.validTo),
    signingSeconds: flags.duration('cluster-signing-duration') / 1000,
  };
}

/** Clients that act as the ServiceAccounts of controllers, over connections that show no certificate. */
function accountIdentities({ access, client }: ComponentClient, env: Env): { of(name: string): Client; close(): void } {
  const { server, ca, insecure, serverName } = access;
  const transport = httpTransport({
    env,
    server,
    ...(ca ? { ca } : {}),
    ...(insecure ? { insecure } : {}),
    ...(serverName ? { serverName } : {}),
  });
  return {
    of: (name) => new Client(transport.as(new AccountTokens(client, env, name)), name),
    close: () => transport.close(),
  };
}
