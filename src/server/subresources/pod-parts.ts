// pods/ephemeralcontainers and pods/resize.

import type { Container, Pod as PodObject } from '../../api/generated/core-v1.ts';
import { Pod } from '../../api/kinds/core/pod.ts';
import { validateEphemeralContainersUpdate, validatePodResize } from '../../api/validate/pod-subresources.ts';
import { strategyContext } from '../call.ts';
import { partHandler } from './rewrite.ts';

export const ephemeralContainers = partHandler<PodObject>({
  take: (sent, current) => {
    const { ephemeralContainers: _, ...spec } = current.spec;
    const added = sent.spec.ephemeralContainers;
    return { ...current, spec: added ? { ...spec, ephemeralContainers: added } : spec };
  },
  validate: (pod, old, call) => [
    ...(Pod.validate?.(pod, strategyContext(call)) ?? []),
    ...validateEphemeralContainersUpdate(pod, old),
  ],
});

export const resize = partHandler<PodObject>({
  take: (sent, current) => {
    const containers = resized(sent.spec.containers, current.spec.containers);
    const init = current.spec.initContainers;
    const spec = { ...current.spec, containers };
    if (init) spec.initContainers = resized(sent.spec.initContainers ?? [], init);
    return { ...current, spec };
  },
  validate: (pod, old, call) => [...(Pod.validate?.(pod, strategyContext(call)) ?? []), ...validatePodResize(pod, old)],
});

/** Only resources and the policy of their change may be new; anything else is refused by validation. */
function resized(sent: readonly Container[], current: readonly Container[]): Container[] {
  return current.map((container) => {
    const wanted = sent.find((c) => c.name === container.name);
    if (!wanted) return container;
    const { resources: _, resizePolicy: __, ...rest } = container;
    return {
      ...rest,
      ...(wanted.resources ? { resources: wanted.resources } : {}),
      ...(wanted.resizePolicy ? { resizePolicy: wanted.resizePolicy } : {}),
    };
  });
}
