// Node's connection errors in the words of Go's net package, which users and their tools look for.

import { isIPv6 } from 'node:net';

const DIAL: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'i/o timeout',
};

/** The original is the `cause`. */
export function goNetError(error: Error & { readonly code?: string }, host: string, port: number): Error {
  const address = isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
  return new Error(textOf(error, host, address), { cause: error });
}

function textOf({ code = '', message }: Error & { readonly code?: string }, host: string, address: string): string {
  if (DIAL[code]) return `dial tcp ${address}: ${DIAL[code]}`;
  if (code === 'ENOTFOUND') return `dial tcp: lookup ${host}: no such host`;
  if (message === 'socket hang up') return 'EOF';
  if (code === 'ECONNRESET') return `read tcp ${address}: read: connection reset by peer`;
  if (code === 'CERT_HAS_EXPIRED')
    return 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid';
  if (code === 'EPROTO') return 'tls: first record does not look like a TLS handshake';
  return message;
}
