// Starts that the last kubelet of this node had under way when it ended. A container whose process has never been made
// leaves nothing behind: it is removed and made again, and that is no restart, nor the end of a pod that never restarts.

import type { Pod } from '../api/kinds/core/pod.ts';
import { LABELS } from './labels.ts';
import type { NodeContext } from './node-context.ts';
import { allStatuses } from './pod-spec.ts';
import type { ContainerStatus } from './runtime.ts';

/**
 * For the first listing of a kubelet: what is left of `containers` when those that were made and never ran are removed.
 * One that cannot be removed is told as the runtime has it.
 */
export async function removeInterruptedStarts(
  { runtime, env, signal }: Pick<NodeContext, 'runtime' | 'env' | 'signal'>,
  containers: readonly ContainerStatus[],
  pods: readonly Pod[],
): Promise<readonly ContainerStatus[]> {
  const byUid = new Map(pods.map((pod) => [pod.metadata.uid!, pod]));
  const removed = new Set<string>();
  await Promise.all(
    containers.map(async (container) => {
      const pod = byUid.get(container.labels[LABELS.podUid] ?? '');
      if (!pod || !neverRan(container) || isTold(pod, container.id)) return;
      try {
        await runtime.removeContainer(container.id);
        removed.add(container.id);
        env.log.info('a start was interrupted and is made anew', { pod: pod.metadata.name, container: container.name });
      } catch (error) {
        if (!signal.aborted) env.log.warn('cannot remove what is left of a start', { id: container.id, error });
      }
    }),
  );
  return containers.filter(({ id }) => !removed.has(id));
}

const neverRan = ({ state, interrupted }: ContainerStatus) =>
  state === 'created' || (state === 'exited' && interrupted === true);

/** A kubelet heard how this start failed, and said so. */
function isTold(pod: Pod, id: string): boolean {
  const tells = (terminated: { readonly containerID?: string } | undefined) =>
    terminated?.containerID?.endsWith(`://${id}`) ?? false;
  return allStatuses(pod.status).some((s) => tells(s.state?.terminated) || tells(s.lastState?.terminated));
}
