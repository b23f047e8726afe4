// Registry credentials from imagePullSecrets.
// https://kubernetes.io/docs/concepts/containers/images/#using-a-private-registry

import type { Secret } from '../api/kinds/core/secret.ts';
import { decodeBase64, decodeText } from './bytes.ts';
import { repositoryOf } from './image-reference.ts';
import type { PullAuth } from './runtime.ts';

interface AuthEntry {
  readonly username?: string;
  readonly password?: string;
  readonly auth?: string;
}

/** The credentials that fit an image, the most specific first. Secrets that hold none are skipped. */
export function credentialsFor(image: string, secrets: readonly Secret[]): PullAuth[] {
  const repository = repositoryOf(image);
  const found: { key: string; auth: PullAuth }[] = [];
  for (const secret of secrets) {
    for (const [key, entry] of Object.entries(authsOf(secret))) {
      const auth = toAuth(key, entry);
      if (auth && matches(normalize(key), repository)) found.push({ key: normalize(key), auth });
    }
  }
  return found.sort((a, b) => b.key.length - a.key.length).map((f) => f.auth);
}

function authsOf(secret: Secret): Record<string, AuthEntry> {
  const config = secret.data?.['.dockerconfigjson'];
  const legacy = secret.data?.['.dockercfg'];
  try {
    if (config) {
      const parsed = JSON.parse(decodeText(decodeBase64(config))) as { auths?: Record<string, AuthEntry> };
      return parsed.auths ?? {};
    }
    return legacy ? (JSON.parse(decodeText(decodeBase64(legacy))) as Record<string, AuthEntry>) : {};
  } catch {
    // A malformed secret gives no credentials; the pull then fails with the registry's own words.
    return {};
  }
}

function toAuth(key: string, { username, password, auth }: AuthEntry): PullAuth | undefined {
  if (username) return { username, password: password ?? '', serverAddress: key };
  if (!auth) return undefined;
  const text = decodeText(decodeBase64(auth));
  const colon = text.indexOf(':');
  return colon < 0
    ? undefined
    : { username: text.slice(0, colon), password: text.slice(colon + 1), serverAddress: key };
}

function normalize(key: string): string {
  const bare = key
    .replace(/^https?:\/\//, '')
    .replace(/\/v[12]\/?$/, '')
    .replace(/\/$/, '');
  return bare.replace(/^(index|registry-1)\.docker\.io(?=\/|$)/, 'docker.io');
}

/** Host labels may be `*`; the path is a prefix of whole segments. */
function matches(pattern: string, repository: string): boolean {
  const [host = '', ...path] = pattern.split('/');
  const [wantedHost = '', ...wanted] = repository.split('/');
  const labels = host.split('.');
  const wantedLabels = wantedHost.split('.');
  if (labels.length !== wantedLabels.length) return false;
  const glob = (p: string, text: string) =>
    new RegExp(
      `^${p
        .split('*')
        .map((s) => s.replace(/[.+?^${}()|[\]\\]/g, String.raw`\$&`))
        .join('[^.]*')}$`,
    ).test(text);
  if (!labels.every((label, i) => glob(label, wantedLabels[i]!))) return false;
  return path.every((segment, i) => segment === wanted[i]);
}
