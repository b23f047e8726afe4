// DNS on the wire: UDP and TCP listeners, the packet form, truncation, and what is forwarded to other servers.
// RFC 1035, RFC 6891 (EDNS), RFC 2308 (negative answers).

import { randomInt } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import packet, { type Answer, type DecodedPacket, type Question } from 'dns-packet';
import type { Logger } from '../base/log.ts';
import type { DnsAnswer, DnsRecord } from '../dns/names.ts';
import { encodeResponse } from './dns-encode.ts';
import { DnsForwarder, type DnsTransport } from './dns-forward.ts';
import { DnsTcpServer } from './dns-tcp.ts';

export interface DnsServerOptions {
  readonly address: string;
  readonly port: number;
  /** Time to live of the cluster's records, seconds. */
  readonly ttl: number;
  readonly domain: string;
  readonly log: Logger;
  /** `host`, `host:port` or `[v6]:port` of servers for names that are not the cluster's; asked in turn. */
  readonly upstreams: readonly string[];
  ask(question: { readonly name: string; readonly type: string }): DnsAnswer;
}

const UDP_LIMIT = 512;
/** What we take over UDP, and at most send: more is likely to be cut on its way. */
const MAX_UDP = 1232;
/** ExternalNames of ExternalNames are followed this far. */
const MAX_HOPS = 8;
const HEADER = 12;
/** Milliseconds between log lines about questions that could not be answered. */
const COMPLAINTS = 10_000;
const RCODE = { formatError: 1, serverFailure: 2, nameError: 3, notImplemented: 4, refused: 5 } as const;

export interface DnsServer {
  readonly port: number;
  /** Drops open connections. */
  close(): Promise<void>;
}

/** Resolves once both listeners are open. */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const handler = new Handler(options);
  const tcp = new DnsTcpServer((message) => handler.answer(message, 'tcp'));
  await new Promise<void>((resolve, reject) => {
    tcp.server.once('error', reject);
    tcp.server.listen(options.port, options.address, resolve);
  });
  // Without descriptors left a connection is not taken; the others go on.
  tcp.server.on('error', (error) => options.log.warn('DNS socket', { error: error.message }));
  const { port } = tcp.server.address() as AddressInfo;
  const udp = createSocket(options.address.includes(':') ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      udp.once('error', reject);
      udp.bind(port, options.address, resolve);
    });
  } catch (error) {
    await tcp.close();
    throw error;
  }
  let open = true;
  udp.on('message', (message, from) => void serveUdp(udp, message, from, handler, () => open));
  udp.on('error', (error) => options.log.warn('DNS socket', { error: error.message }));
  return {
    port,
    async close() {
      open = false;
      udp.close();
      await tcp.close();
    },
  };
}

async function serveUdp(
  udp: UdpSocket,
  message: Buffer,
  from: RemoteInfo,
  handler: Handler,
  isOpen: () => boolean,
): Promise<void> {
  const answer = await handler.answer(message, 'udp');
  // Nobody waits for an error here: an answer that cannot be sent is one that got lost.
  if (answer && isOpen()) udp.send(answer, from.port, from.address, () => {});
}

class Handler {
  readonly #options: DnsServerOptions;
  readonly #forwarder: DnsForwarder;
  #silentUntil = 0;
  /** Questions without an answer that the log does not tell of yet. */
  #unheard = 0;

  constructor(options: DnsServerOptions) {
    this.#options = options;
    this.#forwarder = new DnsForwarder(options.upstreams);
  }

  /** The answer to one message; undefined for what is no question. Never rejects. */
  async answer(message: Buffer, over: DnsTransport): Promise<Buffer | undefined> {
    if (message.length < HEADER || message[2]! & 0x80) return undefined;
    // Only standard queries: no updates, no notifications.
    if ((message[2]! >> 3) & 0x0f) return failure(message, RCODE.notImplemented);
    if (!modest(message)) return failure(message, RCODE.formatError);
    let query: DecodedPacket;
    try {
      query = packet.decode(message);
    } catch {
      return failure(message, RCODE.formatError);
    }
    const question = query.questions?.[0];
    if (!question || query.questions!.length > 1) return failure(message, RCODE.formatError);
    if (question.class !== undefined && question.class !== 'IN' && question.class !== 'ANY')
      return failure(message, RCODE.refused);
    try {
      return await this.#answer(message, query, question, over);
    } catch (error) {
      this.#complain(question, error as Error);
      return failure(message, RCODE.serverFailure);
    }
  }

  /** Somebody's flood must not become one of the log's. */
  #complain({ name, type }: Question, error: Error): void {
    const now = performance.now();
    this.#unheard++;
    if (now < this.#silentUntil) return;
    this.#options.log.warn('cannot answer', { name, type, error: error.message, questions: this.#unheard });
    this.#silentUntil = now + COMPLAINTS;
    this.#unheard = 0;
  }

  async #answer(message: Buffer, query: DecodedPacket, { name, type }: Question, over: DnsTransport): Promise<Buffer> {
    const found = this.#options.ask({ name, type });
    if (found.status === 'outside')
      return this.#forwarder.available ? this.#forwarder.ask(message, over) : failure(message, RCODE.refused);
    const cname = found.answers.find((a) => a.type === 'CNAME');
    const more = cname && type !== 'CNAME' ? await this.#follow(cname.data as string, type) : [];
    return this.#encode(query, found, more, over === 'tcp' ? 65_535 : udpLimit(query));
  }

  #encode(query: DecodedPacket, found: DnsAnswer, more: readonly Answer[], limit: number): Buffer {
    const edns = query.additionals?.some((a) => a.type === 'OPT');
    const flags =
      packet.AUTHORITATIVE_ANSWER |
      (query.flag_rd ? packet.RECURSION_DESIRED : 0) |
      packet.RECURSION_AVAILABLE |
      (found.status === 'nxdomain' ? RCODE.nameError : 0);
    const response = {
      id: query.id ?? 0,
      flags,
      questions: query.questions ?? [],
      answers: [...this.#records(found.answers), ...more],
      authorities: found.status === 'found' ? [] : [this.#soa()],
      additionals: this.#records(found.additionals),
      edns: edns ? { udpPayloadSize: MAX_UDP } : undefined,
    };
    return encodeResponse(response, limit);
  }

  #records(list: readonly DnsRecord[]): Answer[] {
    return list.map((record) => ({ ...record, ttl: this.#options.ttl }) as Answer);
  }

  /** How long a name may be thought not to exist. */
  #soa(): Answer {
    const { ttl, domain } = this.#options;
    const data = {
      mname: `ns.dns.${domain}`,
      rname: `hostmaster.${domain}`,
      serial: 1,
      refresh: 7200,
      retry: 1800,
      expire: 86400,
      minimum: ttl,
    };
    return { type: 'SOA', name: domain, ttl, data };
  }

  /** The records behind an ExternalName, as far as they can be had. */
  async #follow(name: string, type: string, hops = 1): Promise<Answer[]> {
    const inside = this.#options.ask({ name, type });
    if (inside.status !== 'outside') {
      const next = inside.answers.find((a) => a.type === 'CNAME');
      const more = next && hops < MAX_HOPS ? await this.#follow(next.data as string, type, hops + 1) : [];
      return [...this.#records(inside.answers), ...more];
    }
    if (!this.#forwarder.available) return [];
    const questions = [{ type: type as 'A', name }];
    const query = packet.encode({ type: 'query', id: randomInt(65_536), flags: packet.RECURSION_DESIRED, questions });
    try {
      return packet.decode(await this.#forwarder.askWhole(query)).answers ?? [];
    } catch (error) {
      this.#options.log.debug('cannot follow an ExternalName', { name, error: (error as Error).message });
      return [];
    }
  }
}

function udpLimit(query: DecodedPacket): number {
  const opt = query.additionals?.find((a) => a.type === 'OPT') as { udpPayloadSize?: number } | undefined;
  return Math.max(UDP_LIMIT, Math.min(opt?.udpPayloadSize ?? UDP_LIMIT, MAX_UDP));
}

/** No more records than a question has: reading thousands of compressed names would keep everybody else waiting. */
function modest(message: Buffer): boolean {
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => message.readUInt16BE(at));
  return questions === 1 && answers! <= 1 && authorities! <= 1 && additionals! <= 2;
}

/** A header with an error code: the question is not repeated, for it may be what was wrong. */
function failure(message: Buffer, rcode: number): Buffer {
  const answer = Buffer.alloc(HEADER);
  message.copy(answer, 0, 0, 2);
  // A response to the same kind of query, recursion as desired and, here, available.
  answer[2] = 0x80 | (message[2]! & 0x79);
  answer[3] = 0x80 | rcode;
  if (rcode === RCODE.formatError || rcode === RCODE.notImplemented) return answer;
  const question = questionOf(message);
  answer.writeUInt16BE(1, 4);
  return Buffer.concat([answer, question]);
}

/** The first question's bytes, in a message that has been decoded before. */
function questionOf(message: Buffer): Buffer {
  let at = HEADER;
  while (message[at]! > 0) at += message[at]! + 1;
  return message.subarray(HEADER, at + 5);
}
