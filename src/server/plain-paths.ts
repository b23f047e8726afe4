// Small fixed answers: /version, the list of paths at /, and the OpenID documents of ServiceAccount tokens.

import type { PublicJwk } from './authn/token-keys.ts';
import type { HttpExchange, PathHandler } from './http-exchange.ts';

/** `version.Info` of k8s.io/apimachinery. */
export interface VersionInfo {
  readonly major: string;
  readonly minor: string;
  readonly gitVersion: string;
  readonly gitCommit: string;
  readonly gitTreeState: string;
  readonly buildDate: string;
  readonly goVersion: string;
  readonly compiler: string;
  readonly platform: string;
}

const encoder = new TextEncoder();

function fixed(path: string, value: () => object, headers: Record<string, string> = {}): PathHandler {
  return {
    paths: [path],
    match: (asked) => asked === path || asked === `${path}/`,
    handle: (exchange) => json(exchange, value(), headers),
  };
}

export function versionHandler(version: VersionInfo): PathHandler {
  return fixed('/version', () => version);
}

/** Lists what all handlers serve. */
export function indexHandler(handlers: readonly PathHandler[]): PathHandler {
  return {
    paths: [],
    match: (path) => path === '/' || path === '/index.html',
    handle: (exchange) => json(exchange, { paths: handlers.flatMap((h) => h.paths).sort() }),
  };
}

/** Lets others check ServiceAccount tokens by OpenID Connect discovery. `url` is where clients reach this server. */
export function openIdHandlers(issuer: string, url: string, keys: readonly PublicJwk[]): PathHandler[] {
  const cached = { 'cache-control': 'public, max-age=3600' };
  return [
    fixed(
      '/.well-known/openid-configuration',
      () => ({
        issuer,
        jwks_uri: `${url}/openid/v1/jwks`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: [...new Set(keys.map((k) => k.alg))],
      }),
      cached,
    ),
    fixed('/openid/v1/jwks', () => ({ keys }), { ...cached, 'content-type': 'application/jwk-set+json' }),
  ];
}

function json(exchange: HttpExchange, value: object, headers: Record<string, string> = {}): void {
  const common = { 'content-type': 'application/json', 'cache-control': 'no-cache, private' };
  exchange.respond(200, { ...common, ...headers }, encoder.encode(JSON.stringify(value, null, 2)));
}
