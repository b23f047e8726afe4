// The secrets a pod's images are pulled with.

import type { Secret } from '../api/kinds/core/secret.ts';
import type { PodWork } from './pod-work.ts';

/** Those that are missing are told of and left out. */
export async function pullSecrets(work: PodWork): Promise<Secret[]> {
  const { namespace } = work.pod.metadata;
  const names = (work.pod.spec.imagePullSecrets ?? []).flatMap((s) => (s.name ? [s.name] : []));
  const found = await Promise.all(names.map((name) => work.objects.secret(namespace!, name)));
  const missing = names.filter((_, i) => !found[i]);
  if (missing.length) {
    const text = `Unable to retrieve some image pull secrets (${missing.join(', ')})`;
    work.note('Warning', 'FailedToRetrieveImagePullSecret', `${text}; attempting to pull the image may not succeed.`);
  }
  return found.flatMap((secret) => secret ?? []);
}
