// EndpointSlice: discovery.k8s.io/v1.

import { field } from '../../errors.ts';
import type { Endpoint, EndpointSlice as EndpointSliceObject } from '../../generated/discovery-v1.ts';
import { defineKind } from '../../kind.ts';
import { type Errors, oneOf } from '../../validate/checks.ts';
import { PROTOCOLS } from '../../validate/container.ts';
import { isIpv6, parseIp, validateNonSpecialIp } from '../../validate/ip.ts';
import { addFaults, dns1123Label, dns1123Subdomain, qualifiedName } from '../../validate/names.ts';
import { validateFinalizerNames, validateImmutable, validateLabels } from '../../validate/object-meta.ts';
import { AGE, ageOf, NAME, text } from '../columns.ts';

export type EndpointSlice = EndpointSliceObject;

const TYPES = ['FQDN', 'IPv4', 'IPv6'];
const MAX_ENDPOINTS = 1000;
const MAX_ADDRESSES = 100;
const MAX_PORTS = 100;
const MAX_TOPOLOGY = 16;
const MAX_HINTS = 8;
const SHOWN = 3;

export const EndpointSlice = defineKind<EndpointSliceObject>({
  group: 'discovery.k8s.io',
  version: 'v1',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  namespaced: true,
  generation: true,

  default({ ports }) {
    for (const port of ports ?? []) {
      port.name ??= '';
      port.protocol ??= 'TCP';
    }
  },
  prepareForCreate({ endpoints }) {
    for (const endpoint of endpoints ?? []) delete endpoint.deprecatedTopology;
  },

  validate(slice) {
    const out: Errors = [];
    validateFinalizerNames(slice.metadata.finalizers, 'metadata.finalizers', out);
    oneOf(slice.addressType, TYPES, 'addressType', out);
    validateEndpoints(slice, out);
    validatePorts(slice, out);
    return out;
  },
  validateUpdate(slice, old) {
    const out: Errors = [];
    validateImmutable(slice.addressType, old.addressType, 'addressType', out);
    return out;
  },

  columns: [
    NAME,
    text('AddressType', 'What the addresses are.'),
    text('Ports', 'The ports of all endpoints.'),
    text('Endpoints', 'The addresses.'),
    AGE,
  ],
  row(slice, now) {
    const ports = slice.ports?.map((p) => (p.port === undefined ? p.name || '*' : String(p.port))) ?? [];
    const addresses = slice.endpoints?.flatMap((e) => e.addresses ?? []) ?? [];
    return [slice.metadata.name, slice.addressType, listText(ports), listText(addresses), ageOf(slice, now)];
  },
});

function listText(items: readonly string[]): string {
  const shown = items.slice(0, SHOWN).join(',');
  if (items.length > SHOWN) return `${shown} + ${items.length - SHOWN} more...`;
  return shown || '<unset>';
}

function validateEndpoints(slice: EndpointSliceObject, out: Errors): void {
  const endpoints = slice.endpoints ?? [];
  if (endpoints.length > MAX_ENDPOINTS) {
    return void out.push(field.tooMany('endpoints', endpoints.length, MAX_ENDPOINTS));
  }
  endpoints.forEach((endpoint, i) => {
    const at = `endpoints[${i}]`;
    const addresses = endpoint.addresses ?? [];
    if (!addresses.length) out.push(field.required(`${at}.addresses`, 'must contain at least 1 address'));
    else if (addresses.length > MAX_ADDRESSES) {
      out.push(field.tooMany(`${at}.addresses`, addresses.length, MAX_ADDRESSES));
    }
    addresses.forEach((ip, n) => validateAddress(ip, slice.addressType, `${at}.addresses[${n}]`, out));
    if (endpoint.nodeName !== undefined) {
      addFaults(dns1123Subdomain(endpoint.nodeName), `${at}.nodeName`, endpoint.nodeName, out);
    }
    const topology = endpoint.deprecatedTopology;
    const size = Object.keys(topology ?? {}).length;
    if (size > MAX_TOPOLOGY) out.push(field.tooMany(`${at}.deprecatedTopology`, size, MAX_TOPOLOGY));
    validateLabels(topology, `${at}.deprecatedTopology`, out);
    if (endpoint.hostname !== undefined) {
      addFaults(dns1123Label(endpoint.hostname), `${at}.hostname`, endpoint.hostname, out);
    }
    validateHints(endpoint, `${at}.hints`, out);
  });
}

function validateAddress(address: string, type: string, path: string, out: Errors): void {
  if (type === 'FQDN') {
    const name = address.replace(/\.$/, '');
    const faults = dns1123Subdomain(name);
    if (address === '') out.push(field.required(path));
    else if (faults.length) out.push(field.invalid(path, name, faults.join(',')));
    else if (!name.includes('.')) {
      out.push(field.invalid(path, name, 'should be a domain with at least two segments separated by dots'));
    }
    return;
  }
  const six = type === 'IPv6';
  if (!six && type !== 'IPv4') return;
  if (!parseIp(address) || isIpv6(address) !== six) {
    out.push(field.invalid(path, address, `must be a valid ${type} address`));
  }
  validateNonSpecialIp(address, path, out);
}

function validateHints({ hints }: Endpoint, path: string, out: Errors): void {
  for (const list of ['forZones', 'forNodes'] as const) {
    const entries = hints?.[list] ?? [];
    const at = `${path}.${list}`;
    if (entries.length > MAX_HINTS) {
      out.push(field.tooMany(at, entries.length, MAX_HINTS));
      continue;
    }
    const seen = new Set<string>();
    const check = list === 'forZones' ? qualifiedName : dns1123Subdomain;
    entries.forEach(({ name }, i) => {
      if (seen.has(name)) out.push(field.duplicate(`${at}[${i}].name`, name));
      seen.add(name);
      addFaults(check(name), `${at}[${i}].name`, name, out);
    });
  }
}

function validatePorts(slice: EndpointSliceObject, out: Errors): void {
  const ports = slice.ports ?? [];
  if (ports.length > MAX_PORTS) return void out.push(field.tooMany('ports', ports.length, MAX_PORTS));
  const names = new Set<string>();
  ports.forEach((port, i) => {
    const name = port.name ?? '';
    if (name !== '') addFaults(dns1123Label(name), `ports[${i}].name`, name, out);
    if (names.has(name)) out.push(field.duplicate(`ports[${i}].name`, name));
    names.add(name);
    oneOf(port.protocol, PROTOCOLS, `ports[${i}].protocol`, out);
    if (port.appProtocol !== undefined) {
      addFaults(qualifiedName(port.appProtocol), `ports[${i}].appProtocol`, port.appProtocol, out);
    }
  });
}
