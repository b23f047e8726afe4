// The cluster's own certificate authority and everything signed by it, as PEM files in one directory: made on first
// use, reused after, replaced when near expiry or when the names wanted have changed. The authority's certificate is
// renewed with the key it has, so that what it signed stays good. Keys are readable by the owner only.

import { createPrivateKey, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Env } from '../base/env.ts';
import { writeFileAtomic } from './atomic-file.ts';
import { addressBytes, issue, keyPem, newKey, type Authority, type Subject, type Usage } from './x509.ts';
import { isIP } from 'node:net';

const DAY = 86_400_000;
const YEAR = 365 * DAY;
/** Clocks of other machines may be behind, and a clock that is put back by hours must shut nobody out. */
export const BACKDATE = DAY;

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** What a leaf certificate is to be. */
export interface Leaf extends Subject {
  readonly usages: readonly Usage[];
  /** DNS names and IP addresses. */
  readonly names?: readonly string[];
}

export class Pki {
  readonly dir: string;
  /** The authority's certificate, PEM. */
  readonly ca: string;
  readonly caFile: string;
  readonly authority: Authority;
  /** When the authority's certificate ends, milliseconds since the epoch. */
  readonly notAfter: number;
  /** Signs ServiceAccount tokens; PEM. */
  readonly serviceAccountKey: string;
  readonly #env: Env;

  /** Opens the directory, making what is missing. Throws with the file's name when something in it cannot be used. */
  constructor(dir: string, env: Env) {
    this.dir = dir;
    this.#env = env;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.caFile = join(dir, 'ca.crt');
    const { cert, key } = this.#openAuthority(this.caFile, join(dir, 'ca.key'));
    this.ca = cert;
    const parsed = new X509Certificate(cert);
    this.notAfter = Date.parse(parsed.validTo);
    this.authority = { subject: { commonName: commonNameOf(parsed) }, key, publicKey: parsed.publicKey };
    this.serviceAccountKey = this.#openServiceAccountKey();
  }

  /** The certificate called `name` (files `name.crt`, `name.key`), new when absent, near its end or not what is wanted. */
  leaf(name: string, want: Leaf): KeyPair {
    const certFile = join(this.dir, `${name}.crt`);
    const keyFile = join(this.dir, `${name}.key`);
    const kept = this.#readLeaf(certFile, keyFile, want);
    if (kept) return kept;
    const { publicKey, privateKey } = newKey();
    const now = this.#env.clock.now();
    const cert = issue(
      {
        subject: want,
        publicKey,
        notBefore: now - BACKDATE,
        notAfter: Math.min(now + YEAR, this.notAfter),
        usages: want.usages,
        keyEncipherment: true,
        ...(want.names ? { names: want.names } : {}),
      },
      this.authority,
      this.#env.random,
    );
    const key = keyPem(privateKey);
    // Interrupted between the two, the next start finds a key that is not the certificate's and makes both anew.
    writeFileAtomic(keyFile, key, { mode: 0o600 });
    writeFileAtomic(certFile, cert, { mode: 0o644 });
    return { cert, key, certFile, keyFile };
  }

  /** What is on disk, when it is what is wanted. What cannot be read, after a disk has failed, is only worth a new one. */
  #readLeaf(certFile: string, keyFile: string, want: Leaf): KeyPair | undefined {
    if (!existsSync(certFile) || !existsSync(keyFile)) return undefined;
    const cert = readFileSync(certFile, 'utf8');
    const key = readFileSync(keyFile, 'utf8');
    try {
      const { parsed, matches } = parsePair(certFile, cert, keyFile, key);
      return matches && this.#serves(parsed, want) ? { cert, key, certFile, keyFile } : undefined;
    } catch (error) {
      this.#env.log.warn('a damaged certificate is made anew', { error: (error as Error).message });
      return undefined;
    }
  }

  /** The API server's serving certificate; see `apiServerNames`. */
  apiServer(names: readonly string[]): KeyPair {
    return this.leaf('apiserver', { commonName: 'kube-apiserver', usages: ['server auth'], names });
  }

  /** What the API server shows to kubelets. */
  apiServerKubeletClient(): KeyPair {
    const commonName = 'kube-apiserver-kubelet-client';
    return this.leaf('apiserver-kubelet-client', {
      commonName,
      organizations: ['kubeadm:cluster-admins'],
      usages: ['client auth'],
    });
  }

  /** The administrator: user `kubernetes-admin`, group `system:masters`. */
  admin(): KeyPair {
    return this.#client('admin', { commonName: 'kubernetes-admin', organizations: ['system:masters'] });
  }

  /** A control plane component: user `system:<component>`, e.g. `kube-scheduler`. */
  component(component: 'kube-controller-manager' | 'kube-scheduler' | 'kube-proxy'): KeyPair {
    return this.#client(component, { commonName: `system:${component}` });
  }

  /** A kubelet as a client: user `system:node:<name>`, group `system:nodes`. */
  node(name: string): KeyPair {
    return this.#client(`node-${name}`, { commonName: `system:node:${name}`, organizations: ['system:nodes'] });
  }

  /** A kubelet as a server. */
  kubeletServing(name: string, names: readonly string[]): KeyPair {
    return this.leaf(`kubelet-${name}`, {
      commonName: `system:node:${name}`,
      organizations: ['system:nodes'],
      usages: ['server auth'],
      names,
    });
  }

  #client(file: string, subject: Subject): KeyPair {
    return this.leaf(file, { ...subject, usages: ['client auth'] });
  }

  #serves(parsed: X509Certificate, want: Leaf): boolean {
    const from = Date.parse(parsed.validFrom);
    const until = Date.parse(parsed.validTo);
    const now = this.#env.clock.now();
    return (
      now >= from &&
      until - now > (until - from) / 3 &&
      parsed.verify(this.authority.publicKey) &&
      commonNameOf(parsed) === want.commonName &&
      namesOf(parsed) === (want.names ?? []).map(canonicalName).sort().join()
    );
  }

  #openAuthority(certFile: string, keyFile: string): { cert: string; key: KeyObject } {
    const present = existsSync(certFile);
    if (present !== existsSync(keyFile)) {
      const missing = present ? keyFile : certFile;
      throw new Error(`${missing} is missing but its counterpart is there; ${replaceHint(this.dir)}`);
    }
    if (present) {
      const cert = readFileSync(certFile, 'utf8');
      const key = readFileSync(keyFile, 'utf8');
      const { parsed, matches } = parsePair(certFile, cert, keyFile, key);
      if (!matches) throw new Error(`${keyFile} is not the key of ${certFile}; ${replaceHint(this.dir)}`);
      if (!parsed.ca) throw new Error(`${certFile} is no certificate authority; ${replaceHint(this.dir)}`);
      const authority = { key: createPrivateKey(key), publicKey: parsed.publicKey };
      const end = Date.parse(parsed.validTo);
      if (end - this.#env.clock.now() > YEAR) return { cert, key: authority.key };
      this.#env.log.warn('The certificate authority is renewed: kubeconfigs from elsewhere have to be fetched again', {
        file: certFile,
        until: parsed.validTo,
      });
      return { cert: this.#certify(commonNameOf(parsed), authority, certFile), key: authority.key };
    }
    const { publicKey, privateKey } = newKey();
    writeFileAtomic(keyFile, keyPem(privateKey), { mode: 0o600, durable: true });
    return { cert: this.#certify('kubernetes', { key: privateKey, publicKey }, certFile), key: privateKey };
  }

  /** The authority's own certificate. */
  #certify(commonName: string, pair: { key: KeyObject; publicKey: KeyObject }, file: string): string {
    const subject = { commonName };
    const now = this.#env.clock.now();
    const cert = issue(
      {
        subject,
        publicKey: pair.publicKey,
        ca: true,
        notBefore: now - BACKDATE,
        notAfter: now + 10 * YEAR,
        names: ['kubernetes'],
      },
      { subject, ...pair },
      this.#env.random,
    );
    writeFileAtomic(file, cert, { mode: 0o644, durable: true });
    return cert;
  }

  #openServiceAccountKey(): string {
    const file = join(this.dir, 'sa.key');
    if (existsSync(file)) {
      const text = readFileSync(file, 'utf8');
      readKey(file, text);
      return text;
    }
    const { publicKey, privateKey } = newKey();
    const key = keyPem(privateKey);
    writeFileAtomic(file, key, { mode: 0o600, durable: true });
    writeFileAtomic(join(this.dir, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }) as string, {
      mode: 0o644,
    });
    return key;
  }
}

/** The names a cluster's API server is reached by; `more` are host names and addresses of this machine. */
export function apiServerNames(serviceAddress: string, domain: string, more: readonly string[]): string[] {
  const service = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', `kubernetes.default.svc.${domain}`];
  return [...new Set([...service, 'localhost', '127.0.0.1', '::1', serviceAddress, ...more])];
}

function parsePair(certFile: string, cert: string, keyFile: string, key: string) {
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(cert);
  } catch (error) {
    throw new Error(`${certFile} holds no certificate that can be read: ${(error as Error).message}`, { cause: error });
  }
  return { parsed, matches: parsed.checkPrivateKey(readKey(keyFile, key)) };
}

function readKey(file: string, text: string): KeyObject {
  try {
    const key = createPrivateKey(text);
    createPublicKey(key);
    return key;
  } catch (error) {
    throw new Error(`${file} holds no private key that can be read: ${(error as Error).message}`, { cause: error });
  }
}

const replaceHint = (dir: string) =>
  `restore it from a backup, or delete ${dir} to start with a new authority (all kubeconfigs then need renewing)`;

const commonNameOf = (cert: X509Certificate) => /^CN=(.*)$/m.exec(cert.subject)?.[1] ?? '';

/** Subject alternative names in one comparable text. */
function namesOf(cert: X509Certificate): string {
  const names = (cert.subjectAltName ?? '').split(', ').filter(Boolean);
  return names
    .map((n) => canonicalName(n.replace(/^(DNS|IP Address):/, '')))
    .sort()
    .join();
}

const canonicalName = (name: string) => (isIP(name) === 6 ? addressBytes(name).toString('hex') : name.toLowerCase());
