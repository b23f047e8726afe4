// The Platform of the command line on this machine: clusters as background processes, components as this process. Each
// command loads what it needs, for most of them are over before the rest would be read.

import type { Platform } from '../cli/platform.ts';
import { KUBERNETES_VERSION } from './kubernetes-version.ts';
import { CORACLE_VERSION } from './package-version.ts';

export function nodePlatform(): Platform {
  const life = () => import('./lifecycle.ts');
  const images = () => import('./image-commands.ts');
  return {
    version: { coracle: CORACLE_VERSION, kubernetes: KUBERNETES_VERSION },
    up: async (...args) => (await life()).up(...args),
    foreground: async (...args) => (await life()).foreground(...args),
    down: async (...args) => (await life()).down(...args),
    delete: async (...args) => (await life()).remove(...args),
    status: async (cluster) => (await import('./status-figures.ts')).clusterStatus(cluster),
    kubeconfig: async (...args) => (await import('./issue-kubeconfig.ts')).issueKubeconfig(...args),
    trace: async (...args) => (await import('./trace-command.ts')).traceOf(...args),
    logs: async (...args) => (await import('./cluster-log.ts')).writeLogs(...args),
    buildImage: async (options) => (await images()).buildImageFile(options),
    loadImage: async (...args) => (await images()).loadImageFile(...args),
    images: async (cluster) => (await images()).listImages(cluster),
    async demo(what, write) {
      const demo = await import('./demo.ts');
      await (what === 'up' ? demo.demoUp(nodePlatform(), write) : demo.demoDown(nodePlatform(), write));
    },
    component: async (...args) => (await import('./components.ts')).runComponent(...args),
  };
}
