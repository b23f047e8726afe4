// Container log files on disk, and notice of their growth and rotation from the kernel.

import { watch } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { HostLogs, LogFile } from '../kubelet/host.ts';

export const kubeletLogs: HostLogs = {
  async open(path): Promise<LogFile | undefined> {
    let file;
    try {
      file = await open(path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    const { ino, dev } = await file.stat();
    return {
      id: `${dev}:${ino}`,
      async read(offset, length) {
        const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, offset);
        return buffer.subarray(0, bytesRead);
      },
      size: async () => (await file.stat()).size,
      close: () => file.close(),
    };
  },

  /** The folder is watched, for a rotated log is another file of the same name. */
  watch(path, changed) {
    const name = basename(path);
    const watcher = watch(dirname(path), (_event, which) => {
      if (which === null || which === name) changed();
    });
    // The folder went: what reads the log looks and finds that out.
    watcher.on('error', changed);
    return () => watcher.close();
  },
};
