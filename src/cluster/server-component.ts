// `coracle server`: a control plane without a node, with kube-apiserver's flags where they are about the API server, and
// kube-controller-manager's where they are about controllers.

import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../cli/platform.ts';
import { nodeDns } from '../controllers/node-dns.ts';
import { kubeconfigText } from '../host/kubeconfig.ts';
import type { KeyPair } from '../host/pki.ts';
import { applyDnsService } from './addons.ts';
import { keepRenewed } from './certificate-renewal.ts';
import type { ComponentContext } from './component-client.ts';
import type { AuthorizationMode } from './control-plane.ts';
import { electionOf } from './elect.ts';
import { addressText, overlap, type Block, type Flags } from './flags.ts';
import { writableFolder } from './folders.ts';
import { LOOPBACK } from './identities.ts';
import { dataRoot } from './paths.ts';
import { startServer, type RunningServer, type ServerOptions } from './server.ts';

const MODES: readonly AuthorizationMode[] = ['Node', 'RBAC', 'AlwaysAllow', 'AlwaysDeny'];
/** As upstream: fewer leave no room for the Services of the system. */
const LEAST_ADDRESSES = 8;
/** As upstream: blocks beyond a million addresses are refused. */
const SHORTEST_MASK = 12;
/** Kubernetes' own place for cluster DNS: the tenth address. */
const DNS_ADDRESS = 10;

export async function server(flags: Flags, { env, signal }: ComponentContext): Promise<void> {
  const options = serverOptions(flags, env);
  const { dataDir } = options;
  writableFolder(dataDir, 'name another folder with --data-dir');
  let running: RunningServer;
  try {
    running = await startServer(options, { signal });
  } catch (error) {
    throw explained(error as Error, options);
  }
  await applyDnsService(running.plane.clientOf(LOOPBACK, 'coracle-addons'), options.clusterDns).catch(
    (error: unknown) => env.log.error('cluster DNS has no Service', { address: options.clusterDns, error }),
  );
  const admin = running.pki.admin();
  const adminKubeconfig = writeAdminKubeconfig(running, dataDir, admin);
  const use = (pair: KeyPair) => void writeAdminKubeconfig(running, dataDir, pair);
  keepRenewed({ env, what: 'admin', make: () => running.pki.admin(), use }, admin, { signal });
  env.log.info('serving', { url: running.url, kubeconfig: adminKubeconfig });
  await running.ended;
}

function serverOptions(flags: Flags, env: ComponentContext['env']): ServerOptions & { readonly clusterDns: string } {
  if (flags.given('etcd-servers')) {
    throw new UserError(
      '--etcd-servers does not work yet: leave it out, and objects are kept in the embedded store below --data-dir',
    );
  }
  const advertiseAddress = flags.ipv4('advertise-address');
  const clientCa = clientCaOf(flags);
  const tokenAuthFile = flags.text('token-auth-file');
  if (tokenAuthFile) flags.file('token-auth-file');
  const { services, pods } = rangesOf(flags);
  return {
    env,
    dataDir: flags.text('data-dir') ?? join(dataRoot(), 'server'),
    store: flags.oneOf('store', ['disk', 'memory']),
    bindAddress: flags.ipv4('bind-address') ?? '0.0.0.0',
    port: flags.port('secure-port'),
    serviceCidr: services.text,
    clusterCidr: pods.text,
    clusterDns: addressText(services.base + Math.min(DNS_ADDRESS, services.size - 2)),
    clusterDomain: flags.text('cluster-domain') ?? 'cluster.local',
    nodePorts: flags.portRange('service-node-port-range'),
    authorization: authorizationOf(flags),
    admission: {
      enable: flags.words('enable-admission-plugins'),
      disable: flags.words('disable-admission-plugins'),
    },
    controllers: () => [nodeDns],
    selectControllers: flags.text('controllers') ?? '*',
    signingSeconds: flags.duration('cluster-signing-duration') / 1000,
    scheduler: !flags.flag('disable-scheduler'),
    anonymous: flags.flag('anonymous-auth'),
    ...(flags.flag('leader-elect') ? { election: electionOf } : {}),
    ...(advertiseAddress ? { advertiseAddress } : {}),
    ...(tokenAuthFile ? { tokenAuthFile } : {}),
    ...(clientCa ? { clientCa } : {}),
  };
}

function rangesOf(flags: Flags): { services: Block; pods: Block } {
  const name = 'service-cluster-ip-range';
  const services = flags.block(name);
  const pods = flags.block('cluster-cidr');
  if (services.size < LEAST_ADDRESSES) throw flags.refuse(name, `it must hold at least ${LEAST_ADDRESSES} addresses`);
  if (services.bits < SHORTEST_MASK)
    throw flags.refuse(name, `it is too large: the mask must be at least ${SHORTEST_MASK}`);
  if (overlap(services, pods)) throw flags.refuse(name, `it overlaps with --cluster-cidr ${pods.text}: choose another`);
  return { services, pods };
}

function authorizationOf(flags: Flags): AuthorizationMode[] {
  const name = 'authorization-mode';
  const words = flags.words(name);
  if (words.length === 0) throw flags.refuse(name, 'at least one authorization mode must be given');
  for (const [i, mode] of words.entries()) {
    if (mode === 'ABAC' || mode === 'Webhook')
      throw flags.refuse(name, `${mode} is not supported: there are ${MODES.join(', ')}`);
    if (!(MODES as readonly string[]).includes(mode))
      throw flags.refuse(name, `${mode} is no authorization mode: there are ${MODES.join(', ')}`);
    if (words.indexOf(mode) < i) throw flags.refuse(name, `${mode} is given more than once`);
  }
  return words as AuthorizationMode[];
}

function clientCaOf(flags: Flags): string | undefined {
  const text = flags.file('client-ca-file');
  if (text === undefined) return undefined;
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  if (!certificates) throw flags.refuse('client-ca-file', 'it holds no certificate in PEM');
  try {
    certificates.map((certificate) => new X509Certificate(certificate));
  } catch (error) {
    throw flags.refuse('client-ca-file', `it holds a certificate that cannot be read (${(error as Error).message})`);
  }
  return text;
}

/** What does not work at a start, as a sentence that names the flag that helps. */
function explained(error: Error, { dataDir, port }: ServerOptions): Error {
  const { code } = error as NodeJS.ErrnoException;
  const { code: causeCode } = (error.cause ?? {}) as NodeJS.ErrnoException;
  if (causeCode === 'EADDRINUSE')
    return new UserError(`port ${port} is taken by another program: end it, or choose another with --secure-port`);
  if (code === 'ENOSPC') return new UserError(`the disk of ${dataDir} is full: make room and run the command again`);
  return error;
}

function writeAdminKubeconfig({ url, pki }: RunningServer, dataDir: string, { cert, key }: KeyPair): string {
  const file = join(dataDir, 'admin.kubeconfig');
  writeFileSync(file, kubeconfigText({ name: 'coracle', server: url, ca: pki.ca, cert, key }), { mode: 0o600 });
  return file;
}
