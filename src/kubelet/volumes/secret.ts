// secret volumes. https://kubernetes.io/docs/concepts/storage/volumes/#secret

import { checkPaths, DEFAULT_MODE, secretPayload } from './payload.ts';
import { fsGroupOf, type VolumePlugin } from './plugin.ts';

export const secretVolume: VolumePlugin = {
  name: 'kubernetes.io/secret',
  live: true,
  secret: () => true,
  handles: (volume) => volume.secret !== undefined,
  async setUp(volume, path, { pod, host, objects }) {
    const { secretName = '', items, defaultMode = DEFAULT_MODE, optional = false } = volume.secret!;
    const secret = await objects.secret(pod.metadata.namespace!, secretName);
    const files = secretPayload(secret, secretName, { items, defaultMode, optional });
    checkPaths(files);
    await host.files.publish(path, files, fsGroupOf(pod));
    return { path, readOnly: true };
  },
};
