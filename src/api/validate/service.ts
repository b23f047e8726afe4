// Validation of Services.

import { field } from '../errors.ts';
import type { LoadBalancerStatus, Service, ServicePort, ServiceSpec } from '../generated/core-v1.ts';
import { isExternallyAccessible, isHeadless, needsHealthCheckPort } from '../service-fields.ts';
import { type Errors, missing, oneOf, optionalOneOf } from './checks.ts';
import { PROTOCOLS } from './container.ts';
import { isIpv6, parseIp, validateCidr, validateIp, validateNonSpecialIp } from './ip.ts';
import { addFaults, dns1123Label, dns1123Subdomain, portNumber, qualifiedName } from './names.ts';
import { IMMUTABLE, validateFinalizerNames, validateLabels } from './object-meta.ts';
import { validatePort } from './probes.ts';

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const POLICIES = ['Cluster', 'Local'];
const FAMILIES = ['IPv4', 'IPv6'];
const FAMILY_POLICIES = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];
const DISTRIBUTIONS = ['PreferClose', 'PreferSameZone', 'PreferSameNode'];
const MAX_AFFINITY_SECONDS = 86400;
const SOURCE_RANGES = 'service.beta.kubernetes.io/load-balancer-source-ranges';
const ONLY_BALANCER = "may only be used when `type` is 'LoadBalancer'";

export function validateService(service: Service): Errors {
  const out: Errors = [];
  const { spec } = service;
  validateFinalizerNames(service.metadata.finalizers, 'metadata.finalizers', out);
  const headless = isHeadless(spec);
  if (!spec.ports?.length && !headless && spec.type !== 'ExternalName') out.push(field.required('spec.ports'));
  if (headless && (spec.type === 'LoadBalancer' || spec.type === 'NodePort')) {
    out.push(field.invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`));
  }
  if (spec.type === 'ExternalName') validateExternalName(spec, out);
  validatePorts(spec, out);
  validateLabels(spec.selector, 'spec.selector', out);
  validateAffinity(spec, out);
  if (spec.type !== 'ExternalName') validateClusterIps(spec, out);
  spec.externalIPs?.forEach((ip, i) => {
    if (validateIp(ip, `spec.externalIPs[${i}]`, out)) validateNonSpecialIp(ip, `spec.externalIPs[${i}]`, out);
  });
  oneOf(spec.type, TYPES, 'spec.type', out);
  validateBalancer(service, out);
  validateTraffic(spec, out);
  return out;
}

function validateExternalName(spec: ServiceSpec, out: Errors): void {
  const text = 'may not be set for ExternalName services';
  if (spec.clusterIPs?.length) out.push(field.forbidden('spec.clusterIPs', text));
  if (spec.ipFamilies?.length) out.push(field.forbidden('spec.ipFamilies', text));
  if (spec.ipFamilyPolicy !== undefined) out.push(field.forbidden('spec.ipFamilyPolicy', text));
  const name = (spec.externalName ?? '').replace(/\.$/, '');
  if (name === '') out.push(field.required('spec.externalName'));
  else addFaults(dns1123Subdomain(name), 'spec.externalName', name, out);
}

function validatePorts(spec: ServiceSpec, out: Errors): void {
  const names = new Set<string>();
  const ports = spec.ports ?? [];
  ports.forEach((p, i) => validatePortOf(p, ports.length > 1, names, `spec.ports[${i}]`, out));
  const nodePorts = new Set<string>();
  const numbers = new Set<string>();
  ports.forEach((p, i) => {
    const at = `spec.ports[${i}]`;
    if (p.nodePort && spec.type === 'ClusterIP') {
      out.push(field.forbidden(`${at}.nodePort`, "may not be used when `type` is 'ClusterIP'"));
    }
    const node = `${p.protocol}/${p.nodePort}`;
    if (p.nodePort && nodePorts.has(node)) out.push(field.duplicate(`${at}.nodePort`, p.nodePort));
    nodePorts.add(node);
  });
  ports.forEach((p, i) => {
    const key = `${p.protocol}/${p.port}`;
    if (numbers.has(key)) out.push(field.duplicate(`spec.ports[${i}]`, { port: p.port, protocol: p.protocol }));
    numbers.add(key);
  });
}

function validatePortOf(p: ServicePort, named: boolean, names: Set<string>, at: string, out: Errors): void {
  if (missing(p.name)) {
    if (named) out.push(field.required(`${at}.name`));
  } else {
    addFaults(dns1123Label(p.name), `${at}.name`, p.name, out);
    if (names.has(p.name)) out.push(field.duplicate(`${at}.name`, p.name));
    names.add(p.name);
  }
  addFaults(portNumber(p.port), `${at}.port`, p.port, out);
  oneOf(p.protocol, PROTOCOLS, `${at}.protocol`, out);
  validatePort(p.targetPort, `${at}.targetPort`, out);
  if (p.appProtocol !== undefined) addFaults(qualifiedName(p.appProtocol), `${at}.appProtocol`, p.appProtocol, out);
}

function validateAffinity(spec: ServiceSpec, out: Errors): void {
  oneOf(spec.sessionAffinity, ['ClientIP', 'None'], 'spec.sessionAffinity', out);
  const path = 'spec.sessionAffinityConfig';
  const config = spec.sessionAffinityConfig;
  if (spec.sessionAffinity === 'ClientIP') {
    const text = 'when session affinity type is ClientIP';
    const seconds = config?.clientIP?.timeoutSeconds;
    if (!config) out.push(field.required(path, text));
    else if (!config.clientIP) out.push(field.required(`${path}.clientIP`, text));
    else if (seconds === undefined) out.push(field.required(`${path}.clientIP.timeoutSeconds`, text));
    else if (seconds <= 0 || seconds > MAX_AFFINITY_SECONDS) {
      const range = `must be greater than 0 and less than ${MAX_AFFINITY_SECONDS}`;
      out.push(field.invalid(`${path}.clientIP.timeoutSeconds`, seconds, range));
    }
  } else if (spec.sessionAffinity === 'None' && config) {
    out.push(field.forbidden(path, 'must not be set when session affinity is None'));
  }
}

function validateClusterIps(spec: ServiceSpec, out: Errors): void {
  const path = 'spec.clusterIPs';
  const ips = spec.clusterIPs ?? [];
  const families = spec.ipFamilies ?? [];
  if (!missing(spec.clusterIP)) {
    if (!ips.length) out.push(field.required(path));
    else if (ips[0] !== spec.clusterIP) out.push(field.invalid(path, ips, 'first value must match `clusterIP`'));
  } else if (ips.length) {
    out.push(field.invalid(path, ips, 'must be empty when `clusterIP` is not specified'));
  }
  families.forEach((family, i) => {
    if (!FAMILIES.includes(family)) out.push(field.notSupported(`spec.ipFamilies[${i}]`, family, FAMILIES));
    if (families.indexOf(family) < i) out.push(field.duplicate(`spec.ipFamilies[${i}]`, family));
  });
  optionalOneOf(spec.ipFamilyPolicy, FAMILY_POLICIES, 'spec.ipFamilyPolicy', out);
  let valid = true;
  ips.forEach((ip, i) => {
    if (i === 0 && ip === 'None') {
      if (ips.length === 1) return;
      valid = false;
      out.push(field.invalid(path, ips, "'None' must be the first and only value"));
    } else if (!validateIp(ip, `${path}[${i}]`, out)) {
      valid = false;
    }
  });
  if (ips.length > 2) out.push(field.invalid(path, ips, 'may only hold up to 2 values'));
  if (!valid) return;
  if (ips.length > 1 && !(ips.some(isIpv6) && !ips.every(isIpv6))) {
    out.push(field.invalid(path, ips, 'may specify no more than one IP for each IP family'));
  }
  if (isHeadless(spec)) return;
  ips.slice(0, families.length).forEach((ip, i) => {
    if ((families[i] === 'IPv6') !== isIpv6(ip)) {
      const text = `expected an ${families[i]} value as indicated by \`ipFamilies[${i}]\``;
      out.push(field.invalid(`${path}[${i}]`, ip, text));
    }
  });
}

function validateBalancer(service: Service, out: Errors): void {
  const { spec } = service;
  const balancer = spec.type === 'LoadBalancer';
  const annotated = service.metadata.annotations?.[SOURCE_RANGES];
  if (spec.loadBalancerSourceRanges?.length) {
    const path = 'spec.LoadBalancerSourceRanges';
    if (!balancer) out.push(field.forbidden(path, ONLY_BALANCER));
    spec.loadBalancerSourceRanges.forEach((cidr, i) => validateCidr(cidr.trim(), `${path}[${i}]`, out));
  } else if (annotated !== undefined) {
    const path = `metadata.annotations[${SOURCE_RANGES}]`;
    if (!balancer) out.push(field.forbidden(path, ONLY_BALANCER));
    if (annotated.trim()) for (const cidr of annotated.split(',')) validateCidr(cidr.trim(), path, out);
  }
  if (spec.allocateLoadBalancerNodePorts !== undefined && !balancer) {
    out.push(field.forbidden('spec.allocateLoadBalancerNodePorts', ONLY_BALANCER));
  }
  if (balancer && spec.allocateLoadBalancerNodePorts === undefined) {
    out.push(field.required('allocateLoadBalancerNodePorts'));
  }
  const cls = spec.loadBalancerClass;
  if (cls === undefined) return;
  if (balancer) addFaults(qualifiedName(cls), 'spec.loadBalancerClass', cls, out);
  else out.push(field.forbidden('spec.loadBalancerClass', ONLY_BALANCER));
}

function validateTraffic(spec: ServiceSpec, out: Errors): void {
  const external = 'spec.externalTrafficPolicy';
  if (isExternallyAccessible(spec)) oneOf(spec.externalTrafficPolicy, POLICIES, external, out);
  else if (!missing(spec.externalTrafficPolicy)) {
    const text = 'may only be set for externally-accessible services';
    out.push(field.invalid(external, spec.externalTrafficPolicy, text));
  }
  const health = 'spec.healthCheckNodePort';
  const port = spec.healthCheckNodePort ?? 0;
  if (!needsHealthCheckPort(spec)) {
    if (port !== 0) {
      const text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
      out.push(field.invalid(health, port, text));
    }
  } else if (port === 0) out.push(field.required(health));
  else addFaults(portNumber(port), health, port, out);
  if (spec.type !== 'ExternalName') oneOf(spec.internalTrafficPolicy, POLICIES, 'spec.internalTrafficPolicy', out);
  else optionalOneOf(spec.internalTrafficPolicy, POLICIES, 'spec.internalTrafficPolicy', out);
  optionalOneOf(spec.trafficDistribution, DISTRIBUTIONS, 'spec.trafficDistribution', out);
}

export function validateServiceUpdate(service: Service, old: Service): Errors {
  const out: Errors = [];
  const { spec } = service;
  const before = old.spec;
  const external = spec.type === 'ExternalName' || before.type === 'ExternalName';
  if (!external) {
    const [now, then] = [isHeadless(spec), isHeadless(before)];
    if (!(now && then)) validateListChange('clusterIPs', 'clusterIP', spec, before, out);
    if (!now && !then) validateListChange('ipFamilies', 'ipFamily', spec, before, out);
  }
  if (
    spec.type === 'LoadBalancer' &&
    before.type === 'LoadBalancer' &&
    spec.loadBalancerClass !== before.loadBalancerClass
  ) {
    out.push(field.invalid('spec.loadBalancerClass', spec.loadBalancerClass, 'may not change once set'));
  }
  if (
    needsHealthCheckPort(before) &&
    needsHealthCheckPort(spec) &&
    spec.healthCheckNodePort !== before.healthCheckNodePort
  ) {
    out.push(field.forbidden('spec.healthCheckNodePort', IMMUTABLE));
  }
  return out;
}

/** The first value stays for ever, a second may come and go. */
function validateListChange(
  key: 'clusterIPs' | 'ipFamilies',
  one: string,
  spec: ServiceSpec,
  before: ServiceSpec,
  out: Errors,
): void {
  const now = spec[key] ?? [];
  const then = before[key] ?? [];
  const once = 'may not change once set';
  if (now.length === then.length) {
    then.forEach((value, i) => {
      const at = key === 'clusterIPs' ? i : 0;
      if (value !== now[i]) out.push(field.invalid(`spec.${key}[${at}]`, now, once));
    });
    return;
  }
  if (then.length > now.length && now.length === 0) {
    out.push(field.invalid(`spec.${key}[0]`, now, `primary ${one} can not be unset`));
  }
  if (then.length && now.length && now[0] !== then[0]) out.push(field.invalid(`spec.${key}[0]`, now, once));
  if (then.length > now.length && now.length === 1 && spec.ipFamilyPolicy !== 'SingleStack') {
    const text = `must be set to 'SingleStack' when releasing the secondary ${one}`;
    out.push(field.invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, text));
  }
}

/** Addresses of load balancers, in Services and Ingresses. */
export function validateBalancerStatus(
  status: LoadBalancerStatus | undefined,
  allowed: boolean,
  path: string,
  out: Errors,
): void {
  const ingress = status?.ingress ?? [];
  if (ingress.length && !allowed) {
    out.push(field.forbidden(`${path}.ingress`, "may only be used when `spec.type` is 'LoadBalancer'"));
    return;
  }
  ingress.forEach((entry, i) => {
    const at = `${path}.ingress[${i}]`;
    if (!missing(entry.ip)) validateIp(entry.ip, `${at}.ip`, out);
    if (entry.ipMode === undefined) {
      if (!missing(entry.ip)) out.push(field.required(`${at}.ipMode`, 'must be specified when `ip` is set'));
    } else if (missing(entry.ip)) {
      out.push(field.forbidden(`${at}.ipMode`, 'may not be specified when `ip` is not set'));
    } else {
      optionalOneOf(entry.ipMode, ['Proxy', 'VIP'], `${at}.ipMode`, out);
    }
    if (missing(entry.hostname)) return;
    addFaults(dns1123Subdomain(entry.hostname), `${at}.hostname`, entry.hostname, out);
    if (parseIp(entry.hostname)) {
      out.push(field.invalid(`${at}.hostname`, entry.hostname, 'must be a DNS name, not an IP address'));
    }
  });
}
