// What a kubelet does for a pod, as spans: each of its actions, and each word it writes of the pod's state.

import { Pod } from '../api/kinds/core/pod.ts';
import type { Span, Tracer } from '../base/trace.ts';
import type { NodeContext } from './node-context.ts';
import type { PodAction } from './plan-steps.ts';

/** By the names of the runtime's calls, where it is one. */
const NAMES: Readonly<Record<PodAction['do'], string>> = {
  mount: 'MountVolumes',
  unmount: 'UnmountVolumes',
  createSandbox: 'RunPodSandbox',
  stopSandbox: 'StopPodSandbox',
  removeSandbox: 'RemovePodSandbox',
  start: 'SyncContainer',
  kill: 'KillContainer',
  resize: 'UpdateContainerResources',
  removeContainer: 'RemoveContainer',
};

const subjectOf = ({ metadata }: Pod) => ({
  resource: Pod.resource,
  namespace: metadata.namespace ?? '',
  name: metadata.name,
  uid: metadata.uid,
});

export function actionSpan({ env }: NodeContext, pod: Pod, action: PodAction): Span | undefined {
  if (!env.tracer) return undefined;
  const span = env.tracer.begin('kubelet', NAMES[action.do], undefined, Number(pod.metadata.resourceVersion));
  if (action.do === 'start') span.detail = action.target.container.name;
  if (action.do === 'kill') span.detail = action.name;
  return span.about(subjectOf(pod));
}

/** Of a write of `pod`'s status; it says what is told. */
export function statusSpan(tracer: Tracer | undefined, pod: Pod): Span | undefined {
  if (!tracer) return undefined;
  const span = tracer.begin('kubelet', 'WriteStatus', undefined, Number(pod.metadata.resourceVersion));
  const ready = pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
  span.detail = `${pod.status?.phase ?? ''}${ready ? ', Ready' : ''}`;
  return span.about(subjectOf(pod));
}
