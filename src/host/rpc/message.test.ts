import { expect, test } from 'vitest';
import { Empty, message } from './message.ts';

const Part = message({ id: [1, 'int'], name: [16, 'string'] });
const Whole = message({
  text: [1, 'string'],
  data: [2, 'bytes'],
  flag: [3, 'bool'],
  number: [4, 'int'],
  words: [5, 'strings'],
  numbers: [6, 'ints'],
  labels: [7, 'map'],
  part: [8, Part],
  parts: [9, [Part]],
});

test('encodes as protoc does', () => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  expect(hex(Part.encode({ id: 150, name: 'testing' }))).toBe('08960182010774657374696e67');
  expect(hex(Whole.encode({ numbers: [3, 270, 86942], part: {} }))).toBe('3206038e029ea7054200');
  expect(hex(Whole.encode({ text: '', flag: false, number: 0, words: [], labels: {} }))).toBe('');
  expect(hex(Part.encode({ id: -2 }))).toBe('08feffffffffffffffff01');
});

test('what was encoded is decoded', () => {
  const value = {
    text: 'grüße',
    data: new Uint8Array([0, 255]),
    flag: true,
    number: 2 ** 40 + 3,
    words: ['', 'b'],
    numbers: [-1, 0, 1, 2 ** 31, Number.MAX_SAFE_INTEGER],
    labels: { a: '', 'b/c': 'd' },
    part: { id: -5, name: '' },
    parts: [
      { id: 0, name: 'x' },
      { id: 7, name: 'y' },
    ],
  };
  expect(Whole.decode(Whole.encode(value))).toEqual(value);
});

test('missing fields get defaults, unknown ones are skipped', () => {
  expect(Whole.decode(new Uint8Array())).toEqual({
    text: '',
    data: new Uint8Array(),
    flag: false,
    number: 0,
    words: [],
    numbers: [],
    labels: {},
    part: undefined,
    parts: [],
  });
  const more = message({ id: [1, 'int'], extra: [20, Part], blob: [21, 'bytes'], many: [22, 'ints'] });
  const bytes = more.encode({ id: 4, extra: { id: 1 }, blob: new Uint8Array(300), many: [1, 2] });
  expect(Part.decode(bytes)).toEqual({ id: 4, name: '' });
  expect(Empty.decode(bytes)).toEqual({});
});

test('a fresh default for every message', () => {
  const first = Whole.decode(Whole.encode({ words: ['a'] }));
  expect(first.words).toEqual(['a']);
  expect(Whole.decode(new Uint8Array()).words).toEqual([]);
});

test('times in nanoseconds keep their milliseconds', () => {
  const now = 1_790_000_000_123;
  const nanos = 1_790_000_000_123_456_789n;
  const bytes: number[] = [0x08];
  for (let rest = nanos; rest > 0n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
  expect(Math.floor(Part.decode(Uint8Array.from(bytes)).id / 1e6)).toBe(now);
});

test.each([
  ['a cut varint', '08ff'],
  ['a cut string', '820107746573'],
  ['an endless number', '08ffffffffffffffffffffff'],
  ['a group', '0b'],
])('rejects %s', (_, hex) => {
  expect(() => Part.decode(Buffer.from(hex, 'hex'))).toThrow(RangeError);
});
