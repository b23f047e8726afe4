// A pod's priority comes from its PriorityClass, never from its author.
// https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/

import type { Pod } from '../../api/generated/core-v1.ts';
import type { PriorityClass as PriorityClassObject } from '../../api/generated/scheduling-v1.ts';
import { PriorityClass } from '../../api/kinds/scheduling/priority-class.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import type { Caches } from '../caches.ts';
import { refusal } from './request-name.ts';

const PREEMPT = 'PreemptLowerPriority';

export function priority(caches: Caches): AdmissionPlugin {
  const classes = async () => (await caches.current(PriorityClass)).cache.list() as unknown as PriorityClassObject[];
  return {
    name: 'Priority',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    admit(request) {
      if (request.kind.resource !== 'pods' || request.op.subresource || !request.object) return;
      const pod = request.object as Pod;
      if (request.operation === 'UPDATE') return keep(pod, request.old as Pod);
      return classes().then((all) => setPriority(request, pod, all));
    },
    validate(request) {
      if (request.kind.resource === PriorityClass.resource && request.object) return oneDefault(request);
    },
  };
  async function oneDefault(request: AdmissionRequest): Promise<void> {
    const wanted = request.object as PriorityClassObject;
    if (!wanted.globalDefault) return;
    const other = (await classes()).find((c) => c.globalDefault && c.metadata.name !== wanted.metadata.name);
    if (other) throw refusal(request, `PriorityClass ${other.metadata.name} is already marked as globalDefault`);
  }
}

/** An update that leaves the computed fields out means no change. */
function keep(pod: Pod, old: Pod): void {
  if (pod.spec.priority === undefined && old.spec.priority !== undefined) pod.spec.priority = old.spec.priority;
  if (pod.spec.preemptionPolicy === undefined && old.spec.preemptionPolicy !== undefined) {
    pod.spec.preemptionPolicy = old.spec.preemptionPolicy;
  }
}

function setPriority(request: AdmissionRequest, pod: Pod, classes: readonly PriorityClassObject[]): void {
  const { spec } = pod;
  const chosen = spec.priorityClassName
    ? classes.find((c) => c.metadata.name === spec.priorityClassName)
    : classes.filter((c) => c.globalDefault).sort((a, b) => (a.value ?? 0) - (b.value ?? 0))[0];
  if (spec.priorityClassName && !chosen) {
    throw refusal(request, `no PriorityClass with name ${spec.priorityClassName} was found`);
  }
  if (chosen) spec.priorityClassName = chosen.metadata.name;
  const value = chosen?.value ?? 0;
  if (spec.priority !== undefined && spec.priority !== value) {
    throw refusal(
      request,
      `the integer value of priority (${spec.priority}) must not be provided in pod spec; ` +
        `priority admission controller computed ${value} from the given PriorityClass name`,
    );
  }
  const policy = chosen?.preemptionPolicy ?? PREEMPT;
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy) {
    throw refusal(
      request,
      `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; ` +
        `priority admission controller computed ${policy} from the given PriorityClass name`,
    );
  }
  spec.priority = value;
  spec.preemptionPolicy = policy;
}
