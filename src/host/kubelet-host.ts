// The machine under a kubelet.

import { mkdir } from 'node:fs/promises';
import type { KubeletHost } from '../kubelet/host.ts';
import { hostCgroups } from './cgroups.ts';
import { imageMounts } from './image-mounts.ts';
import { kubeletFiles } from './kubelet-files.ts';
import { kubeletLogs } from './kubelet-logs.ts';
import { readMachine, readPressure, readUsage } from './machine.ts';
import { hostProber } from './prober.ts';
import { volumeMounts } from './volumes.ts';

export interface KubeletHostOptions {
  /** The kubelet's own: its file system is the one whose space is reported. */
  readonly rootDirectory: string;
  /** For image volumes, where containerd is the runtime. */
  readonly containerdSocket?: string;
}

/** The machine this process runs on. */
export function kubeletHost({ rootDirectory, containerdSocket }: KubeletHostOptions): KubeletHost {
  return {
    files: kubeletFiles,
    mounts: volumeMounts,
    cgroups: hostCgroups(),
    prober: hostProber,
    logs: kubeletLogs,
    ...(containerdSocket ? { images: imageMounts(containerdSocket) } : {}),
    async machine() {
      await mkdir(rootDirectory, { recursive: true });
      return readMachine(rootDirectory);
    },
    pressure: () => readPressure(rootDirectory),
    usage: readUsage,
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
