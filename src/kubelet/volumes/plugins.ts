// Every volume plugin, one line each.

import type { Volume } from '../../api/generated/core-v1.ts';
import { configMapVolume } from './config-map.ts';
import { downwardApiVolume } from './downward-api.ts';
import { emptyDirVolume } from './empty-dir.ts';
import { imageVolume } from './image.ts';
import { hostPathVolume } from './host-path.ts';
import type { VolumePlugin } from './plugin.ts';
import { projectedVolume } from './projected.ts';
import { secretVolume } from './secret.ts';

const volumePlugins: readonly VolumePlugin[] = [
  emptyDirVolume,
  hostPathVolume,
  configMapVolume,
  secretVolume,
  downwardApiVolume,
  projectedVolume,
  imageVolume,
];

/** Throws for a kind of volume this node cannot give. */
export function pluginOf(volume: Volume): VolumePlugin {
  const plugin = volumePlugins.find((p) => p.handles(volume));
  if (plugin) return plugin;
  const source = Object.keys(volume).find((k) => k !== 'name') ?? 'no source';
  const name = JSON.stringify(volume.name);
  throw new Error(`no volume plugin matched: volume ${name} (${source}) is not supported by this node`);
}
