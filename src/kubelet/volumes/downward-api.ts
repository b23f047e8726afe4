// downwardAPI volumes. https://kubernetes.io/docs/concepts/storage/volumes/#downwardapi

import type { DownwardAPIVolumeFile } from '../../api/generated/core-v1.ts';
import { encodeText } from '../bytes.ts';
import { fieldValue, resourceValue } from '../downward.ts';
import type { PayloadFile } from '../host.ts';
import { checkPaths, DEFAULT_MODE } from './payload.ts';
import { fsGroupOf, type VolumeContext, type VolumePlugin } from './plugin.ts';

export const downwardApiVolume: VolumePlugin = {
  name: 'kubernetes.io/downward-api',
  live: true,
  handles: (volume) => volume.downwardAPI !== undefined,
  async setUp(volume, path, context) {
    const { items = [], defaultMode = DEFAULT_MODE } = volume.downwardAPI!;
    const files = downwardPayload(items, defaultMode, context);
    checkPaths(files);
    await context.host.files.publish(path, files, fsGroupOf(context.pod));
    return { path, readOnly: true };
  },
};

export function downwardPayload(
  items: readonly DownwardAPIVolumeFile[],
  defaultMode: number,
  { pod, addresses, allocatable }: VolumeContext,
): PayloadFile[] {
  return items.map(({ path, mode, fieldRef, resourceFieldRef }) => {
    const text = fieldRef
      ? fieldValue(pod, fieldRef.fieldPath, addresses)
      : resourceFieldRef
        ? resourceValue(pod, resourceFieldRef, resourceFieldRef.containerName ?? '', allocatable)
        : '';
    return { path, bytes: encodeText(text), mode: mode ?? defaultMode };
  });
}
