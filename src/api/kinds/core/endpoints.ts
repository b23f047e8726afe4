// Endpoints: core/v1. Superseded by EndpointSlices.

import { field } from '../../errors.ts';
import type { EndpointAddress, EndpointPort, Endpoints as EndpointsObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import { type Errors, missing, oneOf, optionalName } from '../../validate/checks.ts';
import { PROTOCOLS } from '../../validate/container.ts';
import { validateIp, validateNonSpecialIp } from '../../validate/ip.ts';
import { addFaults, dns1123Label, dns1123Subdomain, portNumber, qualifiedName } from '../../validate/names.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { AGE, ageOf, NAME, NONE, text } from '../columns.ts';

export type Endpoints = EndpointsObject;

export const Endpoints = defineKind<EndpointsObject>({
  group: '',
  version: 'v1',
  kind: 'Endpoints',
  plural: 'endpoints',
  listKind: 'EndpointsList',
  singular: 'endpoints',
  namespaced: true,
  shortNames: ['ep'],
  createOnUpdate: true,

  default({ subsets }) {
    for (const subset of subsets ?? []) for (const port of subset.ports ?? []) port.protocol ||= 'TCP';
  },
  validate({ metadata, subsets }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    subsets?.forEach((subset, i) => {
      const at = `subsets[${i}]`;
      if (!subset.addresses?.length && !subset.notReadyAddresses?.length) {
        out.push(field.required(at, 'must specify `addresses` or `notReadyAddresses`'));
      }
      for (const list of ['addresses', 'notReadyAddresses'] as const) {
        subset[list]?.forEach((address, n) => validateAddress(address, `${at}.${list}[${n}]`, out));
      }
      const named = (subset.ports?.length ?? 0) > 1;
      subset.ports?.forEach((port, n) => validatePort(port, named, `${at}.ports[${n}]`, out));
    });
    return out;
  },
  warnings: () => ['v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice'],

  columns: [NAME, text('Endpoints', 'Addresses and ports.'), AGE],
  row: (endpoints, now) => [endpoints.metadata.name, endpointsText(endpoints), ageOf(endpoints, now)],
});

function validateAddress(address: EndpointAddress, path: string, out: Errors): void {
  validateIp(address.ip ?? '', `${path}.ip`, out);
  optionalName(address.hostname, dns1123Label, `${path}.hostname`, out);
  if (address.nodeName !== undefined) {
    addFaults(dns1123Subdomain(address.nodeName), `${path}.nodeName`, address.nodeName, out);
  }
  validateNonSpecialIp(address.ip ?? '', `${path}.ip`, out);
}

function validatePort(port: EndpointPort, named: boolean, path: string, out: Errors): void {
  if (named && missing(port.name)) out.push(field.required(`${path}.name`));
  optionalName(port.name, dns1123Label, `${path}.name`, out);
  addFaults(portNumber(port.port), `${path}.port`, port.port, out);
  oneOf(port.protocol, PROTOCOLS, `${path}.protocol`, out);
  if (port.appProtocol !== undefined) {
    addFaults(qualifiedName(port.appProtocol), `${path}.appProtocol`, port.appProtocol, out);
  }
}

const SHOWN = 3;

function endpointsText({ subsets }: EndpointsObject): string {
  if (!subsets?.length) return NONE;
  const all: string[] = [];
  for (const { addresses = [], ports } of subsets) {
    const ips = addresses.map((a) => a.ip);
    if (!ports?.length) all.push(...ips);
    else for (const { port } of ports) for (const ip of ips) all.push(`${ip.includes(':') ? `[${ip}]` : ip}:${port}`);
  }
  const shown = all.slice(0, SHOWN).join(',');
  return all.length > SHOWN ? `${shown} + ${all.length - SHOWN} more...` : shown;
}
