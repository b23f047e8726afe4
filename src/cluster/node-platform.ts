// The Platform of the command line on this machine: clusters as background processes, components as this process.

import type { Platform } from '../cli/platform.ts';
import { clusterHealth } from './cluster-health.ts';
import { commandEnv } from './command-env.ts';
import { down, foreground, remove, up } from './lifecycle.ts';
import { statusOf, writeLogs } from './manager.ts';
import { pathsOf } from './paths.ts';
import { withFigures } from './status-figures.ts';
import { CORACLE_VERSION, KUBERNETES_VERSION } from './version.ts';

export function nodePlatform(): Platform {
  return {
    version: { coracle: CORACLE_VERSION, kubernetes: KUBERNETES_VERSION },
    up,
    foreground,
    down,
    delete: remove,
    status: async (cluster) => withFigures(await statusOf(cluster, clusterHealth), commandEnv()),
    async kubeconfig(cluster, whom) {
      const { issueKubeconfig } = await import('./issue-kubeconfig.ts');
      return issueKubeconfig(commandEnv(), cluster.name, pathsOf(cluster), whom);
    },
    async trace(cluster, about) {
      return (await import('./trace-command.ts')).traceOf(cluster, about);
    },
    logs: (cluster, options, write, { signal }) => writeLogs(pathsOf(cluster), options, write, signal),
    async buildImage(options) {
      return (await import('./image-commands.ts')).buildImageFile(options);
    },
    async loadImage(cluster, file) {
      return (await import('./image-commands.ts')).loadImageFile(cluster, file);
    },
    async images(cluster) {
      return (await import('./image-commands.ts')).listImages(cluster);
    },
    async demo(what, write) {
      const demo = await import('./demo.ts');
      await (what === 'up' ? demo.demoUp(nodePlatform(), write) : demo.demoDown(nodePlatform(), write));
    },
    async component(name, flags, context) {
      await (await import('./components.ts')).runComponent(name, flags, context);
    },
  };
}
