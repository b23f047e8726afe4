// Cluster IPs and node ports of Services. Who owns what is read from the stored Services, so that it survives a
// restart; reservations keep two writes at the same time from getting the same value.

import { field, internalError, invalid, type FieldError } from '../api/errors.ts';
import type { Service as ServiceObject } from '../api/generated/core-v1.ts';
import { Service } from '../api/kinds/core/service.ts';
import { keyOf, type KubeObject } from '../api/object.ts';
import {
  dropFieldsOfOldType,
  initIpFamilies,
  isHeadless,
  keepAllocated,
  needsClusterIp,
  needsHealthCheckPort,
  needsNodePort,
  normalizeClusterIps,
} from '../api/service-fields.ts';
import { parseIp } from '../api/validate/ip.ts';
import type { Random } from '../base/env.ts';
import type { Allocation, Allocator } from './call.ts';
import type { Caches } from './caches.ts';
import { NumberPool, type Taken } from './number-pool.ts';

export interface ServiceRanges {
  /** An IPv4 block; `10.96.0.0/12` unless told. */
  readonly clusterIPs?: string;
  /** First and last port, both included; 30000 to 32767 unless told. */
  readonly nodePorts?: readonly [first: number, last: number];
}

export const DEFAULT_CLUSTER_IPS = '10.96.0.0/12';
const DEFAULT_PORTS = [30_000, 32_767] as const;

export class ServiceAllocator implements Allocator {
  readonly #caches: Caches;
  readonly #random: Random;
  readonly #block: string;
  readonly #portRange: readonly [number, number];
  readonly #ips: NumberPool;
  readonly #ports: NumberPool;
  #started: Promise<void> | undefined;

  /** Throws RangeError for an impossible block. */
  constructor(caches: Caches, random: Random, ranges: ServiceRanges = {}) {
    this.#caches = caches;
    this.#random = random;
    this.#block = ranges.clusterIPs ?? DEFAULT_CLUSTER_IPS;
    const { first, last } = hostsOf(this.#block);
    const size = last - first + 1;
    this.#ips = new NumberPool(first, last, Math.min(Math.max(16, Math.floor(size / 16)), 256));
    this.#portRange = ranges.nodePorts ?? DEFAULT_PORTS;
    const ports = this.#portRange[1] - this.#portRange[0] + 1;
    const band = ports < 16 ? 0 : Math.min(Math.max(16, Math.floor(ports / 32)), 128);
    this.#ports = new NumberPool(this.#portRange[0], this.#portRange[1], band);
  }

  async allocate(draft: KubeObject, old: KubeObject | undefined): Promise<Allocation> {
    await (this.#started ??= this.#follow());
    const claim = new Claim(keyOf(draft), this.#ips, this.#ports);
    try {
      this.#fill(claim, draft as ServiceObject, old as ServiceObject | undefined);
      return claim;
    } catch (error) {
      claim.release();
      throw error;
    }
  }

  /** Reads the stored Services and keeps up with them. */
  async #follow(): Promise<void> {
    const { cache, prefix } = await this.#caches.current(Service);
    const take = (before: KubeObject | undefined, after: KubeObject | undefined) => {
      const key = keyOf((after ?? before)!);
      const [a, b] = [before as ServiceObject | undefined, after as ServiceObject | undefined];
      this.#ips.own(key, ipsOf(a), ipsOf(b));
      this.#ports.own(key, portsOf(a), portsOf(b));
    };
    for (const service of cache.list()) take(undefined, service);
    cache.watch(prefix, cache.revision, {
      events(batch) {
        for (const event of batch) take(event.previous, event.object);
      },
      closed: () => {},
    });
  }

  #fill(claim: Claim, draft: ServiceObject, old: ServiceObject | undefined): void {
    normalizeClusterIps(draft, old);
    if (old) {
      keepAllocated(draft, old);
      dropFieldsOfOldType(draft, old);
    }
    const faults = initIpFamilies(draft, ['IPv4']);
    if (faults.length) throw invalid('', 'Service', draft.metadata.name, faults);
    const { spec } = draft;
    if (needsClusterIp(spec) && !isHeadless(spec)) this.#clusterIp(claim, draft, old);
    if (needsNodePort(spec)) this.#nodePorts(claim, draft, old);
    if (needsHealthCheckPort(spec)) this.#healthCheckPort(claim, draft);
  }

  #clusterIp(claim: Claim, draft: ServiceObject, old: ServiceObject | undefined): void {
    const { spec } = draft;
    const wanted = spec.clusterIPs?.[0];
    if (!wanted) {
      const n = this.#ips.reserveAny(claim, this.#random);
      if (n === undefined) throw internalError('failed to allocate a serviceIP: range is full');
      claim.ips.push(n);
      spec.clusterIP = ipText(n);
      spec.clusterIPs = [spec.clusterIP];
      return;
    }
    const before = old && needsClusterIp(old.spec) ? old.spec.clusterIPs?.[0] : undefined;
    const n = ipNumber(wanted);
    // What is no address, or may not change, is for validation to tell.
    if (n === undefined || (before && before !== wanted)) return;
    const taken = this.#ips.reserve(claim, claim.key, n);
    if (taken) throw refuse(draft, ipFault(spec.clusterIPs, wanted, taken));
    claim.ips.push(n);
  }

  #nodePorts(claim: Claim, draft: ServiceObject, old: ServiceObject | undefined): void {
    const own = new Set(portsOf(old));
    const ports = draft.spec.ports ?? [];
    ports.forEach((port, i) => {
      if (!port.nodePort) return;
      // The same number may serve another protocol of the same Service.
      const taken = own.has(port.nodePort) ? undefined : this.#ports.reserve(claim, claim.key, port.nodePort);
      if (taken) throw refuse(draft, this.#portFault(`spec.ports[${i}].nodePort`, port.nodePort, taken));
      if (!own.has(port.nodePort)) claim.ports.push(port.nodePort);
    });
    for (const port of ports) {
      if (port.nodePort) continue;
      const twin = ports.find((p) => p.port === port.port && p.protocol !== port.protocol && p.nodePort);
      port.nodePort = twin?.nodePort ?? this.#anyPort(claim, 'nodePort');
    }
  }

  #healthCheckPort(claim: Claim, draft: ServiceObject): void {
    const { spec } = draft;
    if (!spec.healthCheckNodePort) {
      spec.healthCheckNodePort = this.#anyPort(claim, 'HealthCheck NodePort');
      return;
    }
    const taken = this.#ports.reserve(claim, claim.key, spec.healthCheckNodePort);
    if (taken) throw refuse(draft, this.#portFault('spec.healthCheckNodePort', spec.healthCheckNodePort, taken));
    claim.ports.push(spec.healthCheckNodePort);
  }

  #anyPort(claim: Claim, what: string): number {
    const n = this.#ports.reserveAny(claim, this.#random);
    if (n === undefined) throw internalError(`failed to allocate a ${what}: range is full`);
    claim.ports.push(n);
    return n;
  }

  #portFault(path: string, port: number, taken: Taken): FieldError {
    const range = `provided port is not in the valid range. The range of valid ports is ${this.#portRange.join('-')}`;
    return field.invalid(path, port, taken === 'allocated' ? 'provided port is already allocated' : range);
  }
}

/** What one write has reserved. What it stored is owned by then, so a commit only ends the reservation. */
class Claim implements Allocation {
  readonly key: string;
  readonly ips: number[] = [];
  readonly ports: number[] = [];
  readonly #ipPool: NumberPool;
  readonly #portPool: NumberPool;

  constructor(key: string, ips: NumberPool, ports: NumberPool) {
    this.key = key;
    this.#ipPool = ips;
    this.#portPool = ports;
  }

  release(): void {
    for (const n of this.ips) this.#ipPool.release(this, n);
    for (const n of this.ports) this.#portPool.release(this, n);
  }
}

const refuse = (service: ServiceObject, cause: FieldError) => invalid('', 'Service', service.metadata.name, [cause]);

function ipFault(ips: readonly string[] | undefined, ip: string, taken: Taken): FieldError {
  const why =
    taken === 'allocated'
      ? 'provided IP is already allocated'
      : 'the provided network does not match the current range';
  return field.invalid('spec.clusterIPs', ips, `failed to allocate IP ${ip}: ${why}`);
}

function ipsOf(service: ServiceObject | undefined): number[] {
  return (service?.spec.clusterIPs ?? []).map(ipNumber).filter((n) => n !== undefined);
}

function portsOf(service: ServiceObject | undefined): number[] {
  if (!service) return [];
  const { ports = [], healthCheckNodePort } = service.spec;
  const all = ports.map((p) => p.nodePort ?? 0);
  return [...all, healthCheckNodePort ?? 0].filter(Boolean);
}

function ipNumber(text: string): number | undefined {
  const bytes = parseIp(text);
  return bytes?.length === 4 ? bytes.reduce((n, byte) => n * 256 + byte, 0) : undefined;
}

const ipText = (n: number) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255].join('.');

/** The usable addresses of a block: all but the first and the last. */
export function hostsOf(block: string): { readonly first: number; readonly last: number } {
  const [address = '', length = ''] = block.split('/');
  const base = ipNumber(address);
  const bits = 32 - Number(length);
  if (base === undefined || !length || !(bits >= 2 && bits <= 31)) {
    throw new RangeError(`${JSON.stringify(block)} is no IPv4 block with room for addresses`);
  }
  const size = 2 ** bits;
  const start = Math.floor(base / size) * size;
  return { first: start + 1, last: start + size - 2 };
}

/** The address at `offset` in a block; 1 is the API server's own Service. */
export function addressIn(block: string, offset: number): string {
  return ipText(hostsOf(block).first + offset - 1);
}
