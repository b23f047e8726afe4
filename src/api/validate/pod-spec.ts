// The specification of a pod, in a Pod or in a template.

import { field } from '../errors.ts';
import { aggregateContainers } from '../container-resources.ts';
import type { PodDNSConfig, PodSpec, PodTemplateSpec } from '../generated/core-v1.ts';
import type { ObjectMeta } from '../object.ts';
import { parseQuantity, ZERO } from '../quantity.ts';
import { type Errors, inRange, missing, oneOf, optionalName, unique } from './checks.ts';
import {
  validateContainers,
  validateEphemeralContainers,
  validateInitContainers,
  type ContainerScope,
} from './container.ts';
import { validateIp } from './ip.ts';
import { addFaults, dns1123Label, dns1123Subdomain, dns1123SubdomainWithUnderscore, qualifiedName } from './names.ts';
import { validateAnnotations, validateLabels } from './object-meta.ts';
import { validateRequirements } from './resources.ts';
import { validateAffinity, validateTolerations, validateTopologySpread } from './scheduling.ts';
import { validateOs, validatePodSecurityContext } from './security-context.ts';
import { validateVolumes } from './volumes.ts';

export const MAX_INT32 = 2 ** 31 - 1;
export const RESTART_POLICIES = ['Always', 'OnFailure', 'Never'];
export const PREEMPTION_POLICIES = ['PreemptLowerPriority', 'Never'];
const DNS_POLICIES = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];

/** `meta` is the pod's metadata, and undefined for a template. */
export function validatePodSpec(spec: PodSpec, meta: ObjectMeta | undefined, path: string, out: Errors): void {
  if (spec.terminationGracePeriodSeconds === undefined) {
    out.push(field.required(`${path}.terminationGracePeriodSeconds`));
  }
  const volumes = validateVolumes(spec, meta, path, out);
  const scope: ContainerScope = { spec, volumes, isPod: meta !== undefined };
  validateResourceClaims(spec, `${path}.resourceClaims`, out);
  validateContainers(scope, path, out);
  validateInitContainers(scope, path, out);
  validateEphemeralContainers(scope, path, out);
  validatePodResources(spec, `${path}.resources`, out);
  validateHostNetwork(scope, path, out);
  oneOf(spec.restartPolicy, RESTART_POLICIES, `${path}.restartPolicy`, out);
  oneOf(spec.dnsPolicy, DNS_POLICIES, `${path}.dnsPolicy`, out);
  validateLabels(spec.nodeSelector, `${path}.nodeSelector`, out);
  validatePodSecurityContext(spec, path, out);
  validateAffinity(spec.affinity, `${path}.affinity`, out);
  validateDnsConfig(spec.dnsConfig, spec.dnsPolicy, `${path}.dnsConfig`, out);
  validateGates(spec, path, out);
  validateTopologySpread(spec.topologySpreadConstraints, `${path}.topologySpreadConstraints`, out);
  validateHostUsers(spec, path, out);
  validateIdentity(spec, path, out);
  validateTolerations(spec.tolerations, `${path}.tolerations`, out);
  spec.hostAliases?.forEach((alias, i) => {
    validateIp(alias.ip ?? '', `${path}.hostAliases[${i}].ip`, out);
    alias.hostnames?.forEach((name, n) =>
      addFaults(dns1123Subdomain(name), `${path}.hostAliases[${i}].hostnames[${n}]`, name, out),
    );
  });
  optionalName(spec.priorityClassName, dns1123Subdomain, `${path}.priorityClassName`, out);
  if (spec.runtimeClassName !== undefined) {
    addFaults(dns1123Subdomain(spec.runtimeClassName), `${path}.runtimeClassName`, spec.runtimeClassName, out);
  }
  if (spec.preemptionPolicy !== undefined) {
    oneOf(spec.preemptionPolicy, PREEMPTION_POLICIES, `${path}.preemptionPolicy`, out);
  }
  if (spec.overhead) validateRequirements({ limits: spec.overhead }, { claims: [] }, `${path}.overhead`, out);
  validateOs(spec, path, out);
}

/** Who and where the pod is. */
function validateIdentity(spec: PodSpec, path: string, out: Errors): void {
  optionalName(spec.serviceAccountName, dns1123Subdomain, `${path}.serviceAccountName`, out);
  optionalName(spec.nodeName, dns1123Subdomain, `${path}.nodeName`, out);
  if (spec.activeDeadlineSeconds !== undefined) {
    inRange(spec.activeDeadlineSeconds, 1, MAX_INT32, `${path}.activeDeadlineSeconds`, out);
  }
  optionalName(spec.hostname, dns1123Label, `${path}.hostname`, out);
  optionalName(spec.subdomain, dns1123Label, `${path}.subdomain`, out);
  const override = spec.hostnameOverride;
  if (override === undefined) return;
  const at = `${path}.hostnameOverride`;
  addFaults(dns1123Subdomain(override), at, override, out);
  if (override.length > 64) out.push(field.tooLong(at, 64));
  if (spec.hostNetwork) out.push(field.forbidden(at, 'may not be specified when hostNetwork is true'));
  if (spec.setHostnameAsFQDN) out.push(field.forbidden(at, 'may not be specified when setHostnameAsFQDN is true'));
}

function validateResourceClaims(spec: PodSpec, path: string, out: Errors): void {
  spec.resourceClaims?.forEach((claim, i) => {
    const at = `${path}[${i}]`;
    if (missing(claim.name)) out.push(field.required(`${at}.name`));
    else addFaults(dns1123Label(claim.name), `${at}.name`, claim.name, out);
    const both = claim.resourceClaimName !== undefined && claim.resourceClaimTemplateName !== undefined;
    const none = claim.resourceClaimName === undefined && claim.resourceClaimTemplateName === undefined;
    if (both) {
      const text = 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified';
      out.push(field.invalid(at, claim, text));
    }
    if (none) {
      out.push(field.invalid(at, claim, 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`'));
    }
    for (const key of ['resourceClaimName', 'resourceClaimTemplateName'] as const) {
      if (claim[key] !== undefined) addFaults(dns1123Subdomain(claim[key]), `${at}.${key}`, claim[key], out);
    }
  });
  unique(spec.resourceClaims?.map((c) => c.name ?? '') ?? [], (i) => `${path}[${i}].name`, out);
}

/** Resources of the pod as a whole: its containers must fit in. */
function validatePodResources(spec: PodSpec, path: string, out: Errors): void {
  const own = spec.resources;
  if (!own) return;
  if (own.claims) out.push(field.forbidden(`${path}.claims`, 'claims cannot be set for Resources at pod-level'));
  validateRequirements({ ...own, claims: [] }, { podLevel: true, claims: [] }, path, out);
  const needed = aggregateContainers(spec, 'requests');
  for (const name in needed) {
    const text = own.requests?.[name];
    const request = text === undefined ? ZERO : parseQuantity(text);
    if (needed[name]!.compare(request) > 0) {
      const why = `must be greater than or equal to aggregate container requests of ${needed[name]}`;
      out.push(field.invalid(`${path}.requests[${name}]`, request.toString(), why));
    }
  }
  spec.containers?.forEach((c, i) => {
    for (const name in c.resources?.limits) {
      const limit = own.limits?.[name];
      const mine = parseQuantity(c.resources.limits[name]!);
      if (limit !== undefined && mine.compare(parseQuantity(limit)) > 0) {
        const why = `must be less than or equal to pod limits of ${parseQuantity(limit)}`;
        out.push(field.invalid(`${path}.containers[${i}][${name}].limits`, mine.toString(), why));
      }
    }
  });
}

/** On the node's network a container's port is the node's; templates may leave that to the pod's defaults. */
function validateHostNetwork({ spec, isPod }: ContainerScope, path: string, out: Errors): void {
  if (!spec.hostNetwork) return;
  spec.containers?.forEach((c, i) =>
    c.ports?.forEach((p, n) => {
      const host = p.hostPort ?? 0;
      if ((isPod || host !== 0) && host !== p.containerPort) {
        const text = 'must match `containerPort` when `hostNetwork` is true';
        out.push(field.invalid(`${path}.containers[${i}].ports[${n}].hostPort`, host, text));
      }
    }),
  );
}

function validateGates(spec: PodSpec, path: string, out: Errors): void {
  spec.readinessGates?.forEach((gate, i) => {
    const at = `${path}.readinessGates[${i}].conditionType`;
    addFaults(qualifiedName(gate.conditionType ?? ''), at, gate.conditionType ?? '', out);
  });
  spec.schedulingGates?.forEach((gate, i) =>
    addFaults(qualifiedName(gate.name ?? ''), `${path}.schedulingGates[${i}]`, gate.name ?? '', out),
  );
  unique(spec.schedulingGates?.map((g) => g.name ?? '') ?? [], (i) => `${path}.schedulingGates[${i}]`, out);
}

function validateHostUsers(spec: PodSpec, path: string, out: Errors): void {
  if (spec.hostUsers !== false) return;
  const text = 'when `pod.Spec.HostUsers` is false';
  if (spec.hostNetwork) out.push(field.forbidden(`${path}.hostNetwork`, text));
  if (spec.hostPID) out.push(field.forbidden(`${path}.HostPID`, text));
  if (spec.hostIPC) out.push(field.forbidden(`${path}.HostIPC`, text));
}

function validateDnsConfig(
  config: PodDNSConfig | undefined,
  policy: string | undefined,
  path: string,
  out: Errors,
): void {
  if (policy === 'None') {
    if (!config) return void out.push(field.required(path, 'must provide `dnsConfig` when `dnsPolicy` is None'));
    if (!config.nameservers?.length) {
      const text = 'must provide at least one DNS nameserver when `dnsPolicy` is None';
      return void out.push(field.required(`${path}.nameservers`, text));
    }
  }
  if (!config) return;
  const servers = config.nameservers ?? [];
  const searches = config.searches ?? [];
  if (servers.length > 3) {
    out.push(field.invalid(`${path}.nameservers`, servers, 'must not have more than 3 nameservers'));
  }
  servers.forEach((ip, i) => validateIp(ip, `${path}.nameservers[${i}]`, out));
  if (searches.length > 32) {
    out.push(field.invalid(`${path}.searches`, searches, 'must not have more than 32 search paths'));
  }
  if (searches.join(' ').length > 2048) {
    const text = 'must not have more than 2048 characters (including spaces) in the search list';
    out.push(field.invalid(`${path}.searches`, searches, text));
  }
  searches.forEach((search, i) => {
    const name = search.replace(/\.$/, '');
    if (search !== '.') addFaults(dns1123SubdomainWithUnderscore(name), `${path}.searches[${i}]`, name, out);
  });
  config.options?.forEach((option, i) => {
    if (missing(option.name)) out.push(field.required(`${path}.options[${i}]`, 'must not be empty'));
  });
}

/** Annotations that mean something to pods. */
export function validatePodAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  spec: PodSpec,
  path: string,
  out: Errors,
): void {
  const mirror = annotations?.[MIRROR_ANNOTATION];
  if (mirror !== undefined && missing(spec.nodeName)) {
    const text = 'must set spec.nodeName if mirror pod annotation is set';
    out.push(field.invalid(`${path}[${MIRROR_ANNOTATION}]`, mirror, text));
  }
  const cost = annotations?.[DELETION_COST];
  if (cost !== undefined && !isInt32(cost)) {
    out.push(field.invalid(`${path}[${DELETION_COST}]`, cost, 'must be a 32bit integer'));
  }
}
export const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';
const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';
const isInt32 = (text: string) =>
  /^(0|-?[1-9][0-9]*)$/.test(text) && Number(text) >= -(2 ** 31) && Number(text) <= MAX_INT32;

export function validatePodTemplate(template: PodTemplateSpec, path: string, out: Errors): void {
  const { metadata, spec } = template;
  validateLabels(metadata?.labels, `${path}.labels`, out);
  validateAnnotations(metadata?.annotations, `${path}.annotations`, out);
  if (!spec) return void out.push(field.required(`${path}.spec.containers`));
  validatePodAnnotations(metadata?.annotations, spec, `${path}.annotations`, out);
  validatePodSpec(spec, undefined, `${path}.spec`, out);
  if (spec.ephemeralContainers?.length) {
    out.push(field.forbidden(`${path}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'));
  }
}
