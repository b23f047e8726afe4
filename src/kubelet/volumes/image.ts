// image volumes: the content of an image, read-only. https://kubernetes.io/docs/concepts/storage/volumes/#image

import type { VolumePlugin } from './plugin.ts';

export const imageVolume: VolumePlugin = {
  name: 'kubernetes.io/image',
  live: false,
  handles: (volume) => volume.image !== undefined,
  async setUp(volume, path, { host, image }) {
    const { reference = '', pullPolicy } = volume.image!;
    if (!host.images) throw new Error('image volumes are not supported by this node');
    if (await host.mounts.isMounted(path)) return { path, readOnly: true };
    const ready = await image(reference, pullPolicy);
    await host.files.makeDirectory(path, 0o755);
    await host.images.mount(ready, path);
    return { path, readOnly: true };
  },
};
