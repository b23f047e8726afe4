// Labels and annotations on sandboxes and containers. Upstream's names, so that crictl, log agents and a restarted
// kubelet all read them.

import type { Pod } from '../api/kinds/core/pod.ts';
import type { Container, EphemeralContainer } from '../api/generated/core-v1.ts';
import { containerHash, graceOf } from './pod-spec.ts';

export const LABELS = {
  podName: 'io.kubernetes.pod.name',
  podNamespace: 'io.kubernetes.pod.namespace',
  podUid: 'io.kubernetes.pod.uid',
  containerName: 'io.kubernetes.container.name',
  hash: 'io.kubernetes.container.hash',
  restartCount: 'io.kubernetes.container.restartCount',
  messagePath: 'io.kubernetes.container.terminationMessagePath',
  messagePolicy: 'io.kubernetes.container.terminationMessagePolicy',
  podGrace: 'io.kubernetes.pod.terminationGracePeriod',
  configSource: 'kubernetes.io/config.source',
  configSeen: 'kubernetes.io/config.seen',
} as const;

export function sandboxLabels(pod: Pod): Record<string, string> {
  const { name, namespace, uid, labels } = pod.metadata;
  return { ...labels, [LABELS.podName]: name, [LABELS.podNamespace]: namespace!, [LABELS.podUid]: uid! };
}

export function sandboxAnnotations(pod: Pod): Record<string, string> {
  return { ...pod.metadata.annotations, [LABELS.configSource]: 'api' };
}

export function containerLabels(pod: Pod, container: Container | EphemeralContainer): Record<string, string> {
  const { name, namespace, uid } = pod.metadata;
  return {
    [LABELS.podName]: name,
    [LABELS.podNamespace]: namespace!,
    [LABELS.podUid]: uid!,
    [LABELS.containerName]: container.name,
  };
}

export function containerAnnotations(
  pod: Pod,
  container: Container | EphemeralContainer,
  attempt: number,
): Record<string, string> {
  return {
    [LABELS.hash]: containerHash(container),
    [LABELS.restartCount]: String(attempt),
    [LABELS.messagePath]: container.terminationMessagePath ?? '/dev/termination-log',
    [LABELS.messagePolicy]: container.terminationMessagePolicy ?? 'File',
    [LABELS.podGrace]: String(graceOf(pod)),
  };
}
