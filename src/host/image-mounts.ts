// Images as read-only folders: containerd's own client makes a view of the image's layers and mounts it.

import type { HostImages } from '../kubelet/host.ts';
import { canonicalReference } from '../kubelet/image-reference.ts';
import { run, tryRun } from './run.ts';

/** `socket` is containerd's. Images are those of the container runtime interface. */
export function imageMounts(socket: string): HostImages {
  const ctr = ['--address', socket, '--namespace', 'k8s.io', 'images'];
  return {
    async mount(reference, path) {
      // A view left by a mount that was broken off would be in the way.
      await tryRun('ctr', [...ctr, 'unmount', '--rm', path]);
      await run('ctr', [...ctr, 'mount', canonicalReference(reference), path]);
    },
    async unmount(path) {
      await run('ctr', [...ctr, 'unmount', '--rm', path]);
    },
  };
}
