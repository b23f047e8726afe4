// emptyDir volumes: a directory that lives as long as the pod, on disk or in memory.
// https://kubernetes.io/docs/concepts/storage/volumes/#emptydir

import type { Volume } from '../../api/generated/core-v1.ts';
import type { Pod } from '../../api/kinds/core/pod.ts';
import { quantityValue } from '../../api/quantity.ts';
import { podTotals } from '../resources.ts';
import { fsGroupOf, type VolumePlugin } from './plugin.ts';

const MODE = 0o777;

export const emptyDirVolume: VolumePlugin = {
  name: 'kubernetes.io/empty-dir',
  live: false,
  handles: (volume) => volume.emptyDir !== undefined,
  async setUp(volume, path, { pod, host, allocatable }) {
    const { medium = '' } = volume.emptyDir!;
    const gid = fsGroupOf(pod);
    if (medium === 'Memory') {
      if (await host.mounts.isMounted(path)) return { path };
      await host.files.makeDirectory(path, MODE);
      const sizeBytes = memorySize(volume, pod, allocatable);
      await host.mounts.tmpfs(path, {
        mode: gid === undefined ? MODE : 0o2777,
        ...(sizeBytes > 0 ? { sizeBytes } : {}),
        ...(gid === undefined ? {} : { gid }),
      });
      return { path };
    }
    if (medium !== '') throw new Error(`emptyDir medium ${JSON.stringify(medium)} is not supported by this node`);
    if ((await host.files.kind(path)) === undefined) {
      await host.files.makeDirectory(path, MODE);
      if (gid !== undefined) await host.files.takeGroup(path, gid, { rootOnly: false, readOnly: false });
    }
    return { path };
  },
};

/** The least of the volume's own limit, the pod's memory limit and the node's memory; 0: the kernel's default. */
function memorySize(volume: Volume, pod: Pod, allocatable: Readonly<Record<string, string>>): number {
  const own = quantityValue(volume.emptyDir!.sizeLimit);
  const ofPod = podTotals(pod, 'limits')['memory']?.value ?? 0;
  const ofNode = quantityValue(allocatable['memory']);
  const sizes = [own, ofPod, ofNode].filter((size) => size > 0);
  return sizes.length ? Math.min(...sizes) : 0;
}
