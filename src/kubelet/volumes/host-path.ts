// hostPath volumes: a path of the node, its type checked or made.
// https://kubernetes.io/docs/concepts/storage/volumes/#hostpath

import type { FileKind } from '../host.ts';
import type { VolumePlugin } from './plugin.ts';

const CHECKED: Readonly<Record<string, { readonly kind: FileKind; readonly text: string }>> = {
  Directory: { kind: 'directory', text: 'directory' },
  File: { kind: 'file', text: 'file' },
  Socket: { kind: 'socket', text: 'socket file' },
  CharDevice: { kind: 'charDevice', text: 'character device' },
  BlockDevice: { kind: 'blockDevice', text: 'block device' },
};

export const hostPathVolume: VolumePlugin = {
  name: 'kubernetes.io/host-path',
  live: false,
  handles: (volume) => volume.hostPath !== undefined,
  async setUp(volume, _path, { host }) {
    const { path, type = '' } = volume.hostPath!;
    if (type === '') return { path };
    const kind = await host.files.kind(path);
    if (type.endsWith('OrCreate') && kind === undefined) {
      if (type === 'DirectoryOrCreate') await host.files.makeDirectory(path, 0o755);
      else await host.files.write(path, '', 0o644);
      return { path };
    }
    const wanted = CHECKED[type.replace('OrCreate', '')];
    if (!wanted) throw new Error(`${type} is an invalid volume type`);
    if (kind !== wanted.kind) throw new Error(`hostPath type check failed: ${path} is not a ${wanted.text}`);
    return { path };
  },
};
