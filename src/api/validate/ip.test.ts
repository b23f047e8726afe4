import { expect, test } from 'vitest';
import type { FieldError } from '../errors.ts';
import { isIpv6, parseIp, validateCidr, validateIp, validateNonSpecialIp } from './ip.ts';

type Check = (text: string, path: string, out: FieldError[]) => unknown;
const fault = (check: Check, text: string) => {
  const out: FieldError[] = [];
  check(text, 'ip', out);
  return out.map((e) => e.detail).join('; ');
};

test.each([
  ['10.0.0.1', '0a000001'],
  ['2001:db8::1', '20010db8000000000000000000000001'],
  ['::', '00'.repeat(16)],
  ['::ffff:1.2.3.4', '00000000000000000000ffff01020304'],
  ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
])('parses %s', (text, hex) => {
  expect(Buffer.from(parseIp(text)!).toString('hex')).toBe(hex);
});

test.each([
  '',
  '1.2.3',
  '1.2.3.256',
  'a.b.c.d',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8::',
  'fe80::1%eth0',
  ':::',
  '12345::',
])('refuses %j', (text) => expect(parseIp(text)).toBeUndefined());

test('strict texts', () => {
  expect(fault(validateIp, 'x')).toBe('must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)');
  expect(fault(validateIp, '10.0.0.01')).toBe('must not have leading 0s');
  expect(fault(validateIp, '::ffff:1.2.3.4')).toBe('must not be an IPv4-mapped IPv6 address');
  expect(fault(validateIp, '0.0.0.0')).toBe('');
  expect(fault(validateCidr, '10.0.0.0/8')).toBe('');
  expect(fault(validateCidr, '10.0.0.1/8')).toBe('must not have bits set beyond the prefix length');
  expect(fault(validateCidr, '10.0.0.0/33')).toContain('must be a valid CIDR value');
  expect(fault(validateCidr, '2001:db8::/64')).toBe('');
  expect(fault(validateNonSpecialIp, '127.0.0.1')).toContain('loopback');
  expect(fault(validateNonSpecialIp, '::1')).toContain('loopback');
  expect(fault(validateNonSpecialIp, 'fe80::1')).toContain('link-local range');
  expect(fault(validateNonSpecialIp, '224.0.0.5')).toContain('link-local multicast');
  expect(fault(validateNonSpecialIp, '8.8.8.8')).toBe('');
  expect([isIpv6('::1'), isIpv6('1.2.3.4'), isIpv6('None')]).toEqual([true, false, false]);
});
