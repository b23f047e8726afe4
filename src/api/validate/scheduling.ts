// What a pod says about where it wants to run: affinity, tolerations, topology spread.

import { field } from '../errors.ts';
import type {
  Affinity,
  NodeSelector,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  PodAffinity,
  PodAffinityTerm,
  Toleration,
  TopologySpreadConstraint,
} from '../generated/core-v1.ts';
import type { LabelSelector } from '../object.ts';
import { type Errors, missing, optionalOneOf } from './checks.ts';
import { addFaults, dns1123Label, dns1123Subdomain, labelValue } from './names.ts';
import { validateLabelName, validateLabelSelector } from './object-meta.ts';

export const TAINT_EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];
const NOT_OPERATOR = 'not a valid selector operator';

function validateRequirement(r: NodeSelectorRequirement, lax: boolean, path: string, out: Errors): void {
  const count = r.values?.length ?? 0;
  const at = `${path}.values`;
  if (r.operator === 'In' || r.operator === 'NotIn') {
    if (!count) out.push(field.required(at, "must be specified when `operator` is 'In' or 'NotIn'"));
  } else if (r.operator === 'Exists' || r.operator === 'DoesNotExist') {
    if (count) out.push(field.forbidden(at, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
  } else if (r.operator === 'Gt' || r.operator === 'Lt') {
    if (count !== 1) out.push(field.required(at, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
  } else {
    out.push(field.invalid(`${path}.operator`, r.operator ?? '', NOT_OPERATOR));
  }
  validateLabelName(r.key ?? '', `${path}.key`, out);
  if (!lax) r.values?.forEach((v, i) => addFaults(labelValue(v), `${at}[${i}]`, v, out));
}

function validateFieldRequirement(r: NodeSelectorRequirement, path: string, out: Errors): void {
  if (r.operator !== 'In' && r.operator !== 'NotIn') {
    out.push(field.invalid(`${path}.operator`, r.operator ?? '', NOT_OPERATOR));
  } else if (r.values?.length !== 1) {
    const text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
    out.push(field.required(`${path}.values`, text));
  }
  if (r.key !== 'metadata.name') {
    out.push(field.invalid(`${path}.key`, r.key ?? '', 'not a valid field selector key'));
  } else {
    r.values?.forEach((v, i) => addFaults(dns1123Subdomain(v), `${path}.values[${i}]`, v, out));
  }
}

/** `lax`: values need be no label values (preferred terms may name what never matches). */
function validateTerm(term: NodeSelectorTerm, lax: boolean, path: string, out: Errors): void {
  term.matchExpressions?.forEach((r, i) => validateRequirement(r, lax, `${path}.matchExpressions[${i}]`, out));
  term.matchFields?.forEach((r, i) => validateFieldRequirement(r, `${path}.matchFields[${i}]`, out));
}

export function validateNodeSelector(selector: NodeSelector, path: string, out: Errors): void {
  const at = `${path}.nodeSelectorTerms`;
  const terms = selector.nodeSelectorTerms ?? [];
  if (!terms.length) out.push(field.required(at, 'must have at least one node selector term'));
  terms.forEach((term, i) => validateTerm(term, false, `${at}[${i}]`, out));
}

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';

function validateWeight(weight: number, path: string, out: Errors): void {
  if (!(weight > 0 && weight <= 100)) out.push(field.invalid(path, weight, 'must be in the range 1-100'));
}

export function validateAffinity(affinity: Affinity | undefined, path: string, out: Errors): void {
  const node = affinity?.nodeAffinity;
  const at = `${path}.nodeAffinity`;
  if (node?.[REQUIRED]) validateNodeSelector(node[REQUIRED], `${at}.${REQUIRED}`, out);
  node?.[PREFERRED]?.forEach((p, i) => {
    validateWeight(p.weight, `${at}.${PREFERRED}[${i}].weight`, out);
    validateTerm(p.preference, true, `${at}.${PREFERRED}[${i}].preference`, out);
  });
  validatePodAffinity(affinity?.podAffinity, `${path}.podAffinity`, out);
  validatePodAffinity(affinity?.podAntiAffinity, `${path}.podAntiAffinity`, out);
}

function validatePodAffinity(affinity: PodAffinity | undefined, path: string, out: Errors): void {
  affinity?.[REQUIRED]?.forEach((term, i) => validatePodTerm(term, `${path}.${REQUIRED}[${i}]`, out));
  affinity?.[PREFERRED]?.forEach((p, i) => {
    validateWeight(p.weight, `${path}.${PREFERRED}[${i}].weight`, out);
    validatePodTerm(p.podAffinityTerm, `${path}.${PREFERRED}[${i}].podAffinityTerm`, out);
  });
}

function validatePodTerm(term: PodAffinityTerm, path: string, out: Errors): void {
  validateLabelSelector(term.labelSelector, `${path}.labelSelector`, out);
  validateLabelSelector(term.namespaceSelector, `${path}.namespaceSelector`, out);
  for (const name of term.namespaces ?? []) addFaults(dns1123Label(name), `${path}.namespace`, name, out);
  for (const list of ['matchLabelKeys', 'mismatchLabelKeys'] as const) {
    if (!term[list]?.length) continue;
    const at = `${path}.${list}`;
    if (!term.labelSelector) out.push(field.forbidden(at, 'must not be specified when labelSelector is not set'));
    else term[list].forEach((key, i) => validateLabelName(key, `${at}[${i}]`, out));
  }
  validateNotInSelector(term.matchLabelKeys, term.labelSelector, path, out);
  term.matchLabelKeys?.forEach((key, i) => {
    if (term.mismatchLabelKeys?.includes(key)) {
      const text = 'exists in both matchLabelKeys and mismatchLabelKeys';
      out.push(field.invalid(`${path}.matchLabelKeys[${i}]`, key, text));
    }
  });
  if (missing(term.topologyKey)) out.push(field.required(`${path}.topologyKey`, 'can not be empty'));
  validateLabelName(term.topologyKey ?? '', `${path}.topologyKey`, out);
}

export function validateTolerations(tolerations: readonly Toleration[] | undefined, path: string, out: Errors): void {
  tolerations?.forEach((t, i) => {
    const at = `${path}[${i}]`;
    const operator = t.operator ?? '';
    if (!missing(t.key)) validateLabelName(t.key, `${at}.key`, out);
    else if (operator !== 'Exists') {
      const text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"';
      out.push(field.invalid(`${at}.operator`, operator, text));
    }
    if (t.tolerationSeconds !== undefined && t.effect !== 'NoExecute') {
      const text = "effect must be 'NoExecute' when `tolerationSeconds` is set";
      out.push(field.invalid(`${at}.effect`, t.effect ?? '', text));
    }
    validateTolerationValue(operator, t.value ?? '', at, out);
    if (!missing(t.effect) && !TAINT_EFFECTS.includes(t.effect)) {
      out.push(field.notSupported(`${at}.effect`, t.effect, TAINT_EFFECTS));
    }
  });
}

function validateTolerationValue(operator: string, value: string, path: string, out: Errors): void {
  const at = `${path}.operator`;
  if (operator === '' || operator === 'Equal') {
    const faults = labelValue(value);
    if (faults.length) out.push(field.invalid(at, value, faults.join(';')));
  } else if (operator === 'Exists') {
    if (value !== '') out.push(field.invalid(at, value, "value must be empty when `operator` is 'Exists'"));
  } else if (operator === 'Lt' || operator === 'Gt') {
    if (!/^(0|-?[1-9][0-9]*)$/.test(value)) {
      out.push(field.invalid(`${path}.value`, value, 'must be a valid integer in canonical form'));
    }
  } else {
    out.push(field.notSupported(at, operator, ['Equal', 'Exists', 'Gt', 'Lt']));
  }
}

export function validateTopologySpread(
  constraints: readonly TopologySpreadConstraint[] | undefined,
  path: string,
  out: Errors,
): void {
  constraints?.forEach((c, i) => {
    const at = `${path}[${i}]`;
    if (!(c.maxSkew > 0)) out.push(field.invalid(`${at}.maxSkew`, c.maxSkew, 'must be greater than zero'));
    if (missing(c.topologyKey)) out.push(field.required(`${at}.topologyKey`, 'can not be empty'));
    const actions = ['DoNotSchedule', 'ScheduleAnyway'];
    if (!actions.includes(c.whenUnsatisfiable)) {
      out.push(field.notSupported(`${at}.whenUnsatisfiable`, c.whenUnsatisfiable ?? '', actions));
    }
    const later = constraints.slice(i + 1);
    if (later.some((o) => o.topologyKey === c.topologyKey && o.whenUnsatisfiable === c.whenUnsatisfiable)) {
      const pair = `{${c.topologyKey}, ${c.whenUnsatisfiable}}`;
      out.push(field.duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, pair));
    }
    if (c.minDomains !== undefined) {
      const min = `${at}.minDomains`;
      if (c.minDomains <= 0) out.push(field.invalid(min, c.minDomains, 'must be greater than zero'));
      if (c.whenUnsatisfiable !== 'DoNotSchedule') {
        const text = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${c.whenUnsatisfiable}`;
        out.push(field.invalid(min, c.minDomains, text));
      }
    }
    optionalOneOf(c.nodeAffinityPolicy, ['Honor', 'Ignore'], `${at}.nodeAffinityPolicy`, out);
    optionalOneOf(c.nodeTaintsPolicy, ['Honor', 'Ignore'], `${at}.nodeTaintsPolicy`, out);
    validateMatchLabelKeys(c.matchLabelKeys, c.labelSelector, `${at}.matchLabelKeys`, out);
    validateLabelSelector(c.labelSelector, `${at}.labelSelector`, out);
  });
}

function validateMatchLabelKeys(
  keys: readonly string[] | undefined,
  selector: LabelSelector | undefined,
  path: string,
  out: Errors,
): void {
  if (!keys?.length) return;
  if (!selector) out.push(field.forbidden(path, 'must not be specified when labelSelector is not set'));
  keys.forEach((key, i) => validateLabelName(key, `${path}[${i}]`, out));
  validateNotInSelector(keys, selector, path, out);
}

/** A pod's selector already holds a requirement for each key, put there on creation: a second one is the user's. */
function validateNotInSelector(
  keys: readonly string[] | undefined,
  selector: LabelSelector | undefined,
  path: string,
  out: Errors,
): void {
  const used = [...Object.keys(selector?.matchLabels ?? {}), ...(selector?.matchExpressions?.map((e) => e.key) ?? [])];
  keys?.forEach((key, i) => {
    if (used.filter((k) => k === key).length > 1) {
      out.push(field.invalid(`${path}[${i}]`, key, 'exists in both matchLabelKeys and labelSelector'));
    }
  });
}
