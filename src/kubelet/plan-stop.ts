// The end of a pod: containers first (sidecars after the app containers, in reverse order), then the sandbox, then
// the volumes. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination

import { isAlive } from './pod-runtime.ts';
import { containersOf } from './pod-spec.ts';
import { kill, type PlanInput, type PodPlan, type StopRequest } from './plan-steps.ts';

/** Upstream's least grace for a container that had to wait for its turn. */
const LEAST_SECONDS = 2;

export function planStop(input: PlanInput, plan: PodPlan, stop: StopRequest): void {
  const { runtime, busy, pod } = input;
  if (stopContainers(input, plan, stop)) return;
  if (containersOf(pod).some((c) => busy.has(c.container.name))) return;
  plan.stopped = true;
  if (busy.has('sandbox')) return;
  const open = runtime.sandboxes.find((s) => !runtime.isStopped(s.id));
  if (open) {
    plan.actions.push({ do: 'stopSandbox', key: 'sandbox', id: open.id });
    return;
  }
  if (input.volumes !== 'released') {
    if (!busy.has('volumes')) plan.actions.push({ do: 'unmount', key: 'volumes' });
    return;
  }
  plan.released = true;
}

/** True while a container lives. */
function stopContainers(input: PlanInput, plan: PodPlan, stop: StopRequest): boolean {
  const { runtime } = input;
  const sidecars = containersOf(input.pod).filter((c) => c.kind === 'sidecar');
  const order = new Map(sidecars.map((c, i) => [c.container.name, i]));
  const alive = runtime.all().filter(isAlive);
  let othersAlive = false;
  let lastSidecar = -1;
  for (const container of alive) {
    const turn = order.get(container.name);
    if (turn === undefined) othersAlive = true;
    else lastSidecar = Math.max(lastSidecar, turn);
  }
  const left = Math.ceil(stop.graceSeconds - (input.now - stop.since) / 1000);
  for (const container of alive) {
    const turn = order.get(container.name);
    if (turn === undefined) kill(input, plan, container, undefined, stop.graceSeconds);
    else if (!othersAlive && turn === lastSidecar)
      kill(input, plan, container, undefined, Math.min(stop.graceSeconds, Math.max(left, LEAST_SECONDS)));
  }
  return alive.length > 0;
}
