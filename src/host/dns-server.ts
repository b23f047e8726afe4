// DNS on the wire: UDP and TCP listeners, the packet form, truncation, and forwarding to other servers.
// RFC 1035, RFC 6891 (EDNS), RFC 2308 (negative answers).

import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import packet, { type Answer, type DecodedPacket, type Packet } from 'dns-packet';
import type { Logger } from '../base/log.ts';
import type { DnsAnswer, DnsRecord } from '../dns/names.ts';

export interface DnsServerOptions {
  readonly address: string;
  readonly port: number;
  /** Time to live of the cluster's records, seconds. */
  readonly ttl: number;
  readonly domain: string;
  readonly log: Logger;
  /** `host` or `host:port` of servers for names that are not the cluster's; asked in turn. */
  readonly upstreams: readonly string[];
  ask(question: { readonly name: string; readonly type: string }): DnsAnswer;
}

const UDP_LIMIT = 512;
const MAX_UDP = 1232;
const FORWARD_TIMEOUT = 2_000;
const IDLE = 10_000;
const MAX_FORWARDS = 1_000;

export interface DnsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Resolves once both listeners are open. */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const handler = new Handler(options);
  const tcp = createServer((socket) => serveTcp(socket, handler));
  await new Promise<void>((resolve, reject) => {
    tcp.once('error', reject);
    tcp.listen(options.port, options.address, resolve);
  });
  const port = (tcp.address() as { port: number }).port;
  const udp = createSocket('udp4');
  await new Promise<void>((resolve, reject) => {
    udp.once('error', reject);
    udp.bind(port, options.address, resolve);
  });
  udp.on('message', (message, from) => void serveUdp(udp, message, from, handler));
  udp.on('error', (error) => options.log.warn('DNS socket', { error: error.message }));
  return { port, close: () => close(tcp, udp) };
}

async function close(tcp: Server, udp: UdpSocket): Promise<void> {
  udp.close();
  await new Promise((resolve) => tcp.close(resolve));
}

async function serveUdp(udp: UdpSocket, message: Buffer, from: RemoteInfo, handler: Handler): Promise<void> {
  const answer = await handler.answer(message, 'udp');
  if (answer) udp.send(answer, from.port, from.address, () => {});
}

function serveTcp(socket: Socket, handler: Handler): void {
  let pending = Buffer.alloc(0);
  socket.setTimeout(IDLE, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
      const length = pending.readUInt16BE(0);
      const message = pending.subarray(2, 2 + length);
      pending = pending.subarray(2 + length);
      void handler.answer(message, 'tcp').then((answer) => {
        if (!answer || socket.destroyed) return;
        const size = Buffer.alloc(2);
        size.writeUInt16BE(answer.length);
        socket.write(Buffer.concat([size, answer]));
      });
    }
  });
}

class Handler {
  readonly #options: DnsServerOptions;
  #forwards = 0;

  constructor(options: DnsServerOptions) {
    this.#options = options;
  }

  /** The answer to one message; undefined for what is no question. Never rejects. */
  async answer(message: Buffer, over: 'udp' | 'tcp'): Promise<Buffer | undefined> {
    let query: DecodedPacket;
    try {
      query = packet.decode(message);
    } catch {
      return message.length >= 12 ? failure(message, 1) : undefined;
    }
    const question = query.questions?.[0];
    if (query.type !== 'query' || !question) return undefined;
    const limit = over === 'tcp' ? 65_535 : udpLimit(query);
    try {
      const found = this.#options.ask({ name: question.name, type: question.type });
      if (found.status === 'outside') return await this.#forward(message, query, over);
      const cname = found.answers.find((a) => a.type === 'CNAME');
      const more = cname && question.type !== 'CNAME' ? await this.#follow(cname.data as string, question.type) : [];
      return this.#encode(query, found, more, limit);
    } catch (error) {
      this.#options.log.warn('cannot answer', {
        name: question.name,
        type: question.type,
        error: (error as Error).message,
      });
      return failure(message, 2);
    }
  }

  #encode(query: DecodedPacket, found: DnsAnswer, more: readonly Answer[], limit: number): Buffer {
    const { ttl, domain } = this.#options;
    const records = (list: readonly DnsRecord[]) => list.map((r) => ({ ...r, ttl }) as Answer);
    const negative = found.status !== 'found';
    const soa: Answer = {
      type: 'SOA',
      name: domain,
      ttl,
      data: {
        mname: `ns.dns.${domain}`,
        rname: `hostmaster.${domain}`,
        serial: 1,
        refresh: 7200,
        retry: 1800,
        expire: 86400,
        minimum: ttl,
      },
    };
    const edns = query.additionals?.some((a) => a.type === 'OPT');
    const response: Packet = {
      type: 'response',
      id: query.id ?? 0,
      flags:
        packet.AUTHORITATIVE_ANSWER |
        (query.flag_rd ? packet.RECURSION_DESIRED : 0) |
        packet.RECURSION_AVAILABLE |
        (found.status === 'nxdomain' ? 3 : 0),
      questions: query.questions ?? [],
      answers: [...records(found.answers), ...more],
      authorities: negative ? [soa] : [],
      additionals: [
        ...records(found.additionals),
        ...(edns ? [{ type: 'OPT', name: '.', udpPayloadSize: MAX_UDP } as unknown as Answer] : []),
      ],
    };
    const whole = packet.encode(response);
    if (whole.length <= limit) return whole;
    const lean = packet.encode({ ...response, additionals: [] });
    if (lean.length <= limit) return lean;
    return packet.encode({
      ...response,
      flags: (response.flags ?? 0) | packet.TRUNCATED_RESPONSE,
      answers: [],
      authorities: [],
      additionals: [],
    });
  }

  /** The records behind an ExternalName, as far as they can be had. */
  async #follow(name: string, type: string): Promise<Answer[]> {
    const inside = this.#options.ask({ name, type });
    if (inside.status !== 'outside') return inside.answers.map((r) => ({ ...r, ttl: this.#options.ttl }) as Answer);
    if (this.#options.upstreams.length === 0) return [];
    const query = packet.encode({
      type: 'query',
      id: 1,
      flags: packet.RECURSION_DESIRED,
      questions: [{ type: type as 'A', name }],
    });
    try {
      return packet.decode(await this.#exchange(query, 'udp')).answers ?? [];
    } catch {
      return [];
    }
  }

  async #forward(message: Buffer, query: DecodedPacket, over: 'udp' | 'tcp'): Promise<Buffer> {
    if (this.#options.upstreams.length === 0 || this.#forwards >= MAX_FORWARDS) return failure(message, 2);
    this.#forwards++;
    try {
      const answer = Buffer.from(await this.#exchange(message, over));
      answer.writeUInt16BE(query.id ?? 0, 0);
      return answer;
    } finally {
      this.#forwards--;
    }
  }

  async #exchange(message: Buffer, over: 'udp' | 'tcp'): Promise<Buffer> {
    let last: unknown;
    for (const upstream of this.#options.upstreams) {
      try {
        return await (over === 'udp' ? askUdp(message, upstream) : askTcp(message, upstream));
      } catch (error) {
        last = error;
      }
    }
    throw last as Error;
  }
}

function udpLimit(query: DecodedPacket): number {
  const opt = query.additionals?.find((a) => a.type === 'OPT') as { udpPayloadSize?: number } | undefined;
  return Math.max(UDP_LIMIT, Math.min(opt?.udpPayloadSize ?? UDP_LIMIT, 4096));
}

/** The question with an error code instead of answers. */
function failure(message: Buffer, rcode: number): Buffer {
  const answer = Buffer.from(message);
  answer[2] = (answer[2]! | 0x80) & ~0x02;
  answer[3] = 0x80 | rcode;
  return answer;
}

function hostOf(upstream: string): { host: string; port: number } {
  const match = /^(.*?)(?::(\d+))?$/.exec(upstream);
  return { host: match?.[1] ?? upstream, port: Number(match?.[2] ?? 53) };
}

function askUdp(message: Buffer, upstream: string): Promise<Buffer> {
  const { host, port } = hostOf(upstream);
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    const end = (settle: () => void) => {
      clearTimeout(timer);
      socket.close();
      settle();
    };
    const timer = setTimeout(() => end(() => reject(new Error(`${upstream} did not answer`))), FORWARD_TIMEOUT);
    socket.on('error', (error) => end(() => reject(error)));
    socket.on('message', (answer) => {
      if (answer.length >= 12 && answer.readUInt16BE(0) === message.readUInt16BE(0)) end(() => resolve(answer));
    });
    socket.connect(port, host, () => socket.send(message));
  });
}

function askTcp(message: Buffer, upstream: string): Promise<Buffer> {
  const { host, port } = hostOf(upstream);
  return new Promise((resolve, reject) => {
    let pending = Buffer.alloc(0);
    const socket = createConnection({ host, port });
    socket.setTimeout(FORWARD_TIMEOUT, () => socket.destroy(new Error(`${upstream} did not answer`)));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`${upstream} closed the connection`)));
    socket.on('connect', () => {
      const size = Buffer.alloc(2);
      size.writeUInt16BE(message.length);
      socket.write(Buffer.concat([size, message]));
    });
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      if (pending.length < 2 || pending.length < 2 + pending.readUInt16BE(0)) return;
      resolve(pending.subarray(2, 2 + pending.readUInt16BE(0)));
      socket.destroy();
    });
  });
}
