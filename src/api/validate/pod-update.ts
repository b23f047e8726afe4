// What may change in a pod that exists: hardly anything in its specification, and its status within reason.

import { field } from '../errors.ts';
import type { Affinity, Container, ContainerStatus, Pod, PodSpec, Toleration } from '../generated/core-v1.ts';
import { isSidecar } from '../container-resources.ts';
import type { Errors } from './checks.ts';
import { missing } from './checks.ts';
import { diffText } from './diff.ts';
import { validateDualStack, validateIp } from './ip.ts';
import { addFaults, dns1123Subdomain, qualifiedName } from './names.ts';
import { validateImmutable } from './object-meta.ts';
import { MIRROR_ANNOTATION } from './pod-spec.ts';
import { sameValue } from './same-value.ts';

const UPDATABLE = [
  '`spec.containers[*].image`',
  '`spec.initContainers[*].image`',
  '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
].join(',');

export function validatePodUpdate(pod: Pod, old: Pod): Errors {
  const out: Errors = [];
  validateMirror(pod, old, out);
  const { spec } = pod;
  const before = old.spec;
  for (const list of ['containers', 'initContainers'] as const) {
    if ((spec[list]?.length ?? 0) !== (before[list]?.length ?? 0)) {
      out.push(field.forbidden(`spec.${list}`, 'pod updates may not add or remove containers'));
      return out;
    }
  }
  if (!validateDeadline(spec, before, out)) return out;
  validateTolerations(spec.tolerations, before.tolerations, out);
  spec.schedulingGates?.forEach((gate, i) => {
    if (!before.schedulingGates?.some((g) => g.name === gate.name)) {
      const text = `only deletion is allowed, but found new scheduling gate '${gate.name}'`;
      out.push(field.forbidden(`spec.schedulingGates[${i}].name`, text));
    }
  });
  if (sameValue(spec, before)) return out;
  const munged = munge(spec, before, out);
  if (!sameValue(munged, before)) {
    const diff = diffText(before, munged, 'core.PodSpec');
    out.push(field.forbidden('spec', `pod updates may not change fields other than ${UPDATABLE}\n${diff}`));
  }
  return out;
}

/** The new specification with every allowed change taken back. */
function munge(spec: PodSpec, before: PodSpec, out: Errors): PodSpec {
  const images = (now: Container[] | undefined, then: Container[] | undefined) =>
    now?.map((c, i) => (then?.[i]?.image === undefined ? c : { ...c, image: then[i].image }));
  const munged: PodSpec = { ...spec, containers: images(spec.containers, before.containers) ?? [] };
  const keep = <K extends keyof PodSpec>(key: K, value: PodSpec[K]) => {
    if (value === undefined) delete munged[key];
    else munged[key] = value;
  };
  keep('initContainers', images(spec.initContainers, before.initContainers));
  for (const key of ['activeDeadlineSeconds', 'schedulingGates', 'tolerations'] as const) keep(key, before[key]);
  if ((before.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1) {
    keep('terminationGracePeriodSeconds', before.terminationGracePeriodSeconds);
  }
  // A gated pod may still be told where to run, ever more narrowly.
  if (before.schedulingGates?.length) {
    const selector = before.nodeSelector ?? {};
    if (Object.keys(selector).some((key) => spec.nodeSelector?.[key] !== selector[key])) {
      const text = 'only additions to spec.nodeSelector are allowed (no mutations or deletions)';
      out.push(field.invalid('spec.nodeSelector', spec.nodeSelector, text));
    }
    keep('nodeSelector', before.nodeSelector);
    validateAffinityAdditions(spec.affinity, before.affinity, out);
    keep('affinity', withNodeAffinity(spec.affinity, before.affinity));
  }
  return munged;
}

function withNodeAffinity(now: Affinity | undefined, before: Affinity | undefined): Affinity | undefined {
  const { nodeAffinity: _, ...rest } = now ?? {};
  const merged: Affinity = { ...rest, ...(before?.nodeAffinity ? { nodeAffinity: before.nodeAffinity } : {}) };
  return Object.keys(merged).length === 0 ? before : merged;
}

function validateAffinityAdditions(now: Affinity | undefined, before: Affinity | undefined, out: Errors): void {
  const path = 'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms';
  const termsOf = (a: Affinity | undefined) =>
    a?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const old = termsOf(before);
  const terms = termsOf(now);
  if (!old.length) return;
  if (old.length !== terms.length) {
    const text = 'no additions/deletions to non-empty NodeSelectorTerms list are allowed';
    out.push(field.invalid(path, terms, text));
    return;
  }
  old.forEach((term, i) => {
    const only = (['matchExpressions', 'matchFields'] as const).every((key) =>
      sameValue(terms[i]![key]?.slice(0, term[key]?.length ?? 0), term[key]),
    );
    const wasEmpty = !term.matchExpressions?.length && !term.matchFields?.length;
    if (!only || (wasEmpty && !sameValue(terms[i], term))) {
      out.push(field.invalid(`${path}[${i}]`, terms[i], 'only additions are allowed (no mutations or deletions)'));
    }
  });
}

function validateMirror(pod: Pod, old: Pod, out: Errors): void {
  const now = pod.metadata.annotations?.[MIRROR_ANNOTATION];
  const before = old.metadata.annotations?.[MIRROR_ANNOTATION];
  if (now === before) return;
  const text =
    before === undefined ? 'may not add mirror pod annotation' : 'may not remove or update mirror pod annotation';
  out.push(field.forbidden(`metadata.annotations[${MIRROR_ANNOTATION}]`, text));
}

/** From nothing to something, or down. False ends the validation. */
function validateDeadline(spec: PodSpec, before: PodSpec, out: Errors): boolean {
  const now = spec.activeDeadlineSeconds;
  const then = before.activeDeadlineSeconds;
  const at = 'spec.activeDeadlineSeconds';
  if (now === undefined) {
    if (then !== undefined) out.push(field.invalid(at, null, 'must not update from a positive integer to nil value'));
    return true;
  }
  if (then === undefined || now <= then) return true;
  out.push(field.invalid(at, now, 'must be less than or equal to previous value'));
  return false;
}

function validateTolerations(now: Toleration[] | undefined, before: Toleration[] | undefined, out: Errors): void {
  const bare = (t: Toleration) => ({ ...t, tolerationSeconds: undefined });
  if (before?.some((t) => !now?.some((n) => sameValue(bare(n), bare(t))))) {
    const text = 'existing toleration can not be modified except its tolerationSeconds';
    out.push(field.forbidden('spec.tolerations', text));
  }
}

/** A status written by a kubelet or controller. */
export function validatePodStatusUpdate(pod: Pod, old: Pod): Errors {
  const out: Errors = [];
  const status = pod.status ?? {};
  const before = old.status ?? {};
  const system = ['PodScheduled', 'Ready', 'Initialized'];
  status.conditions?.forEach((c, i) => {
    if (!system.includes(c.type)) addFaults(qualifiedName(c.type), `metadata.conditions[${i}].Type`, c.type, out);
  });
  const nominated = status.nominatedNodeName;
  if (!missing(nominated) && nominated !== before.nominatedNodeName) {
    addFaults(dns1123Subdomain(nominated), 'status.nominatedNodeName', nominated, out);
  }
  validateImmutable(status.qosClass ?? '', before.qosClass ?? '', 'status.qosClass', out);
  const policy = old.spec.restartPolicy;
  const isSidecarName = (name: string) =>
    old.spec.initContainers?.some((c) => c.name === name && isSidecar(c)) ?? false;
  validateTransitions(status.containerStatuses, before.containerStatuses, policy, 'status.containerStatuses', out);
  const init = before.initContainerStatuses?.filter((s) => !isSidecarName(s.name));
  validateTransitions(status.initContainerStatuses, init, policy, 'status.initContainerStatuses', out);
  const ephemeral = 'status.ephemeralContainerStatuses';
  validateTransitions(status.ephemeralContainerStatuses, before.ephemeralContainerStatuses, 'Never', ephemeral, out);
  status.podIPs?.forEach((x, i) => validateIp(x.ip, `status.podIPs[${i}]`, out));
  validateDualStack(status.podIPs ?? [], 'status.podIPs', out);
  const first = status.hostIPs?.[0];
  if (first && first.ip !== status.hostIP) {
    out.push(field.invalid('status.hostIPs[0].ip', first.ip, 'must be equal to `hostIP`'));
  }
  status.hostIPs?.forEach((x, i) => validateIp(x.ip, `status.hostIPs[${i}]`, out));
  validateDualStack(status.hostIPs ?? [], 'status.hostIPs', out);
  return out;
}

/** A container that has ended for good stays ended. */
function validateTransitions(
  now: ContainerStatus[] | undefined,
  before: ContainerStatus[] | undefined,
  policy: string | undefined,
  path: string,
  out: Errors,
): void {
  if (policy === 'Always') return;
  before?.forEach((was, i) => {
    const end = was.state?.terminated;
    if (!end || (end.exitCode !== 0 && policy === 'OnFailure')) return;
    const is = now?.find((s) => s.name === was.name);
    if (is && !is.state?.terminated) {
      out.push(field.forbidden(`${path}[${i}].state`, 'may not be transitioned to non-terminated state'));
    }
  });
}
