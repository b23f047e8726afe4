// Every pod runs as a service account that exists, and finds the account's token mounted unless it declines.
// https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#service-account-admission-controller

import type {
  Container,
  Pod as PodObject,
  ServiceAccount as ServiceAccountObject,
  Volume,
} from '../../api/generated/core-v1.ts';
import { ServiceAccount } from '../../api/kinds/core/service-account.ts';
import { randomSuffix, type Env } from '../../base/env.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import type { Caches, Storage } from '../caches.ts';
import { refusal } from './request-name.ts';

const MIRROR = 'kubernetes.io/config.mirror';
const TOKEN_VOLUME = 'kube-api-access-';
const TOKEN_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';
const TOKEN_SECONDS = 3607;
/** The controller that makes a new namespace's default account gets this long, as a pod may follow at once. */
const DEFAULT_ACCOUNT_WAIT_MS = 1_500;

export function serviceAccount(caches: Caches, env: Env): AdmissionPlugin {
  return {
    name: 'ServiceAccount',
    handles: (operation) => operation === 'CREATE',
    admit(request) {
      const { kind, op } = request;
      if (kind.resource !== 'pods' || op.subresource || !request.object) return;
      const pod = request.object as PodObject;
      if (pod.metadata.annotations?.[MIRROR] !== undefined) return checkMirror(request, pod);
      return useAccount(request, pod, caches, env);
    },
  };
}

async function useAccount(request: AdmissionRequest, pod: PodObject, caches: Caches, env: Env): Promise<void> {
  const { spec } = pod;
  const name = spec.serviceAccountName || spec.serviceAccount || 'default';
  spec.serviceAccountName = name;
  spec.serviceAccount = name;
  const account = await findAccount(request, await caches.current(ServiceAccount), env, name);
  if (spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true) mountToken(pod, env);
  if (!spec.imagePullSecrets?.length && account.imagePullSecrets?.length) {
    spec.imagePullSecrets = account.imagePullSecrets.map((ref) => ({ ...ref }));
  }
}

function checkMirror(request: AdmissionRequest, pod: PodObject): void {
  if (pod.spec.serviceAccountName) throw refusal(request, 'a mirror pod may not reference service accounts');
  for (const volume of pod.spec.volumes ?? []) {
    if (volume.secret) throw refusal(request, 'a mirror pod may not reference secrets');
    if (volume.projected?.sources?.some((source) => source.serviceAccountToken)) {
      throw refusal(request, 'a mirror pod may not use ServiceAccountToken volume projections');
    }
  }
}

async function findAccount(
  request: AdmissionRequest,
  storage: Storage,
  env: Env,
  name: string,
): Promise<ServiceAccountObject> {
  const namespace = request.object?.metadata.namespace ?? '';
  const find = () => storage.get(namespace, name) as ServiceAccountObject | undefined;
  const account = find() ?? (name === 'default' ? await appearing(storage, namespace, name, env) : undefined);
  if (account) return account;
  throw refusal(
    request,
    `error looking up service account ${namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`,
  );
}

/** The account once it is there, or undefined after a while. */
function appearing(
  storage: Storage,
  namespace: string,
  name: string,
  env: Env,
): Promise<ServiceAccountObject | undefined> {
  return new Promise((resolve) => {
    const finish = (account: ServiceAccountObject | undefined) => {
      timer.cancel();
      subscription.stop();
      resolve(account);
    };
    const timer = env.clock.setTimer(DEFAULT_ACCOUNT_WAIT_MS, () => finish(undefined));
    const subscription = storage.cache.watch(storage.key(namespace, name), storage.cache.revision, {
      events: (batch) => finish(batch.at(-1)?.object as ServiceAccountObject | undefined),
      closed: () => finish(undefined),
    });
  });
}

function mountToken(pod: PodObject, env: Env): void {
  const { spec } = pod;
  const existing = spec.volumes?.find((volume) => volume.name.startsWith(TOKEN_VOLUME))?.name;
  const volumeName = existing ?? TOKEN_VOLUME + randomSuffix(env.random);
  let mounted = false;
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    mounted = mountInto(container, volumeName) || mounted;
  }
  if (mounted && !existing) spec.volumes = [...(spec.volumes ?? []), tokenVolume(volumeName)];
}

function mountInto(container: Container, volumeName: string): boolean {
  if (container.volumeMounts?.some((mount) => mount.mountPath === TOKEN_PATH)) return false;
  const mount = { name: volumeName, readOnly: true, mountPath: TOKEN_PATH };
  container.volumeMounts = [...(container.volumeMounts ?? []), mount];
  return true;
}

function tokenVolume(name: string): Volume {
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
      defaultMode: 0o644,
    },
  };
}
