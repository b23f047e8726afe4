// What all pod workers of one kubelet share.

import type { Env } from '../base/env.ts';
import type { SteadyTime } from '../base/steady-time.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import type { Service } from '../api/kinds/core/service.ts';
import type { Client } from '../client/client.ts';
import type { EventNote } from '../client/controller.ts';
import type { Informer } from '../client/informer.ts';
import type { KubeletConfig } from './config.ts';
import type { KubeletHost, Machine } from './host.ts';
import type { ImageManager } from './images.ts';
import type { KubeletMetrics } from './kubelet-metrics.ts';
import type { NodeObjects } from './node-objects.ts';
import type { TokenSource } from './pod-tokens.ts';
import type { ContainerRuntime, EventOwner } from './runtime.ts';

export interface NodeContext {
  readonly env: Env;
  /** For back-offs and deadlines. */
  readonly time: SteadyTime;
  readonly client: Client;
  readonly config: KubeletConfig;
  readonly runtime: ContainerRuntime;
  /** The runtime's name in container IDs, e.g. `containerd`. */
  readonly runtimeName: string;
  readonly host: KubeletHost;
  readonly machine: Machine;
  readonly images: ImageManager;
  readonly objects: NodeObjects;
  readonly services: Informer<Service>;
  readonly metrics?: KubeletMetrics;
  /** Where projected service account tokens come from; the API unless told. */
  readonly token?: TokenSource;
  /** What pods may use of this node. */
  readonly allocatable: Readonly<Record<string, string>>;
  /** The pods this node has taken and that are not over, but one. */
  readonly otherPods: (uid: string) => Pod[];
  /** Resources have become free. */
  readonly freed: () => void;
  readonly record: (pod: Pod, note: EventNote) => void;
  /** Tells whose events a container or sandbox ID's are. */
  readonly register: (id: string, owner: EventOwner) => void;
  readonly unregister: (id: string) => void;
  readonly signal: AbortSignal;
}
