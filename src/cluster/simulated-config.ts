// What simulated nodes say of themselves: names, addresses, labels.

import { kubeletConfig, type KubeletConfig } from '../kubelet/config.ts';
import { KUBERNETES_VERSION } from './kubernetes-version.ts';

/** Where the Service kube-dns would be. */
const CLUSTER_DNS = '10.96.0.10';

/** Marks a node that runs nothing. */
export const SIMULATED_LABEL = 'coracle.dev/simulated';

/** The n-th address of the block `base`.0.0.0/8 of a node. */
export const addressOf = (base: number, index: number, n: number) => {
  const value = index * 256 + (n % 256);
  return `${base}.${(value >> 16) & 255}.${(value >> 8) & 255}.${value & 255}`;
};

/** The n-th address of a node's pods, both from 0 on. */
export const podAddress = (index: number, n: number) => addressOf(10, index + 0x8000, n + 1);

export function simulatedConfig(options: {
  readonly name: string;
  readonly index: number;
  readonly config?: Partial<KubeletConfig>;
}): KubeletConfig {
  return kubeletConfig({
    nodeName: options.name,
    nodeIPs: [addressOf(172, options.index + 0x1000, 1)],
    manageCgroups: false,
    port: 0,
    clusterDNS: [CLUSTER_DNS],
    version: KUBERNETES_VERSION,
    ...options.config,
    labels: { [SIMULATED_LABEL]: 'true', ...options.config?.labels },
  });
}
