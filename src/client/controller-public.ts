// `coracle/controller`: write controllers and operators the way Coracle's own are written. Define one by what it
// watches and a pure `plan`; the runtime does the rest.

export { applyActions, ActionFailure, type ApplyContext } from './apply-actions.ts';
export { defineController, NOTHING, watch } from './controller.ts';
export type {
  Action,
  ControllerContext,
  ControllerDefinition,
  EventNote,
  Grant,
  Plan,
  View,
  Watch,
} from './controller.ts';
export { roleOf } from './controller-rbac.ts';
export { controllerKey, runController, runControllers, type RuntimeContext } from './controller-runtime.ts';
export { createInformer, createInformerFactory, type InformerContext } from './create-informer.ts';
export { createEventRecorder, type EventRecorder, type EventRecorderOptions } from './event-recorder.ts';
export { BY_CONTROLLER } from './informer.ts';
export type { Informer, InformerFactory, InformerHandler, InformerOptions, Lister } from './informer.ts';
export { LeadershipLost, runLeaderElection, type LeaderElectionOptions } from './leader-election.ts';
export { addFinalizer, controllerRef, hasFinalizer, removeFinalizer } from './ownership.ts';
export { staticView } from './static-view.ts';
export { WorkQueue, type QueueMetrics, type WorkQueueOptions } from './work-queue.ts';
export { Writes } from './write-barrier.ts';
