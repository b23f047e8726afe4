// X.509 certificates for one small authority (RFC 5280): ECDSA P-256 with SHA-256, written with our own DER because
// node:crypto reads certificates but makes none. Also reads PKCS#10 certificate requests (RFC 2986).

import { createHash, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import type { Random } from '../base/env.ts';
import * as der from './der.ts';

export interface Subject {
  readonly commonName: string;
  readonly organizations?: readonly string[];
}

export type Usage = 'client auth' | 'server auth';

export interface CertificateRequest {
  readonly subject: Subject;
  readonly publicKey: KeyObject;
  readonly notBefore: number;
  readonly notAfter: number;
  /** Set for an authority's own certificate. */
  readonly ca?: boolean;
  readonly usages?: readonly Usage[];
  /** Whether `key encipherment` goes with `digital signature`. */
  readonly keyEncipherment?: boolean;
  /** DNS names and IP addresses. */
  readonly names?: readonly string[];
  readonly emails?: readonly string[];
  readonly uris?: readonly string[];
}

export interface Authority {
  readonly subject: Subject;
  readonly key: KeyObject;
  readonly publicKey: KeyObject;
}

const ECDSA_SHA256 = der.sequence(der.oid('1.2.840.10045.4.3.2'));
const EKU = { 'server auth': '1.3.6.1.5.5.7.3.1', 'client auth': '1.3.6.1.5.5.7.3.2' } as const;

export function newKey(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** PKCS#8 would do as well; SEC 1 is what kubeadm writes and what every reader takes. */
export const keyPem = (key: KeyObject): string => key.export({ type: 'sec1', format: 'pem' }) as string;

/** A certificate in PEM, signed by the authority's key. */
export function issue(request: CertificateRequest, authority: Authority, random: Random): string {
  const serial = Buffer.from(random.bytes(16));
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const body = der.sequence(
    der.explicit(0, der.integer(Buffer.from([2]))), // version 3
    der.integer(serial),
    ECDSA_SHA256,
    nameOf(authority.subject),
    der.sequence(der.time(request.notBefore), der.time(request.notAfter)),
    nameOf(request.subject),
    spkiOf(request.publicKey),
    der.explicit(3, der.sequence(...extensionsOf(request, authority))),
  );
  const signature = sign('sha256', body, authority.key);
  return pem('CERTIFICATE', der.sequence(body, ECDSA_SHA256, der.bitString(signature)));
}

function extensionsOf(request: CertificateRequest, authority: Authority): Buffer[] {
  // Key usage as [unused bits, bits]: digital signature 0x80, key encipherment 0x20, certificate signing 0x04.
  const usage = request.ca ? [2, 0xa4] : request.keyEncipherment ? [5, 0xa0] : [7, 0x80];
  const out = [extension('2.5.29.15', true, der.bitString(Buffer.from([usage[1]!]), usage[0]))];
  if (request.usages?.length)
    out.push(extension('2.5.29.37', false, der.sequence(...request.usages.map((u) => der.oid(EKU[u])))));
  out.push(extension('2.5.29.19', true, request.ca ? der.sequence(der.boolean(true)) : der.sequence()));
  if (request.ca) out.push(extension('2.5.29.14', false, der.octets(keyId(request.publicKey))));
  out.push(extension('2.5.29.35', false, der.sequence(der.implicit(0, keyId(authority.publicKey)))));
  const names = alternativeName(request);
  return names ? [...out, names] : out;
}

const extension = (id: string, critical: boolean, value: Buffer) =>
  der.sequence(der.oid(id), ...(critical ? [der.boolean(true)] : []), der.octets(value));

function alternativeName(of: Pick<CertificateRequest, 'emails' | 'names' | 'uris'>): Buffer | undefined {
  const names = [
    ...(of.emails ?? []).map((e) => der.implicit(1, Buffer.from(e))),
    ...(of.names ?? []).map((n) =>
      isIP(n) ? der.implicit(7, addressBytes(n)) : der.implicit(2, Buffer.from(n, 'ascii')),
    ),
    ...(of.uris ?? []).map((u) => der.implicit(6, Buffer.from(u))),
  ];
  return names.length > 0 ? extension('2.5.29.17', false, der.sequence(...names)) : undefined;
}

function nameOf(subject: Subject): Buffer {
  const attribute = (id: string, text: string) => der.set(der.sequence(der.oid(id), der.utf8(text)));
  return der.sequence(
    ...(subject.organizations ?? []).map((o) => attribute('2.5.4.10', o)),
    attribute('2.5.4.3', subject.commonName),
  );
}

const spkiOf = (key: KeyObject) => key.export({ type: 'spki', format: 'der' });

/** RFC 5280 4.2.1.2 (1): SHA-1 of the subject public key's bits. */
function keyId(key: KeyObject): Buffer {
  const bits = der.readAll(der.readOne(spkiOf(key), 0x30).contents)[1]!.contents;
  return createHash('sha1').update(bits.subarray(1)).digest();
}

/** 4 or 16 bytes. */
export function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const words = (text: string | undefined) =>
    (text ? text.split(':') : []).flatMap((w) => {
      if (!w.includes('.')) return [parseInt(w, 16)];
      const b = w.split('.').map(Number);
      return [(b[0]! << 8) | b[1]!, (b[2]! << 8) | b[3]!];
    });
  const first = words(head);
  const last = words(tail);
  const all = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
  return Buffer.from(all.flatMap((w) => [w >> 8, w & 0xff]));
}

function pem(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** A certificate request in PEM, signed by its own key. */
export function makeRequest(
  want: { readonly subject: Subject; readonly names?: readonly string[] },
  key: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
): string {
  const names = alternativeName(want);
  // 1.2.840.113549.1.9.14: extensionRequest
  const attributes = names ? [der.sequence(der.oid('1.2.840.113549.1.9.14'), der.set(der.sequence(names)))] : [];
  const info = der.sequence(
    der.integer(Buffer.from([0])),
    nameOf(want.subject),
    spkiOf(key.publicKey),
    der.explicit(0, ...attributes),
  );
  const signature = sign('sha256', info, key.privateKey);
  return pem('CERTIFICATE REQUEST', der.sequence(info, ECDSA_SHA256, der.bitString(signature)));
}

export interface ParsedRequest {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly addresses: readonly string[];
  readonly emails: readonly string[];
  readonly uris: readonly string[];
  readonly publicKey: KeyObject;
}

/** Reads a PEM certificate request and checks its own signature. Throws an Error that says what is wrong. */
export function parseRequest(text: string): ParsedRequest {
  const match = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([\s\S]*?)-----END (?:NEW )?CERTIFICATE REQUEST-----/.exec(
    text,
  );
  if (!match) throw new Error('PEM block type must be CERTIFICATE REQUEST');
  const [info, algorithm, signature] = der.readAll(der.readOne(Buffer.from(match[1]!, 'base64'), 0x30).contents);
  const [, subject, spki, attributes] = der.readAll(der.expect(info, 0x30).contents);
  const publicKey = createPublicKey({ key: der.expect(spki, 0x30).whole, format: 'der', type: 'spki' });
  const hash = digestOf(der.expect(algorithm, 0x30).contents);
  if (!verify(hash, info!.whole, publicKey, der.expect(signature, 0x03).contents.subarray(1)))
    throw new Error('the signature of the certificate request does not match its public key');
  const names = subjectOf(der.expect(subject, 0x30));
  return { ...names, ...alternativeNames(attributes), publicKey };
}

const DIGESTS: Readonly<Record<string, string | null>> = {
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.3.101.112': null, // Ed25519 hashes by itself
};

function digestOf(algorithm: Buffer): string | null {
  const id = der.readOid(der.expect(der.readAll(algorithm)[0], 0x06).contents);
  const digest = DIGESTS[id];
  if (digest === undefined) throw new Error(`signature algorithm ${id} is not supported`);
  return digest;
}

function subjectOf(name: der.Element): { commonName: string; organizations: string[] } {
  let commonName = '';
  const organizations: string[] = [];
  for (const rdn of der.readAll(name.contents))
    for (const attribute of der.readAll(rdn.contents)) {
      const [id, value] = der.readAll(attribute.contents);
      const type = der.readOid(der.expect(id, 0x06).contents);
      if (type === '2.5.4.3' && value) commonName = der.readText(value);
      if (type === '2.5.4.10' && value) organizations.push(der.readText(value));
    }
  return { commonName, organizations };
}

function alternativeNames(attributes: der.Element | undefined) {
  const out = { dnsNames: [] as string[], addresses: [] as string[], emails: [] as string[], uris: [] as string[] };
  if (attributes?.tag !== 0xa0) return out;
  for (const attribute of der.readAll(attributes.contents)) {
    const [id, values] = der.readAll(attribute.contents);
    // 1.2.840.113549.1.9.14: extensionRequest
    if (der.readOid(der.expect(id, 0x06).contents) !== '1.2.840.113549.1.9.14') continue;
    const extensions = der.readOne(der.expect(values, 0x31).contents, 0x30);
    for (const extension of der.readAll(extensions.contents)) {
      const parts = der.readAll(extension.contents);
      if (der.readOid(der.expect(parts[0], 0x06).contents) !== '2.5.29.17') continue;
      const names = der.readOne(der.expect(parts.at(-1), 0x04).contents, 0x30);
      for (const n of der.readAll(names.contents)) {
        if (n.tag === 0x81) out.emails.push(n.contents.toString('latin1'));
        if (n.tag === 0x82) out.dnsNames.push(n.contents.toString('latin1'));
        if (n.tag === 0x86) out.uris.push(n.contents.toString('latin1'));
        if (n.tag === 0x87) out.addresses.push(addressText(n.contents));
      }
    }
  }
  return out;
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return [...bytes].join('.');
  if (bytes.length !== 16) throw new Error('asn1: structure error: bad IP address');
  const words = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16)).join(':');
  // URL parsing normalises an IPv6 address to its shortest form.
  return new URL(`http://[${words}]/`).hostname.slice(1, -1);
}
