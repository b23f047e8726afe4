// Packets over real sockets on loopback.

import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, type Server } from 'node:net';
import packet, { type DecodedPacket, type Packet } from 'dns-packet';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../base/log.ts';
import type { DnsAnswer, DnsRecord } from '../dns/names.ts';
import { withLength } from './dns-forward.ts';
import { startDnsServer, type DnsServer } from './dns-server.ts';

const OUTSIDE: DnsAnswer = { status: 'outside', answers: [], additionals: [] };
const found = (answers: DnsRecord[], additionals: DnsRecord[] = []): DnsAnswer => ({
  status: 'found',
  answers,
  additionals,
});
const many = (n: number): DnsRecord[] =>
  Array.from({ length: n }, (_, i) => ({ type: 'A', name: 'many.local', data: `10.0.${i >> 8}.${i & 255}` }));

const NAMES: Record<string, DnsAnswer> = {
  'web.local': found([{ type: 'A', name: 'web.local', data: '10.96.0.7' }]),
  'empty.local': { status: 'empty', answers: [], additionals: [] },
  'none.local': { status: 'nxdomain', answers: [], additionals: [] },
  'many.local': found(many(60)),
  'most.local': found(many(25), many(30)),
  'far.local': found([{ type: 'CNAME', name: 'far.local', data: 'example.org' }]),
  'alias.local': found([{ type: 'CNAME', name: 'alias.local', data: 'web.local' }]),
  'loop.local': found([{ type: 'CNAME', name: 'loop.local', data: 'loop.local' }]),
  'big.local': found([{ type: 'CNAME', name: 'big.local', data: 'big.example.org' }]),
};
function ask({ name }: { name: string }): DnsAnswer {
  if (name === 'broken.local') throw new Error('out of order');
  return NAMES[name.toLowerCase()] ?? OUTSIDE;
}

/** The world outside: knows example.org, answers the rest with NXDOMAIN, and cuts big answers over UDP. */
class Upstream {
  readonly udp: UdpSocket = createSocket('udp4');
  readonly tcp: Server;
  port = 0;
  silent = false;
  readonly asked: string[] = [];

  constructor() {
    this.udp.on('message', (message, from) => {
      if (!this.silent) this.udp.send(this.#answer(message, 'udp'), from.port, from.address);
    });
    this.tcp = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk) => socket.write(withLength(this.#answer(chunk.subarray(2), 'tcp'))));
    });
  }
  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.tcp.listen(0, '127.0.0.1', resolve));
    this.port = (this.tcp.address() as { port: number }).port;
    await new Promise<void>((resolve) => this.udp.bind(this.port, '127.0.0.1', resolve));
  }
  #answer(message: Buffer, over: string): Buffer {
    const { id, questions = [] } = packet.decode(message);
    const { name = '', type = 'A' } = questions[0] ?? {};
    this.asked.push(`${over} ${name} ${type}`);
    const base: Packet = { type: 'response', id: id ?? 0, questions };
    const cut = name === 'big.example.org' && over === 'udp';
    if (cut) return packet.encode({ ...base, flags: packet.TRUNCATED_RESPONSE });
    if (!name.endsWith('example.org')) return packet.encode({ ...base, flags: 3 });
    return packet.encode({ ...base, answers: [{ type: 'A', name, ttl: 60, data: '192.0.2.1' }] });
  }
  async close(): Promise<void> {
    this.udp.close();
    await new Promise((resolve) => this.tcp.close(resolve));
  }
}

let upstream: Upstream;
let server: DnsServer;
const start = (upstreams: readonly string[]) =>
  startDnsServer({ address: '127.0.0.1', port: 0, ttl: 5, domain: 'local', log: silentLogger, upstreams, ask });
beforeEach(async () => {
  upstream = new Upstream();
  await upstream.open();
  server = await start([`127.0.0.1:${upstream.port}`]);
});
afterEach(async () => {
  await server.close();
  await upstream.close();
});

function exchangeUdp(message: Buffer, port = server.port): Promise<Buffer | undefined> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    const timer = setTimeout(() => finish(undefined), 100);
    const finish = (answer: Buffer | undefined) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    socket.on('message', finish);
    socket.send(message, port, '127.0.0.1');
  });
}
/** Sends the bytes in pieces, resolves to the first answers. */
function exchangeTcp(bytes: Buffer, count: number, pieces = 1): Promise<Buffer[]> {
  const socket = connect(server.port, '127.0.0.1');
  let pending = Buffer.alloc(0);
  const answers: Buffer[] = [];
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => resolve(answers));
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const size = pending.readUInt16BE(0);
        answers.push(pending.subarray(2, 2 + size));
        pending = pending.subarray(2 + size);
      }
      if (answers.length === count) socket.destroy();
    });
    socket.on('connect', () => {
      const size = Math.ceil(bytes.length / pieces);
      for (let at = 0; at < bytes.length; at += size) socket.write(bytes.subarray(at, at + size));
    });
  });
}
const query = (name: string, type = 'A', more: Partial<Packet> = {}) =>
  packet.encode({
    type: 'query',
    id: 4711,
    flags: packet.RECURSION_DESIRED,
    questions: [{ name, type: type as 'A' }],
    ...more,
  });
const udp = async (name: string, type = 'A', more: Partial<Packet> = {}) =>
  packet.decode((await exchangeUdp(query(name, type, more)))!);
const edns = (size: number) => ({ additionals: [{ type: 'OPT', name: '.', udpPayloadSize: size }] as never });
const data = ({ answers = [] }: DecodedPacket) => answers.map((a) => ('data' in a ? String(a.data) : ''));
const rcode = (message: { rcode?: string } | undefined) => message?.rcode;
type WithRcode = DecodedPacket & { rcode?: string };

describe('names of the cluster', () => {
  test('an answer', async () => {
    const answer = (await udp('web.local')) as WithRcode;
    expect(answer).toMatchObject({
      id: 4711,
      type: 'response',
      flag_aa: true,
      flag_rd: true,
      flag_ra: true,
      flag_tc: false,
    });
    expect(answer.answers).toEqual([expect.objectContaining({ type: 'A', ttl: 5, data: '10.96.0.7' })]);
    expect(rcode(answer)).toBe('NOERROR');
    expect(answer.questions).toEqual([expect.objectContaining({ name: 'web.local', type: 'A' })]);
  });

  test.each([
    ['empty.local', 'NOERROR'],
    ['none.local', 'NXDOMAIN'],
  ])('%s: %s, and for how long', async (name, code) => {
    const answer = (await udp(name)) as WithRcode;
    expect([rcode(answer), data(answer)]).toEqual([code, []]);
    expect(answer.authorities).toEqual([
      expect.objectContaining({
        type: 'SOA',
        name: 'local',
        ttl: 5,
        data: expect.objectContaining({ minimum: 5 }) as unknown,
      }),
    ]);
  });

  test('types nobody here knows', async () => {
    for (const type of ['UNKNOWN_65', 'UNKNOWN_64', 'CAA'])
      expect((await udp('web.local', type)).type).toBe('response');
  });

  test('a fault is told', async () => {
    expect(rcode((await udp('broken.local')) as WithRcode)).toBe('SERVFAIL');
  });
});

describe('size', () => {
  test('too long for UDP: cut, and whole over TCP', async () => {
    const cut = await udp('many.local');
    // 12 of header, 16 of question, then 16 for each address: what fits is there, for clients that know no TCP.
    expect([cut.flag_tc, data(cut).length]).toEqual([true, 30]);
    expect(new Set(cut.answers!.map((a) => a.name))).toEqual(new Set(['many.local']));
    const [whole] = await exchangeTcp(withLength(query('many.local')), 1);
    expect(data(packet.decode(whole!))).toHaveLength(60);
  });

  test('EDNS makes room, and is answered in kind', async () => {
    const whole = await udp('many.local', 'A', edns(1232));
    expect([whole.flag_tc, data(whole).length]).toEqual([false, 60]);
    expect(whole.additionals).toEqual([expect.objectContaining({ type: 'OPT', udpPayloadSize: 1232 })]);
    const small = await udp('many.local', 'A', edns(100));
    expect([small.flag_tc, data(small).length]).toEqual([true, 29]);
    expect(small.additionals).toEqual([expect.objectContaining({ type: 'OPT' })]);
    expect((await udp('web.local')).additionals).toEqual([]);
  });

  test('additional records are the first to go, and no reason to ask again', async () => {
    const lean = await udp('most.local');
    expect([lean.flag_tc, data(lean).length, lean.additionals!.length]).toEqual([false, 25, 4]);
  });
});

describe('TCP', () => {
  test('several questions in one connection, in pieces', async () => {
    const messages = ['web.local', 'none.local', 'web.local'].map((name) => withLength(query(name)));
    const answers = await exchangeTcp(Buffer.concat(messages), 3, 7);
    expect(answers.map((a) => rcode(packet.decode(a) as WithRcode))).toEqual(['NOERROR', 'NXDOMAIN', 'NOERROR']);
  });

  test('an open connection does not hold up the end', async () => {
    const socket = connect(server.port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {});
    const again = await start([]);
    await server.close();
    await closed;
    server = again;
  });
});

describe('what is no question', () => {
  const header = (...bytes: number[]) => Buffer.from([0x12, 0x34, ...bytes]);
  test.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['a few bytes', Buffer.from('abc')],
    ['an answer', packet.encode({ type: 'response', id: 1, questions: [{ name: 'web.local', type: 'A' }] })],
  ])('%s is ignored', async (_, message) => {
    expect(await exchangeUdp(message)).toBeUndefined();
  });

  test.each<[string, Buffer, number]>([
    ['no question in it', header(0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 1],
    ['a question that ends early', header(1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 5, 97), 1],
    [
      'two questions',
      packet.encode({
        type: 'query',
        id: 0x1234,
        questions: [
          { name: 'a', type: 'A' },
          { name: 'b', type: 'A' },
        ],
      }),
      1,
    ],
    ['an update', header(0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0), 4],
    [
      'another class',
      packet.encode({ type: 'query', id: 0x1234, questions: [{ name: 'version.bind', type: 'TXT', class: 'CH' }] }),
      5,
    ],
  ])('%s is refused', async (_, message, code) => {
    const answer = await exchangeUdp(message);
    expect(answer!.readUInt16BE(0)).toBe(0x1234);
    expect([answer![2]! & 0x80, answer![3]! & 0x0f]).toEqual([0x80, code]);
    expect((await udp('web.local')).type).toBe('response');
  });

  test('noise does no harm', async () => {
    let seed = 1;
    const random = () => (seed = (seed * 48271) % 2147483647);
    await Promise.all(
      Array.from({ length: 50 }, () => {
        const message = Buffer.from(Array.from({ length: random() % 80 }, () => random() & 255));
        return exchangeUdp(message);
      }),
    );
    expect(data(await udp('web.local'))).toEqual(['10.96.0.7']);
  });
});

describe('names of others', () => {
  test('are asked for as they were asked', async () => {
    expect(data(await udp('www.example.org'))).toEqual(['192.0.2.1']);
    expect(rcode((await udp('nobody.test', 'AAAA')) as WithRcode)).toBe('NXDOMAIN');
    const [answer] = await exchangeTcp(withLength(query('www.example.org')), 1);
    expect(data(packet.decode(answer!))).toEqual(['192.0.2.1']);
    expect(upstream.asked).toEqual(['udp www.example.org A', 'udp nobody.test AAAA', 'tcp www.example.org A']);
  });

  test('the next is asked when one does not answer', async () => {
    await server.close();
    server = await start(['127.0.0.1:1', `127.0.0.1:${upstream.port}`]);
    expect(data(await udp('www.example.org'))).toEqual(['192.0.2.1']);
  });

  test('refused where there is nobody to ask', async () => {
    await server.close();
    server = await start([]);
    expect(rcode((await udp('www.example.org')) as WithRcode)).toBe('REFUSED');
  });
});

describe('ExternalName', () => {
  test.each([
    ['far.local', ['example.org', '192.0.2.1']],
    ['alias.local', ['web.local', '10.96.0.7']],
    ['big.local', ['big.example.org', '192.0.2.1']],
  ])('%s is followed', async (name, expected) => {
    const answer = await udp(name);
    expect([answer.answers![0]!.type, data(answer)]).toEqual(['CNAME', expected]);
  });

  test('is told alone where nobody knows more, and when it was what was asked for', async () => {
    expect(data(await udp('far.local', 'CNAME'))).toEqual(['example.org']);
    await server.close();
    server = await start([]);
    expect(data(await udp('far.local'))).toEqual(['example.org']);
  });

  test('a circle ends', async () => {
    expect(data(await udp('loop.local', 'A', edns(1232))).length).toBeLessThan(10);
  });

  test('what did not fit over UDP is asked for again', async () => {
    await udp('big.local');
    expect(upstream.asked).toEqual(['udp big.example.org A', 'tcp big.example.org A']);
  });
});
