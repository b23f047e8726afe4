// What to do next for one pod: a pure function of its spec, what runs, probe results, back-offs and the time. It
// yields the actions that may begin now (what is under way is left out) and when to look again by itself.
// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/

import { planContainers, planInit } from './plan-containers.ts';
import { blocked, kill, start, wakeAt, type PlanInput, type PodPlan } from './plan-steps.ts';
import { planStop } from './plan-stop.ts';
import { containersOf, restartsAfter } from './pod-spec.ts';
import { isAlive } from './pod-runtime.ts';

export function planPod(input: PlanInput): PodPlan {
  const plan: PodPlan = {
    actions: [],
    waiting: new Map(),
    wake: undefined,
    fail: undefined,
    finished: false,
    stopped: false,
    released: false,
  };
  noteBlocks(input, plan);
  if (input.stop) planStop(input, plan, input.stop);
  else if (!expired(input, plan)) planRun(input, plan);
  return plan;
}

/** Waiting reasons of steps that failed and wait for their next try. */
function noteBlocks(input: PlanInput, plan: PodPlan): void {
  for (const { container } of containersOf(input.pod)) {
    const block = input.blocks.get(container.name);
    if (!block) continue;
    const { later } = block;
    if (later && input.now < later.at) wakeAt(plan, later.at);
    const { reason, message } = later && input.now >= later.at ? later : block;
    plan.waiting.set(container.name, { reason, message });
  }
}

function expired(input: PlanInput, plan: PodPlan): boolean {
  const seconds = input.pod.spec.activeDeadlineSeconds;
  const since = input.pod.status?.startTime;
  if (seconds === undefined || since === undefined) return false;
  const left = Date.parse(since) + seconds * 1000 - (input.wall ?? input.now);
  if (left > 0) {
    wakeAt(plan, input.now + left);
    return false;
  }
  const message = 'Pod was active on the node longer than the specified deadline';
  plan.fail = { reason: 'DeadlineExceeded', message };
  return true;
}

function planRun(input: PlanInput, plan: PodPlan): void {
  const sandbox = input.runtime.sandbox;
  const usable = sandbox?.state === 'ready' && (input.pod.spec.hostNetwork === true || sandbox.ips.length > 0);
  if (!usable) return planSandbox(input, plan);
  if (input.volumes !== 'ready') return mount(input, plan);
  collectDead(input, plan);
  const initialized = planInit(input, plan);
  for (const target of containersOf(input.pod)) {
    if (target.kind === 'ephemeral' && !input.runtime.latest(target.container.name)) start(input, plan, target);
  }
  if (initialized && !plan.finished) planContainers(input, plan);
}

function mount(input: PlanInput, plan: PodPlan): void {
  if (input.busy.has('volumes') || blocked(input, plan, 'volumes')) return;
  plan.actions.push({ do: 'mount', key: 'volumes' });
}

/** Without a usable sandbox: what is left over is stopped, then a new one is made, unless the pod is over anyway. */
function planSandbox(input: PlanInput, plan: PodPlan): void {
  const { runtime, pod, busy } = input;
  const old = runtime.sandbox;
  if (busy.has('sandbox')) return;
  if (old && !worthNewSandbox(input)) {
    plan.finished = true;
    return;
  }
  const alive = runtime.all().filter(isAlive);
  for (const container of alive) kill(input, plan, container);
  if (alive.length) return;
  // Containers whose start is under way belong to the old sandbox.
  if (containersOf(pod).some((c) => busy.has(c.container.name))) return;
  const open = runtime.sandboxes.find((s) => !runtime.isStopped(s.id));
  if (open) {
    plan.actions.push({ do: 'stopSandbox', key: 'sandbox', id: open.id });
    return;
  }
  if (input.volumes !== 'ready') return mount(input, plan);
  if (blocked(input, plan, 'sandbox')) return;
  const attempt = old ? old.attempt + 1 : 0;
  plan.actions.push({ do: 'createSandbox', key: 'sandbox', attempt, changed: old !== undefined });
}

/** A pod that has run and would not run again needs no new sandbox: it is over. */
function worthNewSandbox({ pod, runtime }: PlanInput): boolean {
  const all = containersOf(pod);
  if (!all.some((c) => runtime.latest(c.container.name))) return true;
  return all.some((target) => {
    if (target.kind !== 'app') return false;
    const last = runtime.latest(target.container.name);
    return restartsAfter(pod, target, last?.state === 'exited' ? last.exitCode : 137);
  });
}

/** Keeps the two newest instances of each container, and only sandboxes that are current or hold such a container. */
function collectDead(input: PlanInput, plan: PodPlan): void {
  const { runtime, busy } = input;
  const remove = (what: 'removeContainer' | 'removeSandbox', id: string) => {
    const key = `remove:${id}`;
    if (!busy.has(key)) plan.actions.push({ do: what, key, id });
  };
  for (const { container } of containersOf(input.pod)) {
    for (const dead of runtime.instances(container.name).slice(2)) {
      if (!isAlive(dead)) remove('removeContainer', dead.id);
    }
  }
  if (runtime.sandboxes.length < 2) return;
  const used = new Set(runtime.all().map((c) => c.sandboxId));
  for (const old of runtime.sandboxes.slice(1)) if (!used.has(old.id)) remove('removeSandbox', old.id);
}
