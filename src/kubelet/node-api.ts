// What a node offers about its running containers, over the kubelet's pods and the container runtime.

import { badRequest, StatusError } from '../api/errors.ts';
import type { ContainerStatus } from '../api/generated/core-v1.ts';
import type { ContainerTarget, LogOptions, NodeApi } from '../api/node-api.ts';
import type { Env } from '../base/env.ts';
import { containerLogPath, type KubeletConfig } from './config.ts';
import type { KubeletHost } from './host.ts';
import type { KubeletPods } from './kubelet.ts';
import { readLog } from './logs.ts';
import { allStatuses, containerNamed } from './pod-spec.ts';
import type { PodWorker } from './pod-worker.ts';
import type { ContainerRuntime, ContainerStatus as Instance } from './runtime.ts';

export interface NodeApiDependencies {
  readonly pods: KubeletPods;
  readonly runtime: ContainerRuntime;
  readonly host: KubeletHost;
  readonly config: KubeletConfig;
  readonly env: Env;
}

export function createNodeApi({ pods, runtime, host, env }: NodeApiDependencies): NodeApi {
  const workerOf = ({ namespace, pod, uid }: Omit<ContainerTarget, 'container'>): PodWorker => {
    const worker = pods.worker(namespace, pod);
    if (!worker || (uid && worker.pod.metadata.uid !== uid)) {
      throw new StatusError('NotFound', `pod ${JSON.stringify(pod)} cannot be found - no logs available`);
    }
    return worker;
  };
  const runningId = (target: ContainerTarget): string => {
    const found = workerOf(target).work.runtime.latest(target.container);
    if (found?.state !== 'running') {
      throw new StatusError('NotFound', `container not found (${JSON.stringify(target.container)})`);
    }
    return found.id;
  };
  const readySandbox = (target: Omit<ContainerTarget, 'container'>): string => {
    const sandbox = workerOf(target).work.runtime.sandbox;
    if (sandbox?.state === 'ready') return sandbox.id;
    throw new StatusError('NotFound', `unable to do port forwarding: pod ${JSON.stringify(target.pod)} not running`);
  };
  return {
    async check({ container, ...target }) {
      if (container === undefined) readySandbox(target);
      else runningId({ ...target, container });
    },
    async logs(target, options, { signal }) {
      const worker = workerOf(target);
      const path = logFile(worker, target, options);
      const { id } = path;
      return readLog({
        path: path.path,
        logs: host.logs,
        clock: env.clock,
        options,
        alive: () => !options.previous && worker.work.runtime.find(id)?.state === 'running',
        watchAlive: (changed) => worker.work.onChange(changed),
        signal,
      });
    },
    async exec(target, options, streams, context) {
      return runtime.exec(runningId(target), options, streams, context);
    },
    async attach(target, options, streams, context) {
      return runtime.attach(runningId(target), options, streams, context);
    },
    async portForward(target, port, streams, context) {
      return runtime.portForward(readySandbox(target), port, streams, context);
    },
  };
}

/** The log of the instance that speaks for the container. Throws BadRequest with upstream's text when there is none. */
function logFile(worker: PodWorker, target: ContainerTarget, options: LogOptions): { id: string; path: string } {
  const { work } = worker;
  const { container: name, pod } = target;
  const about = `container ${JSON.stringify(name)} in pod ${JSON.stringify(pod)}`;
  if (!containerNamed(worker.pod, name)) {
    throw badRequest(`container ${name} is not valid for pod ${pod}`);
  }
  const status = allStatuses(worker.status).find((s) => s.name === name);
  if (!status) throw badRequest(`${about} is not available`);
  const containerId = idOf(status, about, options.previous === true);
  const id = containerId.slice(containerId.indexOf('://') + 3);
  const instance = work.runtime.find(id);
  return { id, path: pathOf(work.logDirectory, instance, name, status, options.previous === true) };
}

function pathOf(
  directory: string,
  instance: Instance | undefined,
  name: string,
  { restartCount }: ContainerStatus,
  previous: boolean,
): string {
  const relative = instance?.logPath || containerLogPath(name, previous ? Math.max(0, restartCount - 1) : restartCount);
  return relative.startsWith('/') ? relative : `${directory}/${relative}`;
}

function idOf({ state, lastState, containerID }: ContainerStatus, about: string, previous: boolean): string {
  const last = lastState?.terminated?.containerID;
  if (previous) {
    if (last) return last;
    throw badRequest(`previous terminated ${about} not found`);
  }
  if (state?.running && containerID) return containerID;
  if (state?.terminated) {
    const id = state.terminated.containerID || last;
    if (id) return id;
    throw badRequest(`${about} is terminated`);
  }
  if (last) return last;
  const reason = state?.waiting?.reason;
  if (reason === 'ErrImagePull') throw badRequest(`${about} is waiting to start: image can't be pulled`);
  if (reason === 'ImagePullBackOff') {
    throw badRequest(`${about} is waiting to start: trying and failing to pull image`);
  }
  throw badRequest(reason ? `${about} is waiting to start: ${reason}` : `${about} is waiting to start - no logs yet`);
}
