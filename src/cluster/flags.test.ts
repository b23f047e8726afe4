import { expect, test } from 'vitest';
import { addressText, Flags, overlap, parseBlock } from './flags.ts';

test('blocks are IPv4, cleaned of the bits beyond their length', () => {
  expect(parseBlock('10.96.3.7/16')).toMatchObject({ bits: 16, size: 65_536, text: '10.96.0.0/16' });
  expect(parseBlock('0.0.0.0/0')).toMatchObject({ base: 0, size: 2 ** 32 });
  expect(addressText(parseBlock('255.255.255.255/32')!.base)).toBe('255.255.255.255');
  for (const text of ['', '10.96.0.0', '10.96.0.0/33', '10.96.0.0/x', '10.96.0.0/16/2', 'fd00::/64', '10.96.0/16'])
    expect(parseBlock(text), text).toBeUndefined();
});

test.each([
  ['10.0.0.0/8', '10.244.0.0/16', true],
  ['10.96.0.0/16', '10.96.255.0/24', true],
  ['10.96.0.0/16', '10.97.0.0/16', false],
  ['0.0.0.0/0', '192.0.2.1/32', true],
])('%s and %s overlap: %s', (a, b, expected) => {
  expect(overlap(parseBlock(a)!, parseBlock(b)!)).toBe(expected);
  expect(overlap(parseBlock(b)!, parseBlock(a)!)).toBe(expected);
});

test('values are read strictly, and what cannot be names its flag', () => {
  const flags = new Flags({
    on: 'True',
    off: 'F',
    odd: 'yes',
    port: '65536',
    range: '9-3',
    words: ' a, ,b',
    labels: 'zone=a,disk=',
    unlabelled: '=x',
    wait: '1m30s',
    never: '0s',
    ip: '10.0.0.256',
    count: '1e3',
    file: '/nowhere/at/all',
    empty: '',
  });
  expect([flags.flag('on'), flags.flag('off'), flags.flag('absent')]).toEqual([true, false, false]);
  expect(flags.words('words')).toEqual(['a', 'b']);
  expect(flags.pairs('labels')).toEqual({ zone: 'a', disk: '' });
  expect(flags.duration('wait')).toBe(90_000);
  expect([flags.text('empty'), flags.given('empty'), flags.ipv4('absent')]).toEqual([undefined, true, undefined]);
  expect(() => flags.flag('odd')).toThrow('--odd yes: it is true or false');
  expect(() => flags.port('port')).toThrow('--port 65536: a port is a number from 1 to 65535');
  expect(() => flags.portRange('range')).toThrow('--range 9-3: write it like 30000-32767');
  expect(() => flags.pairs('unlabelled')).toThrow('--unlabelled =x: write it like zone=a');
  expect(() => flags.duration('never')).toThrow('--never 0s: write a duration like 10s');
  expect(() => flags.ipv4('ip')).toThrow('--ip 10.0.0.256: write an IPv4 address');
  expect(() => flags.count('count', 1, 5000)).toThrow('--count 1e3: it is a whole number from 1 to 5000');
  expect(() => flags.file('file')).toThrow('--file /nowhere/at/all: there is no such file');
  expect(() => flags.required('absent', 'it matters')).toThrow('--absent is needed: it matters');
});
