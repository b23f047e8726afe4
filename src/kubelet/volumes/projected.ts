// projected volumes: several sources in one directory, service account tokens among them.
// https://kubernetes.io/docs/concepts/storage/projected-volumes/

import type { ServiceAccountTokenProjection, VolumeProjection } from '../../api/generated/core-v1.ts';
import type { Pod } from '../../api/kinds/core/pod.ts';
import { encodeText } from '../bytes.ts';
import type { PayloadFile } from '../host.ts';
import { downwardPayload } from './downward-api.ts';
import { checkPaths, configMapPayload, DEFAULT_MODE, secretPayload } from './payload.ts';
import { fsGroupOf, type VolumeContext, type VolumePlugin } from './plugin.ts';

const TOKEN_SECONDS = 3600;

export const projectedVolume: VolumePlugin = {
  name: 'kubernetes.io/projected',
  live: true,
  secret: () => true,
  handles: (volume) => volume.projected !== undefined,
  async setUp(volume, path, context) {
    const { sources = [], defaultMode = DEFAULT_MODE } = volume.projected!;
    const files = new Map<string, PayloadFile>();
    let refreshAt: number | undefined;
    for (const source of sources) {
      const made = await sourceFiles(source, defaultMode, context);
      for (const file of made.files) files.set(file.path, file);
      if (made.refreshAt !== undefined) refreshAt = Math.min(refreshAt ?? made.refreshAt, made.refreshAt);
    }
    const all = [...files.values()];
    checkPaths(all);
    await context.host.files.publish(path, all, fsGroupOf(context.pod));
    return { path, readOnly: true, ...(refreshAt === undefined ? {} : { refreshAt }) };
  },
};

interface Made {
  readonly files: readonly PayloadFile[];
  readonly refreshAt?: number;
}

async function sourceFiles(source: VolumeProjection, defaultMode: number, context: VolumeContext): Promise<Made> {
  const namespace = context.pod.metadata.namespace!;
  if (source.configMap) {
    const { name = '', items, optional = false } = source.configMap;
    const found = await context.objects.configMap(namespace, name);
    return { files: configMapPayload(found, name, { items, defaultMode, optional }) };
  }
  if (source.secret) {
    const { name = '', items, optional = false } = source.secret;
    const found = await context.objects.secret(namespace, name);
    return { files: secretPayload(found, name, { items, defaultMode, optional }) };
  }
  if (source.downwardAPI) return { files: downwardPayload(source.downwardAPI.items ?? [], defaultMode, context) };
  if (source.serviceAccountToken) return tokenFile(source.serviceAccountToken, defaultMode, context);
  const what = Object.keys(source)[0] ?? 'empty';
  throw new Error(`projected volume source ${what} is not supported by this node`);
}

async function tokenFile(
  { audience = '', expirationSeconds = TOKEN_SECONDS, path }: ServiceAccountTokenProjection,
  defaultMode: number,
  context: VolumeContext,
): Promise<Made> {
  const { token, refreshAt } = await context.token(audience, expirationSeconds).catch((error: Error) => {
    throw new Error(`failed to fetch token: ${error.message}`, { cause: error });
  });
  const owner = commonUser(context.pod);
  // A token is for its owner and the group alone, where there are such.
  const mode = owner !== undefined || fsGroupOf(context.pod) !== undefined ? 0o600 : defaultMode;
  return {
    files: [{ path, bytes: encodeText(token), mode, ...(owner === undefined ? {} : { uid: owner }) }],
    refreshAt,
  };
}

/** The user all containers run as, if they agree. */
function commonUser(pod: Pod): number | undefined {
  const { containers, initContainers = [], securityContext } = pod.spec;
  const users = [...initContainers, ...containers].map(
    (c) => c.securityContext?.runAsUser ?? securityContext?.runAsUser,
  );
  return users.every((u) => u === users[0]) ? users[0] : undefined;
}
