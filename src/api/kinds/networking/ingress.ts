// Ingress: networking.k8s.io/v1.

import { field } from '../../errors.ts';
import type { TypedLocalObjectReference } from '../../generated/core-v1.ts';
import type {
  HTTPIngressPath,
  Ingress as IngressObject,
  IngressBackend,
  IngressRule,
  IngressTLS,
} from '../../generated/networking-v1.ts';
import { defineKind } from '../../kind.ts';
import { type Errors, missing, optionalName, requiredName } from '../../validate/checks.ts';
import { parseIp, validateIp } from '../../validate/ip.ts';
import {
  addFaults,
  dns1123Label,
  dns1123Subdomain,
  pathSegment,
  portName,
  portNumber,
  wildcardSubdomain,
} from '../../validate/names.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { AGE, ageOf, NAME, NONE, text } from '../columns.ts';

export type Ingress = IngressObject;

const CLASS = 'kubernetes.io/ingress.class';
const NOT_IP = 'must be a DNS name, not an IP address';
const SHOWN_HOSTS = 3;

export const Ingress = defineKind<IngressObject>({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'Ingress',
  plural: 'ingresses',
  singular: 'ingress',
  namespaced: true,
  shortNames: ['ing'],
  createOnUpdate: true,
  generation: true,

  prepareForCreate(ingress) {
    ingress.status = { loadBalancer: {} };
  },
  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    const rules = spec.rules ?? [];
    if (!rules.length && !spec.defaultBackend) {
      out.push(field.invalid('spec', rules, 'either `defaultBackend` or `rules` must be specified'));
    }
    if (spec.defaultBackend) validateBackend(spec.defaultBackend, 'spec.defaultBackend', out);
    rules.forEach((rule, i) => validateRule(rule, `spec.rules[${i}]`, out));
    spec.tls?.forEach((tls, i) => validateTls(tls, `spec.tls[${i}]`, out));
    const cls = spec.ingressClassName;
    if (cls !== undefined) addFaults(dns1123Subdomain(cls), 'spec.ingressClassName', cls, out);
    const annotated = metadata.annotations?.[CLASS];
    if (!metadata.resourceVersion && annotated !== undefined && cls !== undefined && annotated !== cls) {
      const text = 'must match `ingressClassName` when both are specified';
      out.push(field.invalid(`annotations.${CLASS}`, annotated, text));
    }
    return out;
  },
  warnings({ metadata }, old) {
    return !old && metadata.annotations?.[CLASS] !== undefined
      ? [`annotation ${JSON.stringify(CLASS)} is deprecated, please use 'spec.ingressClassName' instead`]
      : [];
  },
  status: {
    validateUpdate({ status }) {
      const out: Errors = [];
      status?.loadBalancer?.ingress?.forEach((entry, i) => {
        const at = `status.loadBalancer.ingress[${i}]`;
        if (!missing(entry.ip)) validateIp(entry.ip, `${at}.ip`, out);
        optionalName(entry.hostname, dns1123Subdomain, `${at}.hostname`, out);
        if (entry.hostname && parseIp(entry.hostname)) {
          out.push(field.invalid(`${at}.hostname`, entry.hostname, NOT_IP));
        }
      });
      return out;
    },
  },

  columns: [
    NAME,
    text('Class', 'The name of the IngressClass resource that should be used for additional configuration'),
    text('Hosts', 'Hosts that incoming requests are matched against before the ingress rule'),
    text('Address', 'Address is a list containing ingress points for the load-balancer'),
    text('Ports', 'Ports of TLS configurations that open'),
    AGE,
  ],
  row(ingress, now) {
    const { metadata, spec, status } = ingress;
    const addresses = status?.loadBalancer?.ingress?.map((e) => e.ip || e.hostname || '').filter(Boolean) ?? [];
    return [
      metadata.name,
      spec.ingressClassName ?? metadata.annotations?.[CLASS] ?? NONE,
      hostsText(spec.rules),
      [...new Set(addresses)].sort().join(','),
      spec.tls?.length ? '80, 443' : '80',
      ageOf(ingress, now),
    ];
  },
});

function hostsText(rules: readonly IngressRule[] | undefined): string {
  const hosts = rules?.map((rule) => rule.host).filter((host): host is string => !missing(host)) ?? [];
  if (!hosts.length) return '*';
  const shown = hosts.slice(0, SHOWN_HOSTS).join(',');
  return hosts.length > SHOWN_HOSTS ? `${shown} + ${hosts.length - SHOWN_HOSTS} more...` : shown;
}

function validateHost(host: string, path: string, out: Errors): void {
  addFaults(host.includes('*') ? wildcardSubdomain(host) : dns1123Subdomain(host), path, host, out);
}

function validateRule({ host, http }: IngressRule, path: string, out: Errors): void {
  if (!missing(host)) {
    if (parseIp(host)) out.push(field.invalid(`${path}.host`, host, NOT_IP));
    validateHost(host, `${path}.host`, out);
  }
  if (!http) return;
  if (!http.paths?.length) out.push(field.required(`${path}.http.paths`));
  http.paths?.forEach((p, i) => validatePath(p, `${path}.http.paths[${i}]`, out));
}

function validatePath({ path = '', pathType, backend }: HTTPIngressPath, at: string, out: Errors): void {
  if (missing(pathType)) return void out.push(field.required(`${at}.pathType`, 'pathType must be specified'));
  const invalid = (detail: string) => out.push(field.invalid(`${at}.path`, path, detail));
  const exact = pathType === 'Exact' || pathType === 'Prefix';
  if (!exact && pathType !== 'ImplementationSpecific') {
    const types = ['Exact', 'ImplementationSpecific', 'Prefix'];
    out.push(field.notSupported(`${at}.pathType`, pathType, types));
  } else if ((exact || path !== '') && !path.startsWith('/')) {
    invalid('must be an absolute path');
  }
  if (exact) {
    for (const part of ['//', '/./', '/../', '%2f', '%2F'])
      if (path.includes(part)) invalid(`must not contain '${part}'`);
    for (const end of ['/..', '/.']) if (path.endsWith(end)) invalid(`cannot end with '${end}'`);
  }
  validateBackend(backend, `${at}.backend`, out);
}

function validateBackend({ resource, service }: IngressBackend, path: string, out: Errors): void {
  if (resource && service) {
    out.push(field.invalid(path, '', 'cannot set both resource and service backends'));
  } else if (resource) {
    validateReference(resource, `${path}.resource`, out);
  } else if (!service) {
    out.push(field.invalid(path, '', 'resource or service backend is required'));
  } else {
    requiredName(service.name, dns1123Label, `${path}.service.name`, out);
    const { name, number } = service.port ?? {};
    const at = `${path}.service.port`;
    if (!missing(name) && number) out.push(field.invalid(path, '', 'cannot set both port name & port number'));
    else if (!missing(name)) addFaults(portName(name), `${at}.name`, name, out);
    else if (number) addFaults(portNumber(number), `${at}.number`, number, out);
    else out.push(field.required(path, 'port name or number is required'));
  }
}

/** A reference by kind and name, also of class parameters. */
export function validateReference(ref: TypedLocalObjectReference, path: string, out: Errors): void {
  if (ref.apiGroup !== undefined) addFaults(dns1123Subdomain(ref.apiGroup), `${path}.apiGroup`, ref.apiGroup, out);
  requiredName(ref.kind, pathSegment, `${path}.kind`, out);
  requiredName(ref.name, pathSegment, `${path}.name`, out);
}

function validateTls(tls: IngressTLS, path: string, out: Errors): void {
  tls.hosts?.forEach((host, i) => validateHost(host, `${path}.hosts[${i}]`, out));
  optionalName(tls.secretName, dns1123Subdomain, `${path}.secretName`, out);
}
