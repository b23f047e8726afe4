// Certificates are renewed in time, while everything runs and after a long pause.

import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CertificateSigningRequest as Csr } from '../api/kinds/certificates/certificate-signing-request.ts';
import { StatusError } from '../api/errors.ts';
import { silentLogger } from '../base/log.ts';
import { seededRandom, VirtualClock } from '../base/virtual-clock.ts';
import { Client } from '../client/client.ts';
import { certificateSigning } from '../controllers/certificate-signing.ts';
import { certificateSigner } from '../host/csr-signer.ts';
import { listen } from '../host/listener.ts';
import { Pki } from '../host/pki.ts';
import type { HttpTransport } from '../host/http-transport.ts';
import { alwaysAllow } from '../server/authz/rbac.ts';
import { reviewHandlers } from '../server/authz/reviews.ts';
import { subresourceHandlers } from '../server/subresources/index.ts';
import { keepIdentity, keptIdentity } from './agent-identity.ts';
import { keepRenewed } from './certificate-renewal.ts';
import { startControllers } from './test-controllers.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const MINUTE = 60_000;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'coracle-certificates-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const endOf = (pem: string) => Date.parse(new X509Certificate(pem).validTo);

/** What a server shows just now. */
function shownBy(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()!.toString());
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

test('a server that runs on shows a new certificate before the old one ends; a failure is tried again', async () => {
  const clock = new VirtualClock(Date.UTC(2026, 0, 1));
  const env = { clock, random: seededRandom(1), log: silentLogger };
  const pki = new Pki(dir, env);
  const stop = new AbortController();
  const make = () => pki.apiServer(['localhost']);
  const first = make();
  const listener = await listen({
    env,
    host: '127.0.0.1',
    port: 0,
    cert: first.cert,
    key: first.key,
    clientCa: pki.ca,
    handler: (exchange) => exchange.respond(204, {}, undefined),
  });
  try {
    let fails = 3;
    const use = ({ cert, key }: { cert: string; key: string }) => {
      if (fails-- > 0) throw new Error('no file descriptors');
      listener.setCertificate(cert, key);
    };
    keepRenewed({ env, what: 'test', make, use }, first, stop);
    const later = (days: number) => {
      clock.jump(days * DAY);
      return clock.advance(HOUR);
    };
    await later(200);
    expect(await shownBy(listener.port)).toBe(first.cert);
    await later(60);
    const second = await shownBy(listener.port);
    expect(fails).toBe(-1);
    expect(endOf(second) - clock.now()).toBeGreaterThan(300 * DAY);
    await later(365);
    expect(endOf(await shownBy(listener.port)) - clock.now()).toBeGreaterThan(300 * DAY);
    stop.abort();
    expect(clock.nextForeground()).toBeUndefined();
  } finally {
    await listener.close();
  }
});

test("an agent's client certificate is its own, is kept, is renewed in time, and goes before the kubeconfig's", async () => {
  let now = () => Date.UTC(2026, 0, 1);
  const clock = { now: () => now(), monotonic: () => 0, setTimer: () => ({ cancel: () => {} }) };
  const signerEnv = { clock, random: seededRandom(1), log: silentLogger };
  const pki = new Pki(join(dir, 'pki'), signerEnv);
  const { authority, notAfter } = pki;
  const signer = certificateSigner({ authority, notAfter, signingSeconds: 3600 }, signerEnv);
  const t = await startControllers([certificateSigning(signer)], {
    authorizer: alwaysAllow,
    handlers: [...subresourceHandlers, ...reviewHandlers(undefined)],
  });
  now = () => t.clock.now();
  const given = pki.node('n1');
  const access = { server: 'https://127.0.0.1:1', ca: pki.ca, cert: given.cert, key: given.key };
  const used: string[] = [];
  const transport = { setCertificate: (cert: string) => used.push(cert) } as unknown as HttpTransport;
  // As a server does: it takes nobody whose certificate has ended.
  const node = t.clientFor({ name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] });
  const client = new Client((op, options) => {
    if (endOf(used.at(-1) ?? given.cert) > t.clock.now()) return node.do(op, options?.signal);
    return Promise.reject(new StatusError('Unauthorized', 'Unauthorized'));
  }, 'test');
  const identity = { env: t.env, nodeName: 'n1', dir: join(dir, 'own') };
  const stop = new AbortController();
  const kept = () => keptIdentity(identity, access);
  expect(kept()).toBeUndefined();

  const running = keepIdentity(identity, { access, client, transport }, stop);
  await t.clock.advance(1000);
  expect(used).toHaveLength(1);
  const [own = ''] = used;
  const parsed = new X509Certificate(own);
  expect(parsed.subject).toBe('O=system:nodes\nCN=system:node:n1');
  expect(parsed.checkIssued(new X509Certificate(pki.ca))).toBe(true);
  expect(parsed.publicKey.equals(new X509Certificate(given.cert).publicKey)).toBe(false);
  expect(statSync(join(dir, 'own', 'kubelet-client.key')).mode & 0o777).toBe(0o600);
  // The kubeconfig's lasts for a year, this one for an hour.
  expect(kept()).toBeUndefined();

  await t.clock.advance(45 * MINUTE);
  expect(used).toHaveLength(1);
  await t.clock.advance(15 * MINUTE);
  expect(used).toHaveLength(2);
  for (let hours = 0; hours < 24; hours++) {
    await t.clock.advance(60 * MINUTE);
    expect(endOf(used.at(-1)!)).toBeGreaterThan(t.clock.now());
  }
  expect(used.length).toBeLessThan(40);
  // Cut off, or asleep, for longer than its own lasts: it begins again with the kubeconfig's, and has its own again.
  const before = used.length;
  t.clock.jump(3 * DAY);
  await t.clock.advance(11 * MINUTE);
  expect(used.slice(before)).toHaveLength(2);
  expect(used.at(-2)).toBe(given.cert);
  expect(endOf(used.at(-1)!)).toBeGreaterThan(t.clock.now());
  // A start goes by whichever lasts longer.
  expect(kept()).toBeUndefined();
  expect(keptIdentity(identity, { ...access, cert: own })?.cert).toBe(used.at(-1));
  expect(keptIdentity({ ...identity, nodeName: 'n2' }, { ...access, cert: own })).toBeUndefined();
  // Requests that have been answered do not pile up.
  expect((await t.client.list(Csr)).items.length).toBeLessThan(10);

  stop.abort();
  await running;
  await t.stop();
});
