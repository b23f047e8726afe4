// ResourceQuota: core/v1.

import { field } from '../../errors.ts';
import type { ResourceQuota as ResourceQuotaObject, ResourceQuotaSpec } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import type { Errors } from '../../validate/checks.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { validateResourceName, validateResourceQuantity } from '../../validate/resources.ts';
import { AGE, ageOf, NAME, text } from '../columns.ts';
import { defaultResourceList } from './pod-defaults.ts';

export type ResourceQuota = ResourceQuotaObject;

const COMPUTE = ['cpu', 'memory', 'limits.cpu', 'limits.memory', 'requests.cpu', 'requests.memory'];
const QUOTA_RESOURCES = [
  ...COMPUTE,
  'ephemeral-storage',
  'requests.ephemeral-storage',
  'limits.ephemeral-storage',
  'requests.storage',
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'persistentvolumeclaims',
  'configmaps',
  'services.nodeports',
  'services.loadbalancers',
];
/** The standard resources each scope can count. */
const PODS = ['pods', ...COMPUTE];
const SCOPES: Readonly<Record<string, readonly string[]>> = {
  Terminating: PODS,
  NotTerminating: PODS,
  NotBestEffort: PODS,
  BestEffort: ['pods'],
  PriorityClass: PODS,
  CrossNamespacePodAffinity: PODS,
  VolumeAttributesClass: ['persistentvolumeclaims', 'requests.storage'],
};
const EXISTS_ONLY = ['BestEffort', 'NotBestEffort', 'Terminating', 'NotTerminating', 'CrossNamespacePodAffinity'];
const OPPOSITES = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
] as const;

export const ResourceQuota = defineKind<ResourceQuotaObject>({
  group: '',
  version: 'v1',
  kind: 'ResourceQuota',
  plural: 'resourcequotas',
  namespaced: true,
  shortNames: ['quota'],

  default({ spec, status }) {
    for (const list of [spec.hard, status?.hard, status?.used]) defaultResourceList(list);
  },
  prepareForCreate(quota) {
    quota.status = {};
  },
  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    validateList(spec.hard, 'spec.hard', out);
    validateScopes(spec, out);
    validateScopeSelector(spec, out);
    return out;
  },
  validateUpdate({ spec }, old) {
    const set = (scopes: readonly string[] | undefined) => [...new Set(scopes)].sort().join();
    if (set(spec.scopes) === set(old.spec.scopes)) return [];
    return [field.invalid('spec.scopes', spec.scopes ?? [], 'field is immutable')];
  },
  status: {
    validateUpdate({ status }) {
      const out: Errors = [];
      validateList(status?.hard, 'status.hard', out);
      validateList(status?.used, 'status.used', out);
      return out;
    },
  },

  columns: [
    NAME,
    text('Request', 'Requests used, of those allowed.'),
    text('Limit', 'Limits used, of those allowed.'),
    AGE,
  ],
  row(quota, now) {
    const hard = quota.status?.hard ?? {};
    const used = quota.status?.used ?? {};
    const line = (limits: boolean) =>
      Object.keys(hard)
        .sort()
        .filter((name) => name.startsWith('limits') === limits)
        .map((name) => `${name}: ${used[name] ?? '0'}/${hard[name]}`)
        .join(', ');
    return [quota.metadata.name, line(false), line(true), ageOf(quota, now)];
  },
});

function validateList(list: Readonly<Record<string, string>> | undefined, path: string, out: Errors): void {
  for (const name in list) {
    const at = `${path}[${name}]`;
    validateResourceName(name, at, out);
    if (!name.includes('/') && !isQuotaResource(name)) {
      out.push(field.invalid(at, name, 'must be a standard resource for quota'));
    }
    validateResourceQuantity(name, list[name]!, at, out);
  }
}

const isQuotaResource = (name: string) => QUOTA_RESOURCES.includes(name) || /^(requests\.)?hugepages-/.test(name);

/** Whether a scope can count every standard resource of the quota. */
const canCount = (scope: string, spec: ResourceQuotaSpec) =>
  Object.keys(spec.hard ?? {}).every((name) => !isQuotaResource(name) || (SCOPES[scope]?.includes(name) ?? true));

const conflicting = (scopes: readonly string[]) =>
  OPPOSITES.filter(([a, b]) => scopes.includes(a) && scopes.includes(b));

function validateScopes(spec: ResourceQuotaSpec, out: Errors): void {
  const scopes = spec.scopes ?? [];
  for (const scope of scopes) {
    if (!SCOPES[scope]) out.push(field.invalid('spec.scopes', scopes, 'unsupported scope'));
    else if (!canCount(scope, spec)) {
      out.push(field.invalid('spec.scopes', scopes, 'unsupported scope applied to resource'));
    }
  }
  for (const _ of conflicting(scopes)) out.push(field.invalid('spec.scopes', scopes, 'conflicting scopes'));
}

function validateScopeSelector(spec: ResourceQuotaSpec, out: Errors): void {
  const path = 'spec.scopeSelector.matchExpressions';
  const expressions = spec.scopeSelector?.matchExpressions ?? [];
  for (const { scopeName, operator, values } of expressions) {
    if (!SCOPES[scopeName]) out.push(field.invalid(`${path}.scopeName`, scopeName, 'unsupported scope'));
    else if (!canCount(scopeName, spec)) {
      out.push(field.invalid(path, spec.scopeSelector, 'unsupported scope applied to resource'));
    }
    if (EXISTS_ONLY.includes(scopeName) && operator !== 'Exists') {
      const text =
        "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
      out.push(field.invalid(`${path}.operator`, operator, text));
    }
    if (operator === 'In' || operator === 'NotIn') {
      const text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
      if (!values?.length) out.push(field.required(`${path}.values`, text));
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      const text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
      if (values?.length) out.push(field.invalid(`${path}.values`, values, text));
    } else {
      out.push(field.invalid(`${path}.operator`, operator, 'not a valid selector operator'));
    }
  }
  for (const _ of conflicting(expressions.map((e) => e.scopeName))) {
    out.push(field.invalid(path, spec.scopes ?? [], 'conflicting scopes'));
  }
}
