// The machine under a kubelet.

import { mkdir } from 'node:fs/promises';
import type { KubeletHost } from '../kubelet/host.ts';
import { hostCgroups } from './cgroups.ts';
import { kubeletFiles } from './kubelet-files.ts';
import { kubeletLogs } from './kubelet-logs.ts';
import { readMachine, readPressure } from './machine.ts';
import { hostProber } from './prober.ts';
import { volumeMounts } from './volumes.ts';

/** `rootDirectory` is the kubelet's own: its file system is the one whose space is reported. */
export function kubeletHost({ rootDirectory }: { readonly rootDirectory: string }): KubeletHost {
  return {
    files: kubeletFiles,
    mounts: volumeMounts,
    cgroups: hostCgroups(),
    prober: hostProber,
    logs: kubeletLogs,
    async machine() {
      await mkdir(rootDirectory, { recursive: true });
      return readMachine(rootDirectory);
    },
    pressure: () => readPressure(rootDirectory),
  };
}

/**
 * A folder whose content never reaches a disk, for `KubeletConfig.memoryDirectory`: a tmpfs is mounted on it unless it
 * lies on one. Its parent must be shared with the container runtime's mount namespace, or this come first.
 */
export async function prepareMemoryDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o755 });
  if (!(await volumeMounts.isMounted(path))) await volumeMounts.tmpfs(path, { mode: 0o755 });
}
