// The continue token of paged lists: the revision the list was begun at and the key the next page starts behind.
// Revision -1 continues with the latest state after the first one is no longer remembered.

import { badRequest } from '../../api/errors.ts';

export interface ContinueToken {
  readonly revision: number;
  /** The key's part behind the kind's prefix. */
  readonly start: string;
}

export function encodeToken(token: ContinueToken): string {
  const json = JSON.stringify({ v: 'meta.k8s.io/v1', rv: token.revision, start: token.start });
  const text = String.fromCharCode(...new TextEncoder().encode(json));
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** Throws BadRequest for anything this server did not make. */
export function decodeToken(text: string): ContinueToken {
  let token: unknown;
  try {
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
    token = JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (c) => c.charCodeAt(0))));
  } catch {
    throw notValid('invalid encoding');
  }
  const { v, rv, start } = (token ?? {}) as { v?: unknown; rv?: unknown; start?: unknown };
  if (v !== 'meta.k8s.io/v1') throw notValid('server does not recognize this encoded version "' + String(v) + '"');
  if (typeof rv !== 'number' || !Number.isSafeInteger(rv) || rv === 0) {
    throw notValid('incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
  }
  if (typeof start !== 'string' || !start) throw notValid('encoded start key empty (version meta.k8s.io/v1)');
  return { revision: rv, start };
}

const notValid = (why: string) => badRequest(`invalid continue token: continue key is not valid: ${why}`);
