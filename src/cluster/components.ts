// The parts of a cluster as programs of their own, with upstream's flags.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtinKinds } from '../api/kinds/index.ts';
import { createLogger } from '../base/log.ts';
import { realEnv } from '../base/real-env.ts';
import type { Env } from '../base/env.ts';
import { UserError, type ComponentName } from '../cli/platform.ts';
import { Client } from '../client/client.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { controllersOf } from '../controllers/index.ts';
import { httpTransport, type HttpTransport } from '../host/http-transport.ts';
import { readKubeconfig } from '../host/kubeconfig.ts';
import { logSink } from '../host/log-sink.ts';
import { NftablesSink } from '../host/nftables.ts';
import { runProxy } from '../proxy/proxy.ts';
import { runScheduler } from '../scheduler/scheduler.ts';
import type { AuthorizationMode } from './control-plane.ts';
import { dataRoot } from './paths.ts';
import { realNodeName } from './real-node.ts';
import { runControllerManager, selectControllers } from './run-controllers.ts';
import { startServer } from './server.ts';

type Flags = Readonly<Record<string, string>>;
interface Context {
  readonly env: Env;
  readonly signal: AbortSignal;
}

const MODES: readonly AuthorizationMode[] = ['RBAC', 'Node', 'AlwaysAllow', 'AlwaysDeny'];
const words = (text: string | undefined) =>
  text
    ?.split(',')
    .map((w) => w.trim())
    .filter(Boolean) ?? [];

/** Runs until the signal aborts. Rejects with a UserError for flags that cannot be. */
export async function runComponent(
  name: ComponentName,
  flags: Flags,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const verbose = Number(flags['v'] ?? 2);
  if (!Number.isInteger(verbose) || verbose < 0) throw new UserError(`--v ${flags['v']}: a whole number is needed`);
  const env = realEnv(
    createLogger({ level: verbose >= 4 ? 'debug' : 'info', sink: logSink(2, process.stderr.isTTY ? 'text' : 'json') }),
  );
  await RUN[name](flags, { env, signal });
}

const RUN: Readonly<Record<ComponentName, (flags: Flags, context: Context) => Promise<void>>> = {
  server,
  agent: () => {
    throw new UserError(
      'coracle agent does not work yet: nodes besides the one that coracle up makes are not there yet',
    );
  },
  scheduler: (flags, context) =>
    withClient(flags, 'kube-scheduler', context, async (client, informers) => {
      await runScheduler({ client, env: context.env, informers }, context);
    }),
  'controller-manager': controllerManager,
  proxy: (flags, context) =>
    withClient(flags, 'kube-proxy', context, async (_, informers) => {
      const sink = new NftablesSink({
        table: 'coracle_services',
        podCidr: flags['cluster-cidr']!,
        serviceCidr: '10.96.0.0/16',
      });
      await runProxy(
        { env: context.env, informers, nodeName: flags['hostname-override'] ?? realNodeName(), sink },
        context,
      );
    }),
};

async function server(flags: Flags, { env, signal }: Context): Promise<void> {
  if (flags['etcd-servers'] !== undefined) {
    throw new UserError(
      '--etcd-servers does not work yet: leave it out, and objects are kept in the embedded store below --data-dir',
    );
  }
  const store = flags['store'];
  if (store !== 'disk' && store !== 'memory') throw new UserError(`--store ${store}: it is disk or memory`);
  const authorization = words(flags['authorization-mode']);
  for (const mode of authorization) {
    if (!(MODES as readonly string[]).includes(mode))
      throw new UserError(`--authorization-mode ${mode}: there are ${MODES.join(', ')}`);
  }
  const disable = words(flags['disable-admission-plugins']);
  const running = await startServer(
    {
      env,
      dataDir: flags['data-dir'] ?? join(dataRoot(), 'server'),
      store,
      bindAddress: flags['bind-address']!,
      port: portOf(flags['secure-port']!),
      serviceCidr: cidrOf('service-cluster-ip-range', flags),
      clusterCidr: cidrOf('cluster-cidr', flags),
      clusterDomain: 'cluster.local',
      nodePorts: rangeOf(flags['service-node-port-range']!),
      authorization: authorization as AuthorizationMode[],
      admission: { disable },
      selectControllers: flags['controllers']!,
      anonymous: flags['anonymous-auth'] !== 'false',
      ...(flags['advertise-address'] ? { advertiseAddress: flags['advertise-address'] } : {}),
      ...(flags['token-auth-file'] ? { tokenAuthFile: flags['token-auth-file'] } : {}),
      ...(flags['client-ca-file'] ? { clientCa: readFileSync(flags['client-ca-file'], 'utf8') } : {}),
    },
    { signal },
  );
  env.log.info('serving', { url: running.url, caFile: running.pki.caFile, admin: running.pki.admin().certFile });
  await running.ended;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new UserError(`--secure-port ${text}: a port is 1 to 65535`);
  return port;
}

function cidrOf(flag: string, flags: Flags): string {
  const text = flags[flag]!;
  if (!/^(\d{1,3}\.){3}\d{1,3}\/([0-9]|[12]\d|3[0-2])$/.test(text))
    throw new UserError(`--${flag} ${text}: write it like 10.96.0.0/16`);
  return text;
}

function rangeOf(text: string): readonly [number, number] {
  const match = /^(\d+)-(\d+)$/.exec(text);
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  if (!match || first < 1 || last > 65_535 || first > last)
    throw new UserError(`--service-node-port-range ${text}: write it like 30000-32767`);
  return [first, last];
}

function connect(flags: Flags, env: Env): HttpTransport {
  const file = flags['kubeconfig'];
  if (!file) throw new UserError('--kubeconfig is needed: it says how to reach the API server');
  const access = readKubeconfig([file]).access();
  return httpTransport({ env, ...access });
}

async function withClient(
  flags: Flags,
  agent: string,
  { env, signal }: Context,
  use: (client: Client, informers: ReturnType<typeof createInformerFactory>) => Promise<void>,
): Promise<void> {
  const transport = connect(flags, env);
  const client = new Client(transport, agent);
  try {
    await use(client, createInformerFactory({ client, env }, { signal }));
  } finally {
    transport.close();
  }
}

/** With one kubeconfig all controllers act as its user. */
async function controllerManager(flags: Flags, { env, signal }: Context): Promise<void> {
  const rootCa = flags['root-ca-file'] ? readFileSync(flags['root-ca-file'], 'utf8') : undefined;
  const definitions = selectControllers(
    controllersOf({ kinds: builtinKinds, clusterCidr: cidrOf('cluster-cidr', flags), ...(rootCa ? { rootCa } : {}) }),
    flags['controllers']!,
  );
  const transport = connect(flags, env);
  try {
    await runControllerManager({ env, definitions, clientOf: (_, agent) => new Client(transport, agent) }, { signal });
  } finally {
    transport.close();
  }
}
