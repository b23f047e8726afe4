// The mounts of pods' volumes: memory file systems, and what is mounted below a pod's folder. The folder must be shared
// (mounts.ts) where the container runtime lives in another mount namespace.

import type { HostMounts } from '../kubelet/host.ts';
import { isBelow, listMounts } from './mounts.ts';
import { run } from './run.ts';

export const volumeMounts: HostMounts = {
  async tmpfs(path, { sizeBytes, mode, gid }) {
    const options = [`mode=${mode.toString(8)}`];
    if (sizeBytes !== undefined) options.push(`size=${sizeBytes}`);
    if (gid !== undefined) options.push(`gid=${gid}`);
    await run('mount', ['-t', 'tmpfs', '-o', options.join(','), 'tmpfs', path]);
  },

  async isMounted(path) {
    return (await listMounts()).some((m) => m.mountPoint === path);
  },

  async unmount(path) {
    if (await volumeMounts.isMounted(path)) await run('umount', [path]);
  },

  async below(path) {
    const mounts = (await listMounts()).filter((m) => isBelow(m.mountPoint, path)).map((m) => m.mountPoint);
    // The latest first, so that what lies on top goes before what it lies on.
    return mounts.toReversed();
  },
};
