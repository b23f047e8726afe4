// IP addresses and CIDR blocks in API fields. https://github.com/kubernetes/enhancements/issues/4858 (strict parsing)

import { field, type FieldError } from '../errors.ts';

/** The 4 or 16 bytes of an address, or undefined. Leading zeros in IPv4 parts are read as decimal. No zones. */
export function parseIp(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseV6(text) : parseV4(text);
}

function parseV4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    if (!/^[0-9]+$/.test(parts[i]!)) return undefined;
    const n = Number(parts[i]);
    if (n > 255) return undefined;
    bytes[i] = n;
  }
  return bytes;
}

function parseV6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groups(halves[1]!, true) : [];
  if (!head || !tail) return undefined;
  const gap = 16 - head.length - tail.length;
  if (halves.length === 1 ? gap !== 0 : gap < 2) return undefined;
  return Uint8Array.from([...head, ...Array<number>(gap).fill(0), ...tail]);
}

/** The bytes of `a:b:c`, where the end may be an IPv4 address. */
function groups(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const parts = text.split(':');
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (last && i === parts.length - 1 && part.includes('.')) {
      const v4 = parseV4(part);
      if (!v4) return undefined;
      bytes.push(...v4);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      const n = Number.parseInt(part, 16);
      bytes.push(n >> 8, n & 255);
    }
  }
  return bytes;
}

const isMapped = (b: Uint8Array) =>
  b.length === 16 && b[10] === 255 && b[11] === 255 && b.subarray(0, 10).every((x) => x === 0);
const hasLeadingZeros = (text: string) => /(^|[.:])0[0-9]+(?=\.|$)/.test(text);

/** True for an IPv6 address (an IPv4-mapped one counts as IPv4, as upstream has it). */
export function isIpv6(text: string): boolean {
  const bytes = parseIp(text);
  return bytes !== undefined && bytes.length === 16 && !isMapped(bytes);
}

export function validateIp(text: string, path: string, out: FieldError[]): boolean {
  const bytes = parseIp(text);
  const fault = !bytes
    ? 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
    : hasLeadingZeros(text)
      ? 'must not have leading 0s'
      : isMapped(bytes)
        ? 'must not be an IPv4-mapped IPv6 address'
        : undefined;
  if (fault) out.push(field.invalid(path, text, fault));
  return fault === undefined;
}

export function validateCidr(text: string, path: string, out: FieldError[]): void {
  const fault = cidrFault(text);
  if (fault) out.push(field.invalid(path, text, fault));
}

function cidrFault(text: string): string | undefined {
  const [address = '', length = '', ...rest] = text.split('/');
  const bytes = parseIp(address);
  const bits = bytes ? bytes.length * 8 : 0;
  if (!bytes || rest.length || !/^[0-9]+$/.test(length) || Number(length) > bits) {
    return 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
  }
  if (hasLeadingZeros(address)) return 'must not have leading 0s in IP';
  if (/^0./.test(length)) return 'must not have leading 0s in prefix length';
  if (isMapped(bytes)) return 'must not have an IPv4-mapped IPv6 address';
  for (let bit = Number(length); bit < bits; bit++) {
    if (bytes[bit >> 3]! & (128 >> (bit & 7))) return 'must not have bits set beyond the prefix length';
  }
  return undefined;
}

/** Endpoints and external IPs may not be addresses that mean the node itself or its link. */
export function validateNonSpecialIp(text: string, path: string, out: FieldError[]): void {
  const b = parseIp(text);
  if (!b) {
    out.push(field.invalid(path, text, 'must be a valid IP address'));
    return;
  }
  const v4 = b.length === 4 ? b : isMapped(b) ? b.subarray(12) : undefined;
  const add = (detail: string) => out.push(field.invalid(path, text, detail));
  if (b.every((x) => x === 0)) add(`may not be unspecified (${text})`);
  if (v4 ? v4[0] === 127 : b[15] === 1 && b.subarray(0, 15).every((x) => x === 0)) {
    add('may not be in the loopback range (127.0.0.0/8, ::1/128)');
  }
  if (v4 ? v4[0] === 169 && v4[1] === 254 : b[0] === 0xfe && (b[1]! & 0xc0) === 0x80) {
    add('may not be in the link-local range (169.254.0.0/16, fe80::/10)');
  }
  if (v4 ? v4[0] === 224 && v4[1] === 0 && v4[2] === 0 : b[0] === 0xff && (b[1]! & 0x0f) === 2) {
    add('may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)');
  }
}

/** At most one address of each family, none twice: podIPs, hostIPs. */
export function validateDualStack(ips: readonly { ip: string }[], path: string, out: FieldError[]): void {
  if (ips.length < 2) return;
  const six = ips.filter((x) => isIpv6(x.ip)).length;
  if (ips.length > 2 || six !== 1) {
    out.push(field.invalid(path, ips, 'may specify no more than one IP for each IP family'));
  }
  ips.forEach((x, i) => {
    if (ips.findIndex((y) => y.ip === x.ip) < i) out.push(field.duplicate(`${path}[${i}]`, x));
  });
}
