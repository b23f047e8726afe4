// Which containers of a pod with a working sandbox to start, restart or kill: init containers in order, sidecars kept
// running, then the app containers.
// https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/

import type { Container } from '../api/generated/core-v1.ts';
import { containerHash, containersOf, graceOf, restartsAfter, type SpecContainer } from './pod-spec.ts';
import { isAlive } from './pod-runtime.ts';
import { blocked, kill, start, type PlanInput, type PodPlan } from './plan-steps.ts';
import { LABELS } from './labels.ts';
import type { ContainerStatus } from './runtime.ts';

/**
 * Drives the init containers. True once the app containers may run. Walks backwards: the last init container that is
 * known in this sandbox tells how far the pod has come, since earlier ones may have been removed.
 */
export function planInit(input: PlanInput, plan: PodPlan): boolean {
  const all = containersOf(input.pod);
  const inits = all.filter((c) => c.kind === 'init' || c.kind === 'sidecar');
  if (inits.length === 0) return true;
  let initialized = all.some((c) => c.kind === 'app' && input.runtime.current(c.container.name));
  let reached = initialized;
  const wanted: SpecContainer[] = [];
  for (let i = inits.length - 1; i >= 0; i--) {
    const target = inits[i]!;
    const instance = input.runtime.current(target.container.name);
    if (!instance) {
      if (reached && target.kind === 'sidecar') wanted.push(target);
      continue;
    }
    if (reached && target.kind === 'init') continue;
    const step = initStep(input, plan, target, instance);
    if (step === 'failed') {
      plan.finished = true;
      return false;
    }
    if (step === 'start') wanted.push(target);
    if (step === 'done' && !reached) {
      const next = inits[i + 1];
      if (next) wanted.push(next);
      else initialized = true;
    }
    reached = true;
  }
  if (!reached) wanted.push(inits[0]!);
  for (const target of wanted.reverse()) start(input, plan, target);
  return initialized;
}

/** What an init container asks for: `done` lets the next one begin, `failed` ends the pod. */
function initStep(
  input: PlanInput,
  plan: PodPlan,
  target: SpecContainer,
  instance: ContainerStatus,
): 'wait' | 'start' | 'done' | 'failed' {
  const { name } = target.container;
  if (instance.state === 'unknown') {
    kill(input, plan, instance, `Init container is in "${instance.state}" state, try killing it before restart`);
    return 'wait';
  }
  if (instance.state === 'created') return 'start';
  if (instance.state === 'exited') {
    if (target.kind === 'init' && instance.exitCode === 0) return 'done';
    return restartsAfter(input.pod, target, instance.exitCode) ? 'start' : 'failed';
  }
  if (target.kind === 'init') return 'wait';
  const failure = probeFailure(input, target, instance);
  if (failure) {
    killForProbe(input, plan, target, instance, failure, 'Init container');
    return 'wait';
  }
  resize(input, plan, target, instance);
  // A start under way may still run its postStart hook; until then the next one waits.
  const started = !target.container.startupProbe || input.verdict(instance.id).startup === true;
  return started && !input.busy.has(name) ? 'done' : 'wait';
}

export function planContainers(input: PlanInput, plan: PodPlan): void {
  let remaining = 0;
  let earlierBusy = false;
  for (const target of containersOf(input.pod)) {
    if (target.kind !== 'app') continue;
    const { name } = target.container;
    const instance = input.runtime.current(name);
    if (instance && isAlive(instance)) {
      remaining++;
      checkRunning(input, plan, target, instance);
    } else if (shouldRun(input, target)) {
      remaining++;
      // The first starts of a pod go one by one, in order, so that a postStart hook holds back what follows.
      if (instance || !earlierBusy) start(input, plan, target);
      earlierBusy ||= !instance && plan.actions.some((a) => a.key === name);
    }
    earlierBusy ||= input.busy.has(name);
  }
  if (remaining > 0) return;
  plan.finished = true;
  // Sidecars must not be kept alive by a pod that is over.
  plan.actions = plan.actions.filter((a) => a.do !== 'start' || a.target.kind === 'ephemeral');
}

function shouldRun(input: PlanInput, target: SpecContainer): boolean {
  const last = input.runtime.latest(target.container.name);
  if (!last || last.state === 'created' || input.busy.has(target.container.name)) return true;
  return restartsAfter(input.pod, target, last.state === 'exited' ? last.exitCode : 137);
}

function checkRunning(input: PlanInput, plan: PodPlan, target: SpecContainer, instance: ContainerStatus): void {
  if (instance.state === 'unknown') {
    return kill(input, plan, instance, 'Container is in unknown state, try killing it before restart');
  }
  const hash = instance.annotations[LABELS.hash];
  if (hash !== undefined && hash !== containerHash(target.container)) {
    return kill(input, plan, instance, `Container ${instance.name} definition changed, will be restarted`);
  }
  const failure = probeFailure(input, target, instance);
  if (failure) killForProbe(input, plan, target, instance, failure, 'Container');
  else resize(input, plan, target, instance);
}

function resize(input: PlanInput, plan: PodPlan, target: SpecContainer, instance: ContainerStatus): void {
  const container = target.container as Container;
  const step = input.resize?.(container, instance.id) ?? 'none';
  if (step === 'restart') {
    kill(input, plan, instance, `Container ${container.name} resize requires restart, will be restarted`);
  } else if (step === 'update') {
    const key = `resize:${instance.id}`;
    if (input.busy.has(key) || blocked(input, plan, key)) return;
    plan.actions.push({ do: 'resize', key, id: instance.id, container });
  }
}

function probeFailure(
  input: PlanInput,
  { container }: SpecContainer,
  instance: ContainerStatus,
): 'liveness' | 'startup' | undefined {
  const verdict = input.verdict(instance.id);
  if (container.livenessProbe && verdict.liveness === false) return 'liveness';
  return container.startupProbe && verdict.startup === false ? 'startup' : undefined;
}

function killForProbe(
  input: PlanInput,
  plan: PodPlan,
  target: SpecContainer,
  instance: ContainerStatus,
  which: 'liveness' | 'startup',
  noun: string,
): void {
  const container = target.container as Container;
  const probe = which === 'liveness' ? container.livenessProbe : container.startupProbe;
  const again = restartsAfter(input.pod, target, 137) ? ', will be restarted' : '';
  const grace = probe?.terminationGracePeriodSeconds ?? graceOf(input.pod);
  kill(input, plan, instance, `${noun} ${container.name} failed ${which} probe${again}`, grace);
}
