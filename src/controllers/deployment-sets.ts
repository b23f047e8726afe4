// The ReplicaSets of a Deployment: which one is current, revisions and their annotations, how a new one is made.

import { templateHash } from '../api/hash.ts';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import type { ReplicaSet } from '../api/kinds/apps/replica-set.ts';
import type { PodTemplateSpec } from '../api/generated/core-v1.ts';
import type { LabelSelector } from '../api/object.ts';
import { controllerRef } from '../client/ownership.ts';
import { sameValue } from './same-value.ts';

export const HASH_LABEL = 'pod-template-hash';
export const REVISION = 'deployment.kubernetes.io/revision';
export const REVISION_HISTORY = 'deployment.kubernetes.io/revision-history';
export const DESIRED_REPLICAS = 'deployment.kubernetes.io/desired-replicas';
export const MAX_REPLICAS = 'deployment.kubernetes.io/max-replicas';

/** Annotations of a Deployment that are its own business. */
const NOT_COPIED = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  'deprecated.deployment.rollback.to',
]);
const HISTORY_LIMIT = 2000;

type Annotations = Readonly<Record<string, string>>;

export const sizeOf = (set: ReplicaSet) => set.spec.replicas ?? 1;

/** Oldest first; sets of the same second in order of name. */
export function byAge(a: ReplicaSet, b: ReplicaSet): number {
  return (
    compareText(a.metadata.creationTimestamp, b.metadata.creationTimestamp) ||
    compareText(a.metadata.name, b.metadata.name)
  );
}
const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** The oldest set with the Deployment's template, the hash label aside. */
export function currentSet(deployment: Deployment, sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  const wanted = deployment.spec.template;
  return [...sets].sort(byAge).find((set) => set.spec.template && sameTemplate(set.spec.template, wanted));
}

export function sameTemplate(a: PodTemplateSpec, b: PodTemplateSpec): boolean {
  const [left, right] = [a.metadata?.labels ?? {}, b.metadata?.labels ?? {}];
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)]))
    if (key !== HASH_LABEL && left[key] !== right[key]) return false;
  const rest = (template: PodTemplateSpec) => {
    const { labels: _, creationTimestamp: __, ...metadata } = template.metadata ?? { creationTimestamp: '' };
    return { ...template, metadata };
  };
  return sameValue(rest(a), rest(b));
}

/** 0 when there is none, or none that can be read. */
export function revisionOf(set: ReplicaSet): number {
  return parseRevision(set.metadata.annotations?.[REVISION]) ?? 0;
}

function parseRevision(text: string | undefined): number | undefined {
  if (!text) return 0;
  return /^[+-]?\d+$/.test(text) ? Number(text) : undefined;
}

export function maxRevision(sets: readonly ReplicaSet[]): number {
  return Math.max(0, ...sets.map(revisionOf));
}

/**
 * What the current set's annotations should be: the Deployment's own, and `revision` when that is newer than what it
 * has; a revision it had before goes to its history. Returns the very `annotations` when nothing changes.
 */
export function currentAnnotations(deployment: Deployment, annotations: Annotations, revision: number): Annotations {
  const result: Record<string, string> = { ...annotations };
  let changed = false;
  for (const [key, value] of Object.entries(deployment.metadata.annotations ?? {})) {
    if (NOT_COPIED.has(key) || result[key] === value) continue;
    result[key] = value;
    changed = true;
  }
  const had = annotations[REVISION];
  const old = parseRevision(had);
  if (old !== undefined && old < revision) {
    result[REVISION] = String(revision);
    changed = true;
    if (had !== undefined) result[REVISION_HISTORY] = withHistory(annotations[REVISION_HISTORY], had);
  }
  return changed ? result : annotations;
}

/** Appends a revision, dropping the oldest when the text grows too long for an annotation. */
function withHistory(history: string | undefined, revision: string): string {
  if (!history) return revision;
  const revisions = history.split(',');
  let length = history.length + 1 + revision.length;
  while (length > HISTORY_LIMIT && revisions.length) length -= revisions.shift()!.length + 1;
  return [...revisions, revision].join(',');
}

/** The annotations by which a later resize knows what size the set was made for. */
export function scaleAnnotations(annotations: Annotations, desired: number, max: number): Annotations {
  if (annotations[DESIRED_REPLICAS] === String(desired) && annotations[MAX_REPLICAS] === String(max))
    return annotations;
  return { ...annotations, [DESIRED_REPLICAS]: String(desired), [MAX_REPLICAS]: String(max) };
}

/** A number from one of the scale annotations, or undefined. */
export function scaleAnnotation(set: ReplicaSet, name: string): number | undefined {
  const text = set.metadata.annotations?.[name];
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** A set of the Deployment's template, with no pods yet. It has no UID before it is created. */
export function newSet(deployment: Deployment, annotations: Annotations): ReplicaSet {
  const { template, selector, minReadySeconds } = deployment.spec;
  const hash = templateHash(template, deployment.status?.collisionCount);
  const labels = { ...template.metadata?.labels, [HASH_LABEL]: hash };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: setName(deployment.metadata.name, hash),
      ...(deployment.metadata.namespace ? { namespace: deployment.metadata.namespace } : {}),
      ownerReferences: [controllerRef(deployment, Deployment)],
      labels,
      annotations,
    } as unknown as ReplicaSet['metadata'],
    spec: {
      replicas: 0,
      ...(minReadySeconds ? { minReadySeconds } : {}),
      selector: withHash(selector, hash),
      template: { ...template, metadata: { ...template.metadata, labels } as PodTemplateSpec['metadata'] & object },
    },
  };
}

/** Names end at 253 characters; the hash must stay whole. */
function setName(deployment: string, hash: string): string {
  return `${deployment.slice(0, 253 - 1 - hash.length)}-${hash}`;
}

function withHash(selector: LabelSelector, hash: string): LabelSelector {
  return { ...selector, matchLabels: { ...selector.matchLabels, [HASH_LABEL]: hash } };
}
