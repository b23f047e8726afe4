import { describe, expect, test } from 'vitest';
import { ByteQueue } from '../../base/byte-queue.ts';
import { drainMicrotasks, seededRandom, VirtualClock } from '../../base/virtual-clock.ts';
import { ChannelReader, COMMAND_PROTOCOLS, sendChannel, type ChannelProtocol } from './channels.ts';
import { testPipe } from './test-pipe.ts';
import { WebSocketConnection } from './websocket.ts';
import { closePayload, encodeFrame, OPCODE, WebSocketReader, type FrameEvent } from './websocket-frames.ts';
import { webSocketTunnel } from './websocket-tunnel.ts';

const MASK = Uint8Array.of(9, 8, 7, 6);
const bytes = (value: string) => new TextEncoder().encode(value);

function setUp(options: { buffer?: number; maxMessage?: number; room?: number } = {}) {
  const clock = new VirtualClock();
  const env = { clock, random: seededRandom(1) };
  const [raw, peer] = testPipe(options.room);
  const server = new WebSocketConnection(raw, { env, role: 'server', ...options });
  const client = () => new WebSocketConnection(peer, { env, role: 'client' });
  return { clock, env, raw, peer, server, client };
}

/** What the server has sent to a peer that speaks frames by itself. */
async function frames(source: AsyncIterable<Uint8Array>): Promise<FrameEvent[]> {
  const reader = new WebSocketReader({ masked: false, maxMessage: 1 << 20 });
  const out: FrameEvent[] = [];
  for await (const chunk of source) out.push(...reader.read(chunk));
  return out;
}

test('both ends: messages, however long, then an orderly close', async () => {
  const { server, client } = setUp();
  const got: string[] = [];
  let text = '';
  const serving = server.run(({ chunk, last }) => {
    text += new TextDecoder().decode(chunk);
    if (last) got.push(text);
    if (last) text = '';
  });
  const socket = client();
  const running = socket.run(() => {});
  await socket.send([bytes('a'), bytes('b')]);
  await socket.send([bytes('x'.repeat(300_000))]);
  socket.close();
  await Promise.all([serving, running]);
  expect(got.map((m) => (m.length > 10 ? m.length : m))).toEqual(['ab', 300_000]);
  expect(server.signal.aborted).toBe(true);
});

test('pings are answered with what they carried', async () => {
  const { server, peer } = setUp();
  const serving = server.run(() => {});
  void peer.sink.write(encodeFrame(OPCODE.ping, [bytes('123')], MASK));
  void peer.sink.write(encodeFrame(OPCODE.close, [closePayload(1000, '')], MASK));
  await serving;
  expect(await frames(peer.source)).toEqual([
    { type: 'pong', payload: bytes('123') },
    { type: 'close', code: 1000, reason: '' },
  ]);
});

test('a peer that breaks the rules is told which and left', async () => {
  const { server, peer } = setUp({ maxMessage: 10 });
  const serving = server.run(() => {});
  void peer.sink.write(encodeFrame(OPCODE.binary, [bytes('x'.repeat(11))], MASK));
  await serving;
  expect(await frames(peer.source)).toEqual([{ type: 'close', code: 1009, reason: 'message too long' }]);
});

test('a peer that does not answer a close loses the connection after five seconds', async () => {
  const { server, clock, raw } = setUp();
  const serving = server.run(() => {});
  server.close();
  await drainMicrotasks();
  await clock.advance(4999);
  expect(raw.destroyed).toBe(false);
  await clock.advance(2);
  await serving;
  expect(raw.destroyed).toBe(true);
});

test('input nobody takes stops the reading, with signs of life meanwhile; what was held arrives whole', async () => {
  const { server, clock, peer } = setUp({ buffer: 1000, room: 5000 });
  const queue = new ByteQueue(server.budget);
  const serving = server.run(({ chunk }) => queue.push(chunk)).then(() => queue.end());
  let blocked = 0;
  for (let i = 0; i < 20; i++) {
    const wait = peer.sink.write(encodeFrame(OPCODE.binary, [bytes('x'.repeat(1000))], MASK));
    if (wait) blocked++;
    await drainMicrotasks();
  }
  expect(server.budget.used).toBeLessThan(3000);
  expect(blocked).toBeGreaterThan(5);
  await clock.advance(31_000);
  peer.sink.end();
  let total = 0;
  for await (const chunk of queue) total += chunk.length;
  await serving;
  expect(total).toBe(20_000);
  expect((await frames(peer.source)).map((event) => event.type)).toEqual(['pong', 'pong']);
});

test('a peer that asks without ever listening is left', async () => {
  const { server, peer, raw } = setUp({ room: 100 });
  const serving = server.run(() => {});
  for (let i = 0; i < 1500 && !raw.destroyed; i++) {
    void peer.sink.write(encodeFrame(OPCODE.ping, [bytes('x'.repeat(100))], MASK));
  }
  await serving;
  expect(raw.destroyed).toBe(true);
});

describe('channels', () => {
  test.each(COMMAND_PROTOCOLS)('$name: bytes of each channel arrive in order', async (protocol: ChannelProtocol) => {
    const { server, client } = setUp({ room: 1 << 20 });
    const got: Record<number, number[]> = {};
    const closed: number[] = [];
    const reader = new ChannelReader(
      protocol,
      (channel, chunk) => void (got[channel] ??= []).push(...chunk),
      (channel) => closed.push(channel),
    );
    const serving = server.run(reader.read);
    const socket = client();
    const running = socket.run(() => {});
    const long = Uint8Array.from({ length: 200_001 }, (_, i) => i % 251);
    await sendChannel(socket, protocol, 0, long);
    await sendChannel(socket, protocol, 4, bytes('{}'));
    await sendChannel(socket, protocol, 0, Uint8Array.of(7));
    await sendChannel(socket, protocol, 0, new Uint8Array(0));
    if (protocol.halfClose) await sendChannel(socket, protocol, 255, Uint8Array.of(0));
    socket.close();
    await Promise.all([serving, running]);
    expect(Buffer.from(got[0]!).equals(Buffer.from([...long, 7]))).toBe(true);
    expect(got[4]).toEqual([...bytes('{}')]);
    expect(closed).toEqual(protocol.halfClose ? [0] : []);
  });

  test('base64 that is none ends the connection', async () => {
    const { server, peer } = setUp();
    const protocol = COMMAND_PROTOCOLS.find((p) => p.base64)!;
    const serving = server.run(new ChannelReader(protocol, () => {}).read);
    void peer.sink.write(encodeFrame(OPCODE.text, [bytes('0###=')], MASK));
    await serving;
    expect(await frames(peer.source)).toEqual([{ type: 'close', code: 1002, reason: 'malformed base64' }]);
  });
});

test('a tunnel carries bytes without regard to messages, and ends with its connection', async () => {
  const { server, client } = setUp();
  const [near, far] = [webSocketTunnel(client()), webSocketTunnel(server)];
  const received = (async () => {
    let text = '';
    for await (const chunk of far.source) text += new TextDecoder().decode(chunk);
    return text;
  })();
  for (const part of ['a', '', 'bc', 'd'.repeat(200_000)]) await near.sink.write(bytes(part));
  near.close();
  expect((await received).length).toBe(200_003);
});
