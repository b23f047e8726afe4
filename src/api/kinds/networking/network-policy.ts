// NetworkPolicy: networking.k8s.io/v1.

import { field } from '../../errors.ts';
import type {
  IPBlock,
  NetworkPolicy as NetworkPolicyObject,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from '../../generated/networking-v1.ts';
import { defineKind } from '../../kind.ts';
import { formatLabelSelector } from '../../selectors.ts';
import { type Errors, missing, optionalOneOf } from '../../validate/checks.ts';
import { parseIp, validateCidr } from '../../validate/ip.ts';
import { addFaults, portName, portNumber } from '../../validate/names.ts';
import { validateFinalizerNames, validateLabelSelector } from '../../validate/object-meta.ts';
import { AGE, ageOf, NAME, text } from '../columns.ts';

export type NetworkPolicy = NetworkPolicyObject;

export const NetworkPolicy = defineKind<NetworkPolicyObject>({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'NetworkPolicy',
  plural: 'networkpolicies',
  namespaced: true,
  shortNames: ['netpol'],
  generation: true,

  default({ spec }) {
    const rules = [...(spec.ingress ?? []), ...(spec.egress ?? [])];
    for (const rule of rules) for (const port of rule.ports ?? []) port.protocol ??= 'TCP';
    if (!spec.policyTypes?.length) spec.policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress'];
  },
  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    validateLabelSelector(spec.podSelector, 'spec.podSelector', out);
    spec.ingress?.forEach((rule, i) => validateRule(rule.ports, 'from', rule.from, `spec.ingress[${i}]`, out));
    spec.egress?.forEach((rule, i) => validateRule(rule.ports, 'to', rule.to, `spec.egress[${i}]`, out));
    const types = spec.policyTypes ?? [];
    if (types.length > 2) {
      out.push(field.invalid('spec.policyTypes', types, 'may not specify more than two policyTypes'));
      return out;
    }
    types.forEach((type, i) => optionalOneOf(type, ['Ingress', 'Egress'], `spec.policyTypes[${i}]`, out));
    return out;
  },
  columns: [NAME, text('Pod-Selector', 'The pods it applies to.'), AGE],
  row: (policy, now) => [policy.metadata.name, formatLabelSelector(policy.spec.podSelector ?? {}), ageOf(policy, now)],
});

function validateRule(
  ports: readonly NetworkPolicyPort[] | undefined,
  side: 'from' | 'to',
  peers: readonly NetworkPolicyPeer[] | undefined,
  path: string,
  out: Errors,
): void {
  ports?.forEach((port, i) => validatePort(port, `${path}.ports[${i}]`, out));
  peers?.forEach((peer, i) => validatePeer(peer, `${path}.${side}[${i}]`, out));
}

function validatePort({ protocol, port, endPort }: NetworkPolicyPort, path: string, out: Errors): void {
  optionalOneOf(protocol, ['TCP', 'UDP', 'SCTP'], `${path}.protocol`, out);
  const end = `${path}.endPort`;
  if (port === undefined) {
    if (endPort !== undefined) {
      out.push(field.invalid(end, endPort, 'may not be specified when `port` is not specified'));
    }
  } else if (typeof port === 'number') {
    addFaults(portNumber(port), `${path}.port`, port, out);
    if (endPort === undefined) return;
    if (endPort < port) out.push(field.invalid(end, endPort, 'must be greater than or equal to `port`'));
    addFaults(portNumber(endPort), end, endPort, out);
  } else {
    if (endPort !== undefined) {
      out.push(field.invalid(end, endPort, 'may not be specified when `port` is non-numeric'));
    }
    addFaults(portName(port), `${path}.port`, port, out);
  }
}

function validatePeer({ podSelector, namespaceSelector, ipBlock }: NetworkPolicyPeer, path: string, out: Errors): void {
  validateLabelSelector(podSelector, `${path}.podSelector`, out);
  validateLabelSelector(namespaceSelector, `${path}.namespaceSelector`, out);
  if (ipBlock) validateBlock(ipBlock, `${path}.ipBlock`, out);
  if (!podSelector && !namespaceSelector && !ipBlock) out.push(field.required(path, 'must specify a peer'));
  else if (ipBlock && (podSelector || namespaceSelector)) {
    out.push(field.forbidden(path, 'may not specify both ipBlock and another peer'));
  }
}

function validateBlock({ cidr, except }: IPBlock, path: string, out: Errors): void {
  if (missing(cidr)) return void out.push(field.required(`${path}.cidr`));
  const faults: Errors = [];
  validateCidr(cidr, `${path}.cidr`, faults);
  out.push(...faults);
  if (faults.length) return;
  except?.forEach((inner, i) => {
    const at = `${path}.except[${i}]`;
    const before = out.length;
    validateCidr(inner, at, out);
    if (out.length === before && !isStrictSubset(inner, cidr)) {
      out.push(field.invalid(at, inner, 'must be a strict subset of `cidr`'));
    }
  });
}

function isStrictSubset(inner: string, outer: string): boolean {
  const [innerIp, innerBits] = split(inner);
  const [outerIp, outerBits] = split(outer);
  if (innerIp.length !== outerIp.length || innerBits <= outerBits) return false;
  for (let bit = 0; bit < outerBits; bit++) {
    const mask = 128 >> (bit & 7);
    if ((innerIp[bit >> 3]! & mask) !== (outerIp[bit >> 3]! & mask)) return false;
  }
  return true;
}

function split(cidr: string): [ip: Uint8Array, bits: number] {
  const [ip = '', bits = ''] = cidr.split('/');
  return [parseIp(ip)!, Number(bits)];
}
