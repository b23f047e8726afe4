import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  closePayload,
  encodeFrame,
  OPCODE,
  WebSocketError,
  WebSocketReader,
  type FrameEvent,
} from './websocket-frames.ts';

const MASK = Uint8Array.of(1, 2, 250, 4);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (value: string) => new TextEncoder().encode(value);

function join(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The events of a stream cut at these places. */
function read(stream: Uint8Array, cuts: readonly number[], options: { masked?: boolean; maxMessage?: number } = {}) {
  const reader = new WebSocketReader({ masked: true, maxMessage: 1 << 20, ...options });
  const events: FrameEvent[] = [];
  const places = [...new Set([...cuts.map((cut) => cut % (stream.length + 1)), stream.length])].sort((a, b) => a - b);
  let from = 0;
  for (const place of places) {
    // The reader owns what it is fed.
    events.push(...reader.read(stream.slice(from, place)));
    from = place;
  }
  return events;
}

/** Pieces put together again. */
function messages(events: readonly FrameEvent[]): string[] {
  const out: string[] = [];
  for (const event of events) {
    if (event.type === 'data') {
      if (event.first) out.push(event.text ? 'text:' : 'binary:');
      out.push(out.pop()! + text(event.chunk) + (event.last ? '$' : ''));
    } else if (event.type === 'close') out.push(`close ${event.code} ${event.reason}`);
    else out.push(`${event.type} ${text(event.payload)}`);
  }
  return out;
}

const fragment = (opcode: number, fin: boolean, payload: string) => {
  const frame = encodeFrame(opcode, [bytes(payload)], MASK);
  if (!fin) frame[0] = frame[0]! & 0x7f;
  return frame;
};

test('frames of every size come through, cut anywhere, masked or not', () => {
  const sizes = fc.constantFrom(0, 1, 125, 126, 127, 65_535, 65_536);
  const ascii = fc.tuple(sizes, fc.integer({ min: 32, max: 126 })).map(([n, c]) => String.fromCharCode(c).repeat(n));
  fc.assert(
    fc.property(
      fc.array(ascii, { maxLength: 4 }),
      fc.array(fc.nat(200_000), { maxLength: 8 }),
      fc.boolean(),
      (list, cuts, masked) => {
        const stream = join(
          list.map((payload) => encodeFrame(OPCODE.binary, [bytes(payload)], masked ? MASK : undefined)),
        );
        expect(messages(read(stream, cuts, { masked }))).toEqual(list.map((payload) => `binary:${payload}$`));
      },
    ),
    { numRuns: 60 },
  );
});

test('a message in fragments, with a ping between them', () => {
  const stream = join([
    fragment(OPCODE.text, false, 'one '),
    fragment(OPCODE.ping, true, 'you?'),
    fragment(OPCODE.continuation, false, ''),
    fragment(OPCODE.continuation, true, 'two'),
    encodeFrame(OPCODE.close, [closePayload(1000, 'bye')], MASK),
  ]);
  for (let cut = 0; cut <= stream.length; cut++) {
    const events = read(stream, [cut, cut + 1]);
    const pieces = events.filter((event) => event.type === 'data');
    expect(messages(pieces)).toEqual(['text:one two$']);
    const others = events.filter((event) => event.type !== 'data');
    expect(messages(others)).toEqual(['ping you?', 'close 1000 bye']);
  }
});

describe('what is no WebSocket is refused', () => {
  const code = (stream: Uint8Array, options = {}) => {
    try {
      read(stream, [], options);
      return undefined;
    } catch (error) {
      return (error as WebSocketError).code;
    }
  };
  const frame = (...head: number[]) => Uint8Array.from([...head, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  const cases: [string, Uint8Array, number][] = [
    ['reserved bits', frame(0xc2, 0x80), 1002],
    ['an unmasked frame', frame(0x82, 0x01), 1002],
    ['an unknown opcode', frame(0x83, 0x80), 1002],
    ['an unknown control opcode', frame(0x8b, 0x80), 1002],
    ['a ping in fragments', frame(0x09, 0x80), 1002],
    ['a long ping', frame(0x89, 0xfe, 0, 126), 1002],
    ['a continuation of nothing', frame(0x80, 0x80), 1002],
    ['a message within a message', join([fragment(OPCODE.text, false, 'a'), fragment(OPCODE.text, true, 'b')]), 1002],
    ['a close code that is not to be sent', encodeFrame(OPCODE.close, [closePayload(1005, '')], MASK), 1002],
    ['half a close code', encodeFrame(OPCODE.close, [Uint8Array.of(3)], MASK), 1002],
    ['a frame of 2^63 bytes', frame(0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0), 1009],
  ];
  test.each(cases)('%s', (_, stream, expected) => expect(code(stream)).toBe(expected));

  test('a message too long for its limit, in one frame or in many', () => {
    const options = { maxMessage: 10 };
    expect(code(fragment(OPCODE.binary, true, 'x'.repeat(10)), options)).toBeUndefined();
    expect(code(fragment(OPCODE.binary, true, 'x'.repeat(11)), options)).toBe(1009);
    const many = join([
      fragment(OPCODE.binary, false, 'x'.repeat(6)),
      fragment(OPCODE.continuation, true, 'x'.repeat(6)),
    ]);
    expect(code(many, options)).toBe(1009);
  });

  test('noise ends in an error or in nothing, never in a hang or another exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(300), { maxLength: 5 }), (noise, cuts) => {
        try {
          read(noise, cuts);
        } catch (error) {
          expect(error).toBeInstanceOf(WebSocketError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
