// The certificate a node's endpoint shows: asked for by a CertificateSigningRequest, kept on disk, renewed in time.
// https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/#certificate-rotation

import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { CertificateSigningRequest as Csr } from '../api/kinds/certificates/certificate-signing-request.ts';
import { randomSuffix, sleep, type Env } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import { createInformer } from '../client/create-informer.ts';
import { writeFileAtomic } from '../host/atomic-file.ts';
import { KUBELET_SERVING } from '../host/csr-signer.ts';
import { keyPem, makeRequest, newKey } from '../host/x509.ts';

export interface KubeletServingOptions {
  readonly env: Env;
  /** The kubelet's. */
  readonly client: Client;
  readonly nodeName: string;
  /** DNS names and addresses: those that the Node's status tells. */
  readonly names: readonly string[];
  /** Where certificate and key are kept. */
  readonly dir: string;
  /** PEM of the authority that must have signed it. */
  readonly ca: string;
}

/** PEM. */
export interface ServingCertificate {
  readonly cert: string;
  readonly key: string;
}

const RENEW_AT = 0.8;
const PATIENCE = 15 * 60_000;
const RETRY = 10_000;
/** Timers cannot wait longer than 24 days. */
const LONGEST_SLEEP = 24 * 3_600_000;

/** Resolves with a certificate that holds, new or kept; asks until it is given one. Rejects when the signal aborts. */
export async function servingCertificate(
  options: KubeletServingOptions,
  { signal }: { signal: AbortSignal },
): Promise<ServingCertificate> {
  const kept = readKept(options);
  if (kept) return kept;
  for (;;) {
    try {
      return await request(options, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      options.env.log.warn("no certificate for the node's endpoint yet", { error: (error as Error).message });
      await sleep(options.env, RETRY, { signal });
    }
  }
}

/** Hands out a new certificate each time the current one nears its end, until the signal aborts. */
export async function renewServingCertificate(
  options: KubeletServingOptions,
  current: ServingCertificate,
  use: (renewed: ServingCertificate) => void,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  for (let cert = current.cert; ;) {
    const left = renewalOf(cert) - options.env.clock.now();
    if (left > 0) {
      await sleep(options.env, Math.min(left, LONGEST_SLEEP), { signal, unref: true });
      continue;
    }
    const renewed = await servingCertificate(options, { signal });
    use(renewed);
    cert = renewed.cert;
  }
}

function renewalOf(pem: string): number {
  const { validFrom, validTo } = new X509Certificate(pem);
  const from = Date.parse(validFrom);
  return from + (Date.parse(validTo) - from) * RENEW_AT;
}

const filesOf = ({ dir }: KubeletServingOptions) =>
  ({ certFile: join(dir, 'kubelet-serving.crt'), keyFile: join(dir, 'kubelet-serving.key') }) as const;

/** What is on disk, when it is for these names, by this authority and not near its end. */
function readKept(options: KubeletServingOptions): ServingCertificate | undefined {
  const { certFile, keyFile } = filesOf(options);
  if (!existsSync(certFile) || !existsSync(keyFile)) return undefined;
  try {
    const cert = readFileSync(certFile, 'utf8');
    const key = readFileSync(keyFile, 'utf8');
    const parsed = new X509Certificate(cert);
    const signed = parsed.verify(new X509Certificate(options.ca).publicKey);
    const named = options.names.every((name) => (isIP(name) ? parsed.checkIP(name) : parsed.checkHost(name)));
    return signed && named && renewalOf(cert) > options.env.clock.now() ? { cert, key } : undefined;
  } catch (error) {
    options.env.log.warn('the kept certificate cannot be used', { file: certFile, error: (error as Error).message });
    return undefined;
  }
}

async function request(options: KubeletServingOptions, signal: AbortSignal): Promise<ServingCertificate> {
  const { env, client, nodeName, names } = options;
  const pair = newKey();
  const subject = { commonName: `system:node:${nodeName}`, organizations: ['system:nodes'] };
  const name = `csr-${randomSuffix(env.random)}`;
  await client.create(Csr, {
    metadata: { name },
    spec: {
      request: Buffer.from(makeRequest({ subject, names }, pair)).toString('base64'),
      signerName: KUBELET_SERVING,
      usages: ['digital signature', 'server auth'],
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
async function issued({ env, client }: KubeletServingOptions, name: string, signal: AbortSignal): Promise<string> {
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
