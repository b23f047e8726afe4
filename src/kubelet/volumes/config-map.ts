// configMap volumes. https://kubernetes.io/docs/concepts/storage/volumes/#configmap

import { checkPaths, configMapPayload, DEFAULT_MODE } from './payload.ts';
import { fsGroupOf, type VolumePlugin } from './plugin.ts';

export const configMapVolume: VolumePlugin = {
  name: 'kubernetes.io/configmap',
  live: true,
  handles: (volume) => volume.configMap !== undefined,
  async setUp(volume, path, { pod, host, objects }) {
    const { name = '', items, defaultMode = DEFAULT_MODE, optional = false } = volume.configMap!;
    const configMap = await objects.configMap(pod.metadata.namespace!, name);
    const files = configMapPayload(configMap, name, { items, defaultMode, optional });
    checkPaths(files);
    await host.files.publish(path, files, fsGroupOf(pod));
    return { path, readOnly: true };
  },
};
