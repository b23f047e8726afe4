// The certificates a node asks its cluster for by a CertificateSigningRequest: the one its endpoint shows, and the one the
// kubelet shows to the API server. Kept on disk, renewed in time.
// https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/#certificate-rotation

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { isReason } from '../api/errors.ts';
import { CertificateSigningRequest as Csr } from '../api/kinds/certificates/certificate-signing-request.ts';
import { randomSuffix, sleep, type Env } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import { createInformer } from '../client/create-informer.ts';
import { writeFileAtomic } from '../host/atomic-file.ts';
import { KUBELET_CLIENT, KUBELET_SERVING } from '../host/csr-signer.ts';
import { keyPem, makeRequest, newKey } from '../host/x509.ts';

export interface NodeCertificateOptions {
  readonly env: Env;
  /** What it is for. */
  readonly use: 'serving' | 'client';
  /** The kubelet's. */
  readonly client: Client;
  readonly nodeName: string;
  /** DNS names and addresses: for a serving certificate those that the Node's status tells, for a client's none. */
  readonly names: readonly string[];
  /** Where certificate and key are kept. */
  readonly dir: string;
  /** PEM of the authority that must have signed it. */
  readonly ca: string;
  /** Called when the server does not take the credentials that the request came with. */
  readonly refused?: () => void;
}

/** PEM. */
export interface NodeCertificate {
  readonly cert: string;
  readonly key: string;
}

const RENEW_AT = 0.8;
const PATIENCE = 15 * 60_000;
const RETRY = 10_000;
/** The clock may be set meanwhile: the time is looked at now and then. */
const LONGEST_SLEEP = 10 * 60_000;

const USES = {
  serving: { signerName: KUBELET_SERVING, usages: ['digital signature', 'server auth'] },
  client: { signerName: KUBELET_CLIENT, usages: ['client auth', 'digital signature'] },
};

/** Resolves with a certificate that holds, new or kept; asks until it is given one. Rejects when the signal aborts. */
export async function nodeCertificate(
  options: NodeCertificateOptions,
  { signal }: { signal: AbortSignal },
): Promise<NodeCertificate> {
  const kept = readKept(options);
  if (kept) return kept;
  for (;;) {
    try {
      return await request(options, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      if (isReason(error, 'Unauthorized')) options.refused?.();
      options.env.log.warn('no certificate for the node yet', { use: options.use, error: (error as Error).message });
      await sleep(options.env, RETRY, { signal });
    }
  }
}

/** Hands out a new certificate each time the current one nears its end, until the signal aborts. */
export async function renewNodeCertificate(
  options: NodeCertificateOptions,
  current: NodeCertificate,
  use: (renewed: NodeCertificate) => void,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  for (let cert = current.cert; ;) {
    const left = renewalOf(cert) - options.env.clock.now();
    if (left > 0) {
      await sleep(options.env, Math.min(left, LONGEST_SLEEP), { signal, unref: true });
      continue;
    }
    const renewed = await nodeCertificate(options, { signal });
    use(renewed);
    cert = renewed.cert;
    // However short they are made.
    await sleep(options.env, RETRY, { signal, unref: true });
  }
}

function renewalOf(pem: string): number {
  const { validFrom, validTo } = new X509Certificate(pem);
  const from = Date.parse(validFrom);
  return from + (Date.parse(validTo) - from) * RENEW_AT;
}

type Kept = Pick<NodeCertificateOptions, 'env' | 'use' | 'nodeName' | 'names' | 'dir' | 'ca'>;

const filesOf = ({ dir, use }: Pick<Kept, 'dir' | 'use'>) =>
  ({ certFile: join(dir, `kubelet-${use}.crt`), keyFile: join(dir, `kubelet-${use}.key`) }) as const;

/** When the certificate ends, milliseconds since the epoch. */
export const endOf = (pem: string): number => Date.parse(new X509Certificate(pem).validTo);

/** What is on disk, when it is this node's, for these names, by this authority and before the end that `until` tells. */
export function readKept(options: Kept, until: (pem: string) => number = renewalOf): NodeCertificate | undefined {
  const { certFile, keyFile } = filesOf(options);
  if (!existsSync(certFile) || !existsSync(keyFile)) return undefined;
  try {
    const cert = readFileSync(certFile, 'utf8');
    const key = readFileSync(keyFile, 'utf8');
    const parsed = new X509Certificate(cert);
    const signed =
      parsed.verify(new X509Certificate(options.ca).publicKey) && parsed.checkPrivateKey(createPrivateKey(key));
    const own = parsed.subject.split('\n').includes(`CN=system:node:${options.nodeName}`);
    const named = own && options.names.every((name) => (isIP(name) ? parsed.checkIP(name) : parsed.checkHost(name)));
    return signed && named && until(cert) > options.env.clock.now() ? { cert, key } : undefined;
  } catch (error) {
    options.env.log.warn('the kept certificate cannot be used', { file: certFile, error: (error as Error).message });
    return undefined;
  }
}

async function request(options: NodeCertificateOptions, signal: AbortSignal): Promise<NodeCertificate> {
  const { env, client, nodeName, names, use } = options;
  const pair = newKey();
  const subject = { commonName: `system:node:${nodeName}`, organizations: ['system:nodes'] };
  const name = `csr-${randomSuffix(env.random)}`;
  await client.create(Csr, {
    metadata: { name },
    spec: {
      request: Buffer.from(makeRequest({ subject, names }, pair)).toString('base64'),
      ...USES[use],
    },
  });
  const cert = await issued(options, name, signal);
  const key = keyPem(pair.privateKey);
  const { certFile, keyFile } = filesOf(options);
  mkdirSync(options.dir, { recursive: true, mode: 0o700 });
  writeFileAtomic(keyFile, key, { mode: 0o600 });
  writeFileAtomic(certFile, cert, { mode: 0o644 });
  return { cert, key };
}

/** PEM. Rejects when the request is denied, cannot be signed, or nobody decides about it. */
async function issued({ env, client }: NodeCertificateOptions, name: string, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const stop = new AbortController();
  const over = AbortSignal.any([signal, stop.signal]);
  const informer = createInformer(Csr, { client, env }, { fieldSelector: `metadata.name=${name}`, signal: over });
  informer.synced.catch(() => {});
  try {
    return await new Promise<string>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      const late = () => reject(new Error(`certificate request ${name} is not approved and signed`));
      sleep(env, PATIENCE, { signal: over, unref: true }).then(late, () => {});
      informer.on((csr) => {
        const refused = csr?.status?.conditions?.find((c) => c.type === 'Denied' || c.type === 'Failed');
        if (refused) reject(new Error(`certificate request ${name}: ${refused.type}: ${refused.message ?? ''}`));
        else if (csr?.status?.certificate) resolve(Buffer.from(csr.status.certificate, 'base64').toString());
      });
    });
  } finally {
    stop.abort(new Error('done'));
  }
}
