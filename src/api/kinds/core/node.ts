// Node: core/v1.

import { field } from '../../errors.ts';
import type { Node as NodeObject, Taint } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import { type Errors, missing } from '../../validate/checks.ts';
import { isIpv6, validateCidr } from '../../validate/ip.ts';
import { labelValue } from '../../validate/names.ts';
import { validateFinalizerNames, validateLabelName } from '../../validate/object-meta.ts';
import { validateResourceQuantity } from '../../validate/resources.ts';
import { TAINT_EFFECTS } from '../../validate/scheduling.ts';
import { AGE, ageOf, NAME, NONE, text, UNKNOWN, wide } from '../columns.ts';
import { defaultResourceList } from './pod-defaults.ts';

export type Node = NodeObject;

const ROLE_PREFIX = 'node-role.kubernetes.io/';

export const Node = defineKind<NodeObject>({
  group: '',
  version: 'v1',
  kind: 'Node',
  plural: 'nodes',
  namespaced: false,
  shortNames: ['no'],

  default(node) {
    const { spec } = node;
    // `podCIDR` is the first of `podCIDRs`.
    if (spec.podCIDR && spec.podCIDRs?.[0] !== spec.podCIDR) spec.podCIDRs = [spec.podCIDR];
    else if (spec.podCIDRs?.[0]) spec.podCIDR = spec.podCIDRs[0];
    defaultStatus(node);
  },

  validate(node) {
    const out: Errors = [];
    validateFinalizerNames(node.metadata.finalizers, 'metadata.finalizers', out);
    // Upstream reports taints under metadata.
    validateTaints(node.spec.taints, 'metadata.taints', out);
    validateCapacity(node, out);
    validatePodCidrs(node.spec.podCIDRs ?? [], out);
    return out;
  },
  validateUpdate(node, old) {
    const out: Errors = [];
    const before = old.spec.podCIDRs ?? [];
    const now = node.spec.podCIDRs ?? [];
    if (before.length && (before.length !== now.length || before.some((cidr, i) => cidr !== now[i]))) {
      const text = 'node updates may not change podCIDR except from "" to valid';
      out.push(field.forbidden('spec.podCIDRs', text));
    }
    if (!missing(old.spec.providerID) && old.spec.providerID !== node.spec.providerID) {
      const text = 'node updates may not change providerID except from "" to valid';
      out.push(field.forbidden('spec.providerID', text));
    }
    if ((old.spec.externalID ?? '') !== (node.spec.externalID ?? '')) {
      out.push(field.forbidden('spec.externalID', 'may not be updated'));
    }
    return out;
  },
  warnings({ metadata, spec }) {
    const out: string[] = [];
    if (spec.configSource) out.push('spec.configSource: the feature is no longer supported');
    if (spec.externalID) out.push('spec.externalID: this field is deprecated, and is unused by Kubernetes');
    if (metadata.annotations?.['scheduler.alpha.kubernetes.io/taints'] !== undefined) {
      out.push('metadata.annotations[scheduler.alpha.kubernetes.io/taints]: non-functional; use spec.taints instead');
    }
    return out;
  },
  status: {
    default: defaultStatus,
    validateUpdate(node) {
      const out: Errors = [];
      validateCapacity(node, out);
      const seen = new Set<string>();
      node.status?.addresses?.forEach((a, i) => {
        const key = `${a.type}/${a.address}`;
        if (seen.has(key)) out.push(field.duplicate(`status.addresses[${i}]`, a));
        seen.add(key);
      });
      return out;
    },
  },

  subresources: { proxy: { verbs: ['create', 'delete', 'get', 'patch', 'update'], kind: 'NodeProxyOptions' } },
  selectableFields: { 'spec.unschedulable': ({ spec }) => String(spec.unschedulable ?? false) },
  columns: [
    NAME,
    text('Status', 'The status of the node'),
    text('Roles', 'The roles of the node'),
    AGE,
    text('Version', 'The version of its kubelet.'),
    wide('Internal-IP', 'The address inside the cluster.'),
    wide('External-IP', 'The address from outside.'),
    wide('OS-Image', 'The operating system.'),
    wide('Kernel-Version', 'The kernel.'),
    wide('Container-Runtime', 'What runs the containers.'),
  ],
  row(node, now) {
    const info = node.status?.nodeInfo;
    const address = (type: string) => node.status?.addresses?.find((a) => a.type === type)?.address ?? NONE;
    return [
      node.metadata.name,
      statusText(node),
      rolesText(node),
      ageOf(node, now),
      info?.kubeletVersion ?? '',
      address('InternalIP'),
      address('ExternalIP'),
      info?.osImage || UNKNOWN,
      info?.kernelVersion || UNKNOWN,
      info?.containerRuntimeVersion || UNKNOWN,
    ];
  },
});

function defaultStatus({ status }: Pick<NodeObject, 'status'>): void {
  if (!status) return;
  if (status.capacity && !status.allocatable) status.allocatable = { ...status.capacity };
  defaultResourceList(status.capacity);
  defaultResourceList(status.allocatable);
}

function statusText({ spec, status }: NodeObject): string {
  const ready = status?.conditions?.find((c) => c.type === 'Ready');
  const state = !ready ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  return spec.unschedulable ? `${state},SchedulingDisabled` : state;
}

function rolesText({ metadata }: NodeObject): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (key.startsWith(ROLE_PREFIX) && key.length > ROLE_PREFIX.length) roles.add(key.slice(ROLE_PREFIX.length));
    else if (key === 'kubernetes.io/role' && value) roles.add(value);
  }
  return [...roles].sort().join(',') || NONE;
}

function validateTaints(taints: readonly Taint[] | undefined, path: string, out: Errors): void {
  const seen = new Set<string>();
  taints?.forEach((taint, i) => {
    const at = `${path}[${i}]`;
    validateLabelName(taint.key ?? '', `${at}.key`, out);
    const faults = labelValue(taint.value ?? '');
    if (faults.length) out.push(field.invalid(`${at}.value`, taint.value, faults.join(';')));
    if (missing(taint.effect)) out.push(field.required(`${at}.effect`));
    else if (!TAINT_EFFECTS.includes(taint.effect)) {
      out.push(field.notSupported(`${at}.effect`, taint.effect, TAINT_EFFECTS));
    }
    const key = `${taint.key}:${taint.effect}`;
    if (seen.has(key)) {
      out.push({ ...field.duplicate(at, taint), detail: 'taints must be unique by key and effect pair' });
    }
    seen.add(key);
  });
}

function validateCapacity({ status }: NodeObject, out: Errors): void {
  for (const list of ['capacity', 'allocatable'] as const) {
    const resources = status?.[list];
    for (const name in resources) validateResourceQuantity(name, resources[name]!, `status.${list}.${name}`, out);
  }
}

function validatePodCidrs(cidrs: readonly string[], out: Errors): void {
  const path = 'spec.podCIDRs';
  cidrs.forEach((cidr, i) => validateCidr(cidr, `${path}[${i}]`, out));
  if (cidrs.length < 2) return;
  const six = cidrs.filter((cidr) => isIpv6(cidr.split('/')[0]!)).length;
  if (cidrs.length > 2 || six !== 1) {
    out.push(field.invalid(path, cidrs, 'may specify no more than one CIDR for each IP family'));
  }
  cidrs.forEach((cidr, i) => {
    if (cidrs.indexOf(cidr) < i) out.push(field.duplicate(`${path}[${i}]`, cidr));
  });
}
