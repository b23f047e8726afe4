// Validation of writes to a pod's subresources: ephemeralcontainers, resize and binding.

import { field } from '../errors.ts';
import { isSidecar, qosClass } from '../container-resources.ts';
import type { Binding, Container, Pod, ResourceRequirements } from '../generated/core-v1.ts';
import { type Errors, missing } from './checks.ts';
import { diffText } from './diff.ts';
import { MIRROR_ANNOTATION } from './pod-spec.ts';
import { sameValue } from './same-value.ts';

const isMirror = (pod: Pod) => pod.metadata.annotations?.[MIRROR_ANNOTATION] !== undefined;

/** Ephemeral containers can be added, never changed or taken away. Both pods differ in nothing else. */
export function validateEphemeralContainersUpdate(pod: Pod, old: Pod): Errors {
  if (isMirror(old)) return [field.forbidden('', 'static pods do not support ephemeral containers')];
  const out: Errors = [];
  const path = 'spec.ephemeralContainers';
  for (const before of old.spec.ephemeralContainers ?? []) {
    const now = pod.spec.ephemeralContainers?.find((c) => c.name === before.name);
    const text = `existing ephemeral containers ${JSON.stringify(before.name)} may not be`;
    if (!now) out.push(field.forbidden(path, `${text} removed\n`));
    else if (!sameValue(now, before)) {
      out.push(field.forbidden(path, `${text} changed\n${diffText(before, now, 'core.EphemeralContainer')}`));
    }
  }
  return out;
}

/** In-place resize of cpu and memory. */
export function validatePodResize(pod: Pod, old: Pod): Errors {
  if (isMirror(old)) return [field.forbidden('', 'static pods cannot be resized')];
  if (old.spec.os?.name === 'windows') return [field.forbidden('', 'windows pods cannot be resized')];
  const out: Errors = [];
  if ((old.status?.qosClass ?? qosClass(old)) !== qosClass(pod)) {
    const text = 'Pod QOS Class may not change as a result of resizing';
    out.push(field.invalid('spec', qosClass(pod), text));
  }
  const running = old.status?.containerStatuses?.find((s) => s.state?.running);
  if (running && !running.resources) {
    out.push(field.forbidden('spec', 'Pod running on node without support for resize'));
  }
  const { containers, initContainers = [] } = pod.spec;
  old.spec.initContainers?.forEach((c, i) => {
    if (isSidecar(c)) validateContainerResize(initContainers[i], c, `spec.initContainers[${i}].resources`, out);
  });
  old.spec.containers.forEach((c, i) =>
    validateContainerResize(containers[i], c, `spec.containers[${i}].resources`, out),
  );
  const changed = (now: Container | undefined, before: Container) => !sameValue(withOldCompute(now, before), before);
  if (old.spec.containers.some((c, i) => changed(containers[i], c))) {
    out.push(field.forbidden('spec', 'only cpu and memory resources are mutable'));
  }
  old.spec.initContainers?.forEach((c, i) => {
    if (isSidecar(c)) {
      if (changed(initContainers[i], c)) {
        out.push(field.forbidden('spec', 'only cpu and memory resources for sidecar containers are mutable'));
      }
    } else if (!sameValue(initContainers[i], c)) {
      out.push(field.forbidden('spec', 'resources for non-sidecar init containers are immutable'));
    }
  });
  if (out.length) return out;
  const rest = (spec: Pod['spec']) => ({ ...spec, containers: [], initContainers: [] });
  if (!sameValue(rest(pod.spec), rest(old.spec))) {
    out.push(field.forbidden('spec', 'only cpu and memory resources are mutable'));
  }
  return out;
}

/** The new container with the old cpu and memory. */
function withOldCompute(now: Container | undefined, before: Container): Container | undefined {
  if (!now) return undefined;
  const take = (list: 'requests' | 'limits') => {
    const { cpu: _, memory: __, ...others } = now.resources?.[list] ?? {};
    const old = before.resources?.[list];
    const kept: Record<string, string> = { ...others };
    for (const name of ['cpu', 'memory']) if (old?.[name] !== undefined) kept[name] = old[name];
    return kept;
  };
  return { ...now, resources: { ...now.resources, requests: take('requests'), limits: take('limits') } };
}

function validateContainerResize(now: Container | undefined, before: Container, path: string, out: Errors): void {
  const resources: ResourceRequirements = now?.resources ?? {};
  const old: ResourceRequirements = before.resources ?? {};
  for (const list of ['requests', 'limits'] as const) {
    if (Object.keys(old[list] ?? {}).some((name) => resources[list]?.[name] === undefined)) {
      out.push(field.forbidden(`${path}.${list}`, `resource ${list} cannot be removed`));
    }
  }
}

export function validateBinding(binding: Binding): Errors {
  const out: Errors = [];
  const { target } = binding;
  if (!missing(target.kind) && target.kind !== 'Node') {
    out.push(field.notSupported('target.kind', target.kind, ['Node', '<empty>']));
  }
  if (missing(target.name)) out.push(field.required('target.name'));
  return out;
}
