// LimitRange: core/v1. Bounds and defaults for the resources of pods, containers and claims in a namespace.

import { isOvercommitAllowed } from '../../container-resources.ts';
import { field } from '../../errors.ts';
import type { LimitRange as LimitRangeObject, LimitRangeItem } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import { parseQuantity } from '../../quantity.ts';
import { type Errors, unique } from '../../validate/checks.ts';
import { addFaults, qualifiedName } from '../../validate/names.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { validateContainerResourceName, validateResourceName } from '../../validate/resources.ts';
import { CREATED_AT, NAME } from '../columns.ts';
import { defaultResourceList } from './pod-defaults.ts';

export type LimitRange = LimitRangeObject;

const LISTS = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const;
const TYPES = ['Pod', 'Container', 'PersistentVolumeClaim'];

export const LimitRange = defineKind<LimitRangeObject>({
  group: '',
  version: 'v1',
  kind: 'LimitRange',
  plural: 'limitranges',
  namespaced: true,
  shortNames: ['limits'],
  createOnUpdate: true,

  default({ spec }) {
    for (const item of spec.limits ?? []) {
      if (item.type === 'Container') {
        const limits = { ...item.max, ...item.default };
        const requests = { ...item.min, ...limits, ...item.defaultRequest };
        if (Object.keys(limits).length) item.default = limits;
        if (Object.keys(requests).length) item.defaultRequest = requests;
      }
      for (const list of LISTS) defaultResourceList(item[list]);
    }
  },
  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    const items = spec.limits ?? [];
    items.forEach((item, i) => validateItem(item, `spec.limits[${i}]`, out));
    unique(
      items.map((item) => item.type ?? ''),
      (i) => `spec.limits[${i}].type`,
      out,
    );
    return out;
  },
  columns: [NAME, CREATED_AT],
  row: ({ metadata }) => [metadata.name, metadata.creationTimestamp],
});

function validateItem(item: LimitRangeItem, path: string, out: Errors): void {
  const type = item.type ?? '';
  const faults = qualifiedName(type);
  addFaults(faults, `${path}.type`, type, out);
  if (!faults.length && !type.includes('/') && !TYPES.includes(type)) {
    out.push(field.invalid(`${path}.type`, type, 'must be a standard limit type or fully qualified'));
  }
  const names = new Set<string>();
  for (const list of LISTS) {
    const forPods = type === 'Pod' && (list === 'default' || list === 'defaultRequest');
    if (forPods && Object.keys(item[list] ?? {}).length) {
      out.push(field.forbidden(`${path}.${list}`, "may not be specified when `type` is 'Pod'"));
    }
    if (forPods) continue;
    for (const name in item[list]) {
      const at = `${path}.${list}[${name}]`;
      if (type === 'Pod' || type === 'Container') validateContainerResourceName(name, at, out);
      else validateResourceName(name, at, out);
      names.add(name);
    }
  }
  if (type === 'PersistentVolumeClaim' && !item.min?.['storage'] && !item.max?.['storage']) {
    const text = 'either minimum or maximum storage value is required, but neither was provided';
    out.push(field.required(`${path}.limits`, text));
  }
  for (const name of names) validateBounds(item, name, path, out);
}

/** The values of one resource must be in order: min, default request, default limit, max. */
function validateBounds(item: LimitRangeItem, name: string, path: string, out: Errors): void {
  const of = (list: (typeof LISTS)[number]) => {
    const text = item.type === 'Pod' && list.startsWith('default') ? undefined : item[list]?.[name];
    return text === undefined ? undefined : parseQuantity(text);
  };
  const [max, min, limit, request, ratio] = LISTS.map(of);
  type Value = typeof max;
  const order = (low: Value, high: Value, at: string, shown: Value, text: (l: Value, h: Value) => string) => {
    if (low && high && low.compare(high) > 0) {
      out.push(field.invalid(`${path}.${at}[${name}]`, String(shown), text(low, high)));
    }
  };
  order(min, max, 'min', min, (l, h) => `min value ${l} is greater than max value ${h}`);
  order(min, request, 'defaultRequest', request, (l, h) => `min value ${l} is greater than default request value ${h}`);
  order(request, max, 'defaultRequest', request, (l, h) => `default request value ${l} is greater than max value ${h}`);
  order(
    request,
    limit,
    'defaultRequest',
    request,
    (l, h) => `default request value ${l} is greater than default limit value ${h}`,
  );
  order(min, limit, 'default', min, (l, h) => `min value ${l} is greater than default value ${h}`);
  order(limit, max, 'default', max, (l, h) => `default value ${l} is greater than max value ${h}`);
  if (ratio && ratio.toNumber() < 1) {
    out.push(field.invalid(`${path}.maxLimitRequestRatio[${name}]`, String(ratio), `ratio ${ratio} is less than 1`));
  }
  if (ratio && min && max && ratio.toNumber() > max.toNumber() / min.toNumber()) {
    const text = `ratio ${ratio} is greater than max/min = ${(max.toNumber() / min.toNumber()).toFixed(6)}`;
    out.push(field.invalid(`${path}.maxLimitRequestRatio[${name}]`, String(ratio), text));
  }
  if (!isOvercommitAllowed(name) && limit && request && limit.compare(request) !== 0) {
    const text = `default value ${limit} must equal to defaultRequest value ${request} in ${name}`;
    out.push(field.invalid(`${path}.defaultRequest[${name}]`, String(request), text));
  }
}
