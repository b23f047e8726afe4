// Every built-in controller, one line each.

import type { ControllerDefinition } from '../client/controller.ts';
import { daemonSetController } from './daemon-set.ts';
import { deploymentController } from './deployment.ts';
import { replicaSetController } from './replica-set.ts';
import { replicationController } from './replication-controller.ts';
import { systemControllers, type SystemControllersConfig } from './system-controllers.ts';

/** The controllers of workloads, which need no knowledge of their cluster. */
export const workloadControllers: readonly ControllerDefinition[] = [
  daemonSetController,
  deploymentController,
  replicaSetController,
  replicationController,
];

/** All controllers of a cluster. */
export function controllersOf(config: SystemControllersConfig): readonly ControllerDefinition[] {
  return [...workloadControllers, ...systemControllers(config)];
}
