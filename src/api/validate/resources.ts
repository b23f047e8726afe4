// Resource names, quantities and requirements.

import { field } from '../errors.ts';
import type { ResourceRequirements } from '../generated/core-v1.ts';
import { isHugePages, isNativeResource, isOvercommitAllowed, isPodLevelResource } from '../container-resources.ts';
import { parseQuantity } from '../quantity.ts';
import { type Errors, missing } from './checks.ts';
import { addFaults, dns1123Label, qualifiedName } from './names.ts';
import { NOT_NEGATIVE } from './object-meta.ts';

const CONTAINER_RESOURCES = ['cpu', 'memory', 'ephemeral-storage'];
/** Counted in whole units. */
const INTEGER_RESOURCES = [
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
];
/** Unprefixed names that mean something somewhere. */
const STANDARD_RESOURCES = [
  ...CONTAINER_RESOURCES,
  ...CONTAINER_RESOURCES.map((r) => `requests.${r}`),
  ...CONTAINER_RESOURCES.map((r) => `limits.${r}`),
  ...INTEGER_RESOURCES,
  'storage',
  'requests.storage',
];

/** A resource of a device plugin and the like: `example.com/gpu`. */
export const isExtendedResource = (name: string): boolean =>
  !isNativeResource(name) && !name.startsWith('requests.') && qualifiedName(`requests.${name}`).length === 0;

/** True when the name is fine. */
export function validateResourceName(name: string, path: string, out: Errors): boolean {
  const faults = qualifiedName(name);
  addFaults(faults, path, name, out);
  if (faults.length) return false;
  const huge = isHugePages(name) || name.startsWith('requests.hugepages-');
  if (name.includes('/') || STANDARD_RESOURCES.includes(name) || huge) return true;
  out.push(field.invalid(path, name, 'must be a standard resource type or fully qualified'));
  return false;
}

export function validateContainerResourceName(name: string, path: string, out: Errors): void {
  validateResourceName(name, path, out);
  if (!name.includes('/')) {
    if (!CONTAINER_RESOURCES.includes(name) && !isHugePages(name)) {
      out.push(field.invalid(path, name, 'must be a standard resource for containers'));
    }
  } else if (!isNativeResource(name) && !isExtendedResource(name)) {
    out.push(field.invalid(path, name, "doesn't follow extended resource name standard"));
  }
}

function validatePodResourceName(name: string, path: string, out: Errors): void {
  if (validateResourceName(name, path, out) && !isPodLevelResource(name)) {
    out.push(field.notSupported(path, name, ['cpu', 'hugepages-', 'memory']));
  }
}

export function validateResourceQuantity(name: string, text: string, path: string, out: Errors): void {
  const quantity = parseQuantity(text);
  if (quantity.sign < 0) out.push(field.invalid(path, quantity.toString(), NOT_NEGATIVE));
  if ((INTEGER_RESOURCES.includes(name) || isExtendedResource(name)) && quantity.milliValue % 1000 !== 0) {
    out.push(field.invalid(path, quantity.toString(), 'must be an integer'));
  }
}

/** `hugepages-2Mi` comes in multiples of 2Mi. */
function validateHugePages(name: string, text: string, path: string, out: Errors): void {
  if (!isHugePages(name)) return;
  const quantity = parseQuantity(text);
  let page: bigint | undefined;
  try {
    page = parseQuantity(name.slice('hugepages-'.length)).nano;
  } catch {
    page = undefined; // No size at all: nothing is a multiple of it.
  }
  if (page === undefined || page <= 0n || quantity.nano % page !== 0n) {
    out.push(field.invalid(path, quantity.toString(), `${quantity} is not positive integer multiple of ${name}`));
  }
}

export interface RequirementRules {
  /** `spec.resources` of a pod: fewer names. */
  readonly podLevel?: boolean;
  /** The names in `spec.resourceClaims`. */
  readonly claims: readonly string[];
}

export function validateRequirements(
  r: ResourceRequirements | undefined,
  rules: RequirementRules,
  path: string,
  out: Errors,
): void {
  if (!r) return;
  const validateName = rules.podLevel ? validatePodResourceName : validateContainerResourceName;
  for (const name in r.limits) {
    const at = `${path}.limits[${name}]`;
    validateName(name, at, out);
    validateResourceQuantity(name, r.limits[name]!, at, out);
    validateHugePages(name, r.limits[name]!, at, out);
  }
  for (const name in r.requests) {
    const at = `${path}.requests[${name}]`;
    validateName(name, at, out);
    validateResourceQuantity(name, r.requests[name]!, at, out);
    validateAgainstLimit(name, r, path, out);
    validateHugePages(name, r.requests[name]!, at, out);
  }
  const names = [...Object.keys(r.limits ?? {}), ...Object.keys(r.requests ?? {})];
  if (names.some(isHugePages) && !names.includes('cpu') && !names.includes('memory')) {
    out.push(field.forbidden(path, 'HugePages require cpu or memory'));
  }
  validateClaims(r, rules.claims, `${path}.claims`, out);
}

function validateAgainstLimit(name: string, r: ResourceRequirements, path: string, out: Errors): void {
  const request = parseQuantity(r.requests![name]!);
  const limitText = r.limits?.[name];
  if (limitText === undefined) {
    if (!isOvercommitAllowed(name)) {
      out.push(field.required(`${path}.limits`, 'Limit must be set for non overcommitable resources'));
    }
    return;
  }
  const limit = parseQuantity(limitText);
  const order = request.compare(limit);
  if (order !== 0 && !isOvercommitAllowed(name)) {
    out.push(field.invalid(`${path}.requests`, request.toString(), `must be equal to ${name} limit of ${limit}`));
  } else if (order > 0) {
    const text = `must be less than or equal to ${name} limit of ${limit}`;
    out.push(field.invalid(`${path}.requests`, request.toString(), text));
  }
}

function validateClaims(r: ResourceRequirements, known: readonly string[], path: string, out: Errors): void {
  const seen = new Set<string>();
  r.claims?.forEach((claim, i) => {
    const at = `${path}[${i}]`;
    if (missing(claim.name)) {
      out.push(field.required(at));
      return;
    }
    const key = claim.request ? `${claim.name}/${claim.request}` : claim.name;
    if (claim.request) addFaults(dns1123Label(claim.request), `${at}.request`, claim.request, out);
    const overlaps = !claim.request && [...seen].some((k) => k.startsWith(`${claim.name}/`));
    if (seen.has(claim.name) || seen.has(key) || overlaps) out.push(field.duplicate(at, key));
    seen.add(key);
    if (!known.includes(claim.name)) {
      const list = known.length ? `: ${[...known].sort().join(', ')}` : ' which is empty';
      out.push({
        ...field.notFound(at, claim.name),
        detail: `must be one of the names in pod.spec.resourceClaims${list}`,
      });
    }
  });
}
