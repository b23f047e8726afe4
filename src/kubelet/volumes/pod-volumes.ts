// The volumes of one pod: set up before its containers, refreshed while it runs, gone after it. What stands on disk
// after a restart of the kubelet is taken up by setting it up again.

import type { Container, EphemeralContainer, Volume } from '../../api/generated/core-v1.ts';
import type { Pod } from '../../api/kinds/core/pod.ts';
import { expandStrictly } from '../expansion.ts';
import type { KubeletHost } from '../host.ts';
import type { Mount } from '../runtime.ts';
import type { SetUpVolume, VolumeContext } from './plugin.ts';
import { imageVolume } from './image.ts';
import { pluginOf } from './plugins.ts';

export interface VolumeFailure {
  readonly volume: string;
  readonly error: Error;
}

export class PodVolumes {
  readonly #host: KubeletHost;
  readonly #directories: { readonly disk: string; readonly memory: string };
  readonly #ready = new Map<string, SetUpVolume>();

  /** Below `directories` the pod may do as it likes; `memory` never reaches a disk where the node has such a place. */
  constructor(host: KubeletHost, directories: { readonly disk: string; readonly memory: string }) {
    this.#host = host;
    this.#directories = directories;
  }

  /** Sets up all volumes at once. Resolves to those that failed; call again to retry. */
  async setUp(volumes: readonly Volume[], context: VolumeContext): Promise<VolumeFailure[]> {
    const failures: VolumeFailure[] = [];
    await Promise.all(
      volumes.map(async (volume) => {
        const failed = await this.#one(volume, context);
        if (failed) failures.push(failed);
      }),
    );
    return failures;
  }

  /** Makes the content of live volumes anew; a failure leaves the old content. */
  refresh(pod: Pod, context: VolumeContext): Promise<VolumeFailure[]> {
    return this.setUp(
      (pod.spec.volumes ?? []).filter((v) => this.#ready.has(v.name) && pluginOf(v).live),
      context,
    );
  }

  /** When the next refresh is due without any change. */
  get refreshAt(): number | undefined {
    let next: number | undefined;
    for (const { refreshAt } of this.#ready.values()) {
      if (refreshAt !== undefined && (next === undefined || refreshAt < next)) next = refreshAt;
    }
    return next;
  }

  async #one(volume: Volume, context: VolumeContext): Promise<VolumeFailure | undefined> {
    try {
      const plugin = pluginOf(volume);
      this.#ready.set(volume.name, await plugin.setUp(volume, this.#path(volume), context));
      return undefined;
    } catch (error) {
      return { volume: volume.name, error: error as Error };
    }
  }

  #path(volume: Volume): string {
    const plugin = pluginOf(volume);
    const base = plugin.secret?.(volume) ? this.#directories.memory : this.#directories.disk;
    return `${base}/volumes/${plugin.name.replace('/', '~')}/${volume.name}`;
  }

  /** The mounts of a container's volumeMounts. `env` resolves subPathExpr. Throws with upstream's text. */
  mounts(container: Container | EphemeralContainer, env: (name: string) => string | undefined): Promise<Mount[]> {
    const [device] = container.volumeDevices ?? [];
    if (device) throw new Error(`volumeDevices are not supported by this node: ${device.name}`);
    return Promise.all(
      (container.volumeMounts ?? []).map(async (mount): Promise<Mount> => {
        const volume = this.#ready.get(mount.name);
        if (!volume) throw new Error(`cannot find volume ${JSON.stringify(mount.name)} to mount into container`);
        const subPath = mount.subPathExpr ? expandStrictly(mount.subPathExpr, env) : (mount.subPath ?? '');
        return {
          containerPath: mount.mountPath.startsWith('/') ? mount.mountPath : `/${mount.mountPath}`,
          hostPath: subPath ? await this.#host.files.resolveBelow(volume.path, subPath) : volume.path,
          readonly: mount.readOnly === true || volume.readOnly === true,
          propagation: PROPAGATION[mount.mountPropagation ?? 'None'] ?? 'private',
        };
      }),
    );
  }

  /** Unmounts and removes everything below the pod's directories, whether or not this process made it. */
  async tearDown(): Promise<void> {
    for (const directory of new Set(Object.values(this.#directories))) {
      const volumes = `${directory}/volumes`;
      const images = `${volumes}/${imageVolume.name.replace('/', '~')}`;
      for (const name of this.#host.images ? await this.#host.files.list(images) : []) {
        await this.#host.images?.unmount(`${images}/${name}`);
      }
      for (const mounted of await this.#host.mounts.below(volumes)) await this.#host.mounts.unmount(mounted);
      await this.#host.files.remove(volumes);
    }
    this.#ready.clear();
  }
}

const PROPAGATION: Readonly<Record<string, Mount['propagation']>> = {
  None: 'private',
  HostToContainer: 'hostToContainer',
  Bidirectional: 'bidirectional',
};
