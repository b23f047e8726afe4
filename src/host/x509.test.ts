import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../base/log.ts';
import { seededRandom, VirtualClock } from '../base/virtual-clock.ts';
import { kubeletClient, KUBELET_CLIENT, KUBELET_SERVING, readRequest, refusal, signRequest } from './csr-signer.ts';
import { apiServerNames, Pki } from './pki.ts';
import { addressBytes, makeRequest, newKey, parseRequest } from './x509.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'coracle-pki-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const DAY = 86_400_000;
function env(clock = new VirtualClock(Date.UTC(2026, 5, 1))) {
  return { clock, random: seededRandom(1), log: silentLogger };
}
const parse = (pem: string) => new X509Certificate(pem);

describe('certificates on disk', () => {
  test('are what they are asked to be, and signed by the authority', () => {
    const pki = new Pki(dir, env());
    const ca = parse(pki.ca);
    expect(ca.ca).toBe(true);
    const names = apiServerNames('10.96.0.1', 'cluster.local', ['box', 'fd00::1']);
    const serving = parse(pki.apiServer(names).cert);
    expect(serving.checkIssued(ca) && serving.verify(ca.publicKey)).toBe(true);
    for (const host of ['localhost', 'kubernetes.default.svc.cluster.local', 'box'])
      expect(serving.checkHost(host)).toBe(host);
    for (const ip of ['127.0.0.1', '10.96.0.1', '::1', 'fd00::1']) expect(serving.checkIP(ip)).toBeTruthy();
    expect(serving.checkHost('elsewhere')).toBeUndefined();
    expect(serving.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(parse(pki.admin().cert).subject).toBe('O=system:masters\nCN=kubernetes-admin');
    expect(parse(pki.node('n1').cert).subject).toBe('O=system:nodes\nCN=system:node:n1');
    expect(parse(pki.component('kube-scheduler').cert).subject).toBe('CN=system:kube-scheduler');
    expect(statSync(join(dir, 'ca.key')).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, 'admin.key')).mode & 0o777).toBe(0o600);
  });

  test('pass a strict verifier', () => {
    const pki = new Pki(dir, { ...env(), clock: new VirtualClock(Date.now()) });
    const check = (purpose: string, file: string) =>
      execFileSync('openssl', ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', pki.caFile, file]).toString();
    expect(check('sslserver', pki.apiServer(['localhost']).certFile)).toContain('OK');
    expect(check('sslclient', pki.admin().certFile)).toContain('OK');
  });

  test('are used again, until they near their end or other names are wanted', () => {
    const clock = new VirtualClock(Date.UTC(2026, 5, 1));
    const first = new Pki(dir, env(clock)).apiServer(['a', '::1']);
    const again = () => new Pki(dir, env(clock));
    expect(again().apiServer(['0:0::1', 'A']).cert).toBe(first.cert);
    expect(again().serviceAccountKey).toBe(again().serviceAccountKey);
    expect(again().apiServer(['a', 'b']).cert).not.toBe(first.cert);
    const second = again().apiServer(['a']);
    const old = again().ca;
    return clock.advance(200 * DAY).then(async () => {
      expect(again().apiServer(['a']).cert).toBe(second.cert);
      await clock.advance(60 * DAY);
      expect(again().apiServer(['a']).cert).not.toBe(second.cert);
      expect(again().ca).toBe(old);
      // Near its end and after it, the authority gets a new certificate for the key it has.
      const admin = parse(again().admin().cert);
      for (const days of [3100, 3650]) {
        await clock.advance(days * DAY);
        const renewed = parse(again().ca);
        expect(Date.parse(renewed.validTo) - clock.now()).toBeGreaterThan(9 * 365 * DAY);
        expect(renewed.subject).toBe(parse(old).subject);
        expect(admin.verify(renewed.publicKey) && admin.checkIssued(renewed)).toBe(true);
        expect(parse(again().apiServer(['a']).cert).checkIssued(parse(old))).toBe(true);
      }
    });
  });

  test('damage is named, half a renewal is repaired', () => {
    const pki = new Pki(dir, env());
    const admin = pki.admin();
    const other = pki.node('x');
    writeFileSync(admin.keyFile, other.key);
    expect(pki.admin().key).not.toBe(other.key);
    writeFileSync(admin.certFile, 'nonsense');
    expect(parse(pki.admin().cert).subject).toContain('CN=kubernetes-admin');
    writeFileSync(pki.admin().keyFile, '');
    expect(parse(pki.admin().cert).checkPrivateKey(createPrivateKey(pki.admin().key))).toBe(true);
    writeFileSync(join(dir, 'sa.key'), '');
    expect(() => new Pki(dir, env())).toThrow(/sa\.key holds no private key/);
    writeFileSync(join(dir, 'ca.key'), other.key);
    expect(() => new Pki(dir, env())).toThrow(/ca\.key is not the key of .*ca\.crt/);
    rmSync(join(dir, 'ca.key'));
    expect(() => new Pki(dir, env())).toThrow(/ca\.key is missing/);
  });
});

describe('certificate requests', () => {
  function request(
    subject: string,
    more: string[] = [],
    key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  ) {
    const args = ['req', '-new', ...key, '-nodes', '-keyout', join(dir, 'k'), '-subj', subject, ...more];
    return execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] }).toString();
  }
  const spec = (pem: string, signerName: string, usages: string[], username = 'system:node:n1') => ({
    request: Buffer.from(pem).toString('base64'),
    signerName,
    usages,
    username,
  });

  test('are read with all names, whatever the key', () => {
    const pem = request('/O=g1/O=g2/CN=me', [
      '-addext',
      'subjectAltName=DNS:a.b,IP:10.0.0.1,IP:fd00::1,email:x@y.z,URI:spiffe://a',
    ]);
    expect(parseRequest(pem)).toMatchObject({
      commonName: 'me',
      organizations: ['g1', 'g2'],
      dnsNames: ['a.b'],
      addresses: ['10.0.0.1', 'fd00::1'],
      emails: ['x@y.z'],
      uris: ['spiffe://a'],
    });
    expect(parseRequest(request('/CN=rsa', [], ['-newkey', 'rsa:2048'])).publicKey.asymmetricKeyType).toBe('rsa');
    expect(parseRequest(request('/CN=ed', [], ['-newkey', 'ed25519'])).publicKey.asymmetricKeyType).toBe('ed25519');
  });

  test('of our own making are read back', () => {
    const subject = { commonName: 'system:node:n1', organizations: ['system:nodes'] };
    const pem = makeRequest({ subject, names: ['n1', '10.0.0.1'] }, newKey());
    expect(parseRequest(pem)).toMatchObject({ ...subject, dnsNames: ['n1'], addresses: ['10.0.0.1'] });
    writeFileSync(join(dir, 'r'), makeRequest({ subject }, newKey()));
    const said = execFileSync('openssl', ['req', '-verify', '-noout', '-subject', '-in', join(dir, 'r')], {
      stdio: 'pipe',
    });
    expect(said.toString()).toContain('system:node:n1');
  });

  test('damaged or forged ones are refused', () => {
    const pem = request('/CN=me');
    expect(() => parseRequest('hello')).toThrow('CERTIFICATE REQUEST');
    const der = Buffer.from(pem.split('\n').slice(1, -2).join(''), 'base64');
    for (let cut = 1; cut < der.length; cut += 13) {
      const text = `-----BEGIN CERTIFICATE REQUEST-----\n${der.subarray(0, cut).toString('base64')}\n-----END CERTIFICATE REQUEST-----`;
      expect(() => parseRequest(text)).toThrow();
    }
    const at = der.indexOf('me');
    der[at] = 'x'.charCodeAt(0);
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----`;
    expect(() => parseRequest(forged)).toThrow('does not match its public key');
  });

  test('of nodes are signed as asked', () => {
    const pki = new Pki(dir, env());
    const client = spec(request('/O=system:nodes/CN=system:node:n1'), KUBELET_CLIENT, [
      'digital signature',
      'client auth',
    ]);
    expect(kubeletClient(client)).toBe('own');
    expect(kubeletClient({ ...client, username: 'system:node:n2' })).toBe('other');
    expect(kubeletClient({ ...client, usages: ['server auth'] })).toBeUndefined();
    expect(kubeletClient({ ...client, request: 'AAAA' })).toBeUndefined();
    const cert = parse(signRequest({ ...client, expirationSeconds: 3600 }, pki, env()));
    expect(cert.subject).toBe('O=system:nodes\nCN=system:node:n1');
    expect(cert.verify(pki.authority.publicKey)).toBe(true);
    expect(Date.parse(cert.validTo) - env().clock.now()).toBe(3_600_000);
    expect(Date.parse(cert.validFrom)).toBe(env().clock.now() - 360_000);
    const [short] = [
      parse(
        signRequest(client, { ...pki, authority: pki.authority, notAfter: pki.notAfter, signingSeconds: 30 }, env()),
      ),
    ];
    expect(Date.parse(short.validTo) - env().clock.now()).toBe(30_000);
    expect(cert.checkPrivateKey(createPrivateKey(readFileSync(join(dir, 'k'))))).toBe(true);
    const serving = spec(
      request('/O=system:nodes/CN=system:node:n1', ['-addext', 'subjectAltName=DNS:n1,IP:10.0.0.9']),
      KUBELET_SERVING,
      ['server auth', 'digital signature', 'key encipherment'],
    );
    expect(parse(signRequest(serving, pki, env())).subjectAltName).toBe('DNS:n1, IP Address:10.0.0.9');
  });

  test.each([
    ['/O=system:masters/CN=system:node:n1', 'subject organization is not system:nodes'],
    ['/O=system:nodes/O=system:masters/CN=system:node:n1', 'subject organization is not system:nodes'],
    ['/O=system:nodes/CN=admin', 'subject common name does not begin with system:node: '],
  ])('%s as a node: %s', (subject, why) => {
    const asked = spec(request(subject), KUBELET_CLIENT, ['digital signature', 'client auth']);
    expect(refusal(asked, readRequest(asked))).toBe(why);
    expect(() => signRequest(asked, new Pki(dir, env()), env())).toThrow(why);
  });
});

test('addresses', () => {
  expect([...addressBytes('10.1.2.3')]).toEqual([10, 1, 2, 3]);
  expect(addressBytes('fd00:1::2').toString('hex')).toBe('fd000001000000000000000000000002');
  expect(addressBytes('::ffff:1.2.3.4').toString('hex')).toBe('00000000000000000000ffff01020304');
  expect(addressBytes('::').toString('hex')).toBe('0'.repeat(32));
});
