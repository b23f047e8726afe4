import { constants, createDeflate } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SpdyConnection, type SpdyOptions, type SpdyStream } from '../api/streams/spdy.ts';
import { HeaderWriter, parseHeaders, SPDY_DICTIONARY } from '../api/streams/spdy-headers.ts';
import {
  dataFrame,
  pingFrame,
  resetFrame,
  SpdyReader,
  synStreamFrame,
  type SpdyEvent,
} from '../api/streams/spdy-frames.ts';
import { testPipe, type PipeEnd } from '../api/streams/test-pipe.ts';
import { drainMicrotasks, VirtualClock } from '../base/virtual-clock.ts';
import { headerInflater } from './spdy-headers.ts';

const bytes = (value: string) => new TextEncoder().encode(value);
const text = (value: Uint8Array) => new TextDecoder().decode(value);

/** Header blocks as kubectl sends them: deflated, flushed after each. */
function deflater() {
  const stream = createDeflate({ dictionary: SPDY_DICTIONARY });
  return (block: Uint8Array) =>
    new Promise<Uint8Array>((resolve) => {
      const chunks: Buffer[] = [];
      const take = (chunk: Buffer) => chunks.push(chunk);
      stream.on('data', take);
      stream.write(block);
      stream.flush(constants.Z_SYNC_FLUSH, () => {
        setImmediate(() => {
          stream.off('data', take);
          resolve(Buffer.concat(chunks));
        });
      });
    });
}

/** The plain form of a header block. */
function plain(headers: Record<string, string>): Uint8Array {
  const stored = new HeaderWriter().encode(headers);
  return stored.slice(11, stored.length - 5);
}

function serve(options: Partial<SpdyOptions> = {}, room?: number) {
  const clock = new VirtualClock();
  const [raw, peer] = testPipe(room);
  const streams: SpdyStream[] = [];
  const connection = new SpdyConnection(raw, {
    env: { clock },
    role: 'server',
    inflater: headerInflater(),
    onStream: (stream) => {
      stream.accept();
      streams.push(stream);
    },
    ...options,
  });
  return { clock, raw, peer, streams, running: connection.run(), connection };
}

async function sent(peer: PipeEnd): Promise<SpdyEvent[]> {
  const reader = new SpdyReader();
  const out: SpdyEvent[] = [];
  for await (const chunk of peer.source) out.push(...reader.read(chunk));
  return out;
}

/** Zlib works on threads of its own. */
const until = async (done: () => boolean) => {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
};

async function all(source: AsyncIterable<Uint8Array>): Promise<string> {
  let out = '';
  for await (const chunk of source) out += text(chunk);
  return out;
}

test('the dictionary is the one of the specification', () => expect(SPDY_DICTIONARY.length).toBe(1423));

test('headers from zlib and from our own writer, block after block', async () => {
  const [deflate, writer] = [deflater(), new HeaderWriter()];
  const [theirs, ours] = [headerInflater(), headerInflater()];
  const blocks: Record<string, string>[] = [
    { streamtype: 'data', port: '80' },
    {},
    { 'x-long': 'y'.repeat(40_000) },
    { ü: 'ß' },
  ];
  for (const headers of blocks) {
    const known = Object.entries(headers);
    expect([...parseHeaders(await theirs.inflate(await deflate(plain(headers)), 1 << 16))]).toEqual(known);
    expect([...parseHeaders(await ours.inflate(writer.encode(headers), 1 << 16))]).toEqual(known);
  }
  theirs.close();
  await expect(theirs.inflate(bytes('late'), 1 << 16)).rejects.toThrow('closed');
});

describe('header blocks of an attacker', () => {
  test('noise, a bomb, one that is cut', async () => {
    await expect(headerInflater().inflate(bytes('no zlib at all'), 1 << 16)).rejects.toThrow('incorrect header check');
    const bomb = await deflater()(new Uint8Array(20 << 20));
    expect(bomb.length).toBeLessThan(32 * 1024);
    await expect(headerInflater().inflate(bomb, 1 << 16)).rejects.toThrow('more than 65536 bytes of headers');
    expect(() => parseHeaders(plain({ a: 'b' }).subarray(0, -1))).toThrow('too short');
    expect(() => parseHeaders(Uint8Array.of(255, 255, 255, 255))).toThrow('too short');
  });

  test('end the connection', async () => {
    const { peer, running, raw } = serve();
    void peer.sink.write(synStreamFrame(1, false, bytes('no zlib at all')));
    await running;
    expect((await sent(peer)).map((event) => event.type)).toEqual(['goaway']);
    expect(raw.destroyed).toBe(false);
  });
});

test('streams: headers, data and the end, each way on its own, cut anywhere', async () => {
  const deflate = deflater();
  const opening = synStreamFrame(1, false, await deflate(plain({ streamtype: 'stdin' })));
  const second = synStreamFrame(3, true, await deflate(plain({ streamtype: 'error' })));
  const stream = Buffer.concat([
    opening,
    dataFrame(1, bytes('hello '), false),
    second,
    dataFrame(1, bytes(''), false),
    dataFrame(99, bytes('nobody'), false),
    Buffer.from([0x80, 3, 0, 9, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 16, 0]),
    Buffer.from([0x80, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0]),
    dataFrame(1, bytes('world'), true),
    pingFrame(7),
  ]);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(stream.length), { maxLength: 10 }), async (cuts) => {
      const { peer, streams, running } = serve();
      let from = 0;
      for (const at of [...cuts.sort((a, b) => a - b), stream.length]) {
        void peer.sink.write(stream.subarray(from, at));
        from = at;
      }
      await until(() => streams.length === 2);
      const [stdin, error] = streams as [SpdyStream, SpdyStream];
      expect([stdin.headers.get('streamtype'), error.headers.get('streamtype')]).toEqual(['stdin', 'error']);
      expect(await all(stdin.input)).toBe('hello world');
      void stdin.output.write(bytes('back'));
      stdin.output.end();
      void stdin.output.write(bytes('late'));
      peer.sink.end();
      await running;
      expect(error.signal.aborted).toBe(true);
      const events = (await sent(peer)).map((e) =>
        e.type === 'data' ? `data ${e.id} ${text(e.chunk)} ${e.fin}` : e.type,
      );
      // The answer to the ping may come between.
      expect(events.filter((e) => e !== 'ping')).toEqual(['headers', 'headers', 'data 1 back false', 'data 1  true']);
      expect(events).toContain('ping');
    }),
    { numRuns: 25 },
  );
});

describe('what is no SPDY ends the connection', () => {
  const cases: [string, (deflate: (b: Uint8Array) => Promise<Uint8Array>) => Promise<Uint8Array>][] = [
    ['another version', async () => Uint8Array.of(0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1)],
    ['a control frame of megabytes', async () => Uint8Array.of(0x80, 3, 0, 1, 0, 0x7f, 0, 0)],
    ['a control frame too short', async () => Uint8Array.of(0x80, 3, 0, 6, 0, 0, 0, 1, 0)],
    ['a stream of ours', async (deflate) => synStreamFrame(2, false, await deflate(plain({})))],
    [
      'streams out of order',
      async (deflate) =>
        Buffer.concat([
          synStreamFrame(3, false, await deflate(plain({}))),
          synStreamFrame(1, false, await deflate(plain({}))),
        ]),
    ],
  ];
  test.each(cases)('%s', async (_, make) => {
    const { peer, running } = serve();
    void peer.sink.write(await make(deflater()));
    await running;
    expect((await sent(peer)).at(-1)?.type).toBe('goaway');
  });

  test('noise', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (noise) => {
        const { peer, running } = serve();
        void peer.sink.write(noise);
        peer.sink.end();
        await running;
      }),
      { numRuns: 50 },
    );
  });
});

test('streams beyond the limit are refused, and give room when they are over', async () => {
  const { peer, streams } = serve({ maxStreams: 2 });
  const deflate = deflater();
  for (const id of [1, 3, 5]) void peer.sink.write(synStreamFrame(id, false, await deflate(plain({}))));
  await until(() => streams.length === 2);
  void peer.sink.write(resetFrame(1, 5));
  void peer.sink.write(synStreamFrame(7, false, await deflate(plain({}))));
  await until(() => streams.length === 3);
  expect(streams.map((stream) => [stream.id, stream.signal.aborted])).toEqual([
    [1, true],
    [3, false],
    [7, false],
  ]);
  peer.close();
});

test('input nobody takes stops the reading, with signs of life meanwhile', async () => {
  const { peer, streams, clock, running } = serve({ buffer: 1000 }, 4000);
  void peer.sink.write(synStreamFrame(1, false, await deflater()(plain({}))));
  await until(() => streams.length === 1);
  for (let i = 0; i < 20; i++) {
    void peer.sink.write(dataFrame(1, new Uint8Array(1000), false));
    await drainMicrotasks();
  }
  expect(peer.unread).toBeGreaterThan(15_000);
  await clock.advance(16_000);
  void peer.sink.write(dataFrame(1, bytes(''), true));
  let total = 0;
  for await (const chunk of streams[0]!.input) total += chunk.length;
  expect(total).toBe(20_000);
  peer.sink.end();
  await running;
  expect((await sent(peer)).filter((event) => event.type === 'ping')).toEqual([{ type: 'ping', id: 2 }]);
});

test('both ends: a client of our own', async () => {
  const { peer, streams, running } = serve();
  const client = new SpdyConnection(peer, { env: { clock: new VirtualClock() }, role: 'client' });
  const clientRunning = client.run();
  const long = 'z'.repeat(200_000);
  const [error, data] = [client.open({ streamtype: 'error' }, { fin: true }), client.open({ streamtype: 'data' })];
  const sending = (async () => {
    await data.output.write(bytes(long));
    data.output.end();
  })();
  await until(() => streams.length === 2);
  expect(await all(streams[0]!.input)).toBe('');
  expect(await all(streams[1]!.input)).toBe(long);
  await sending;
  void streams[1]!.output.write(bytes('answer'));
  for (const stream of streams) stream.output.end();
  expect([await all(data.input), await all(error.input)]).toEqual(['answer', '']);
  client.close();
  peer.close();
  await Promise.all([running, clientRunning]);
});
