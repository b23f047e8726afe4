// Asks other DNS servers, one after the other until one answers: over UDP first, over TCP when the answer did not fit.

import { createSocket } from 'node:dgram';
import { existsSync, readFileSync } from 'node:fs';
import { createConnection, isIPv6 } from 'node:net';

const MAX_UNDER_WAY = 1_000;
const TRUNCATED = 0x02;

export type DnsTransport = 'udp' | 'tcp';

export class DnsForwarder {
  readonly #upstreams: readonly string[];
  readonly #timeout: number;
  #underWay = 0;

  /** `host`, `host:port` or `[v6]:port`; each has so many milliseconds to answer. */
  constructor(upstreams: readonly string[], timeout = 2_000) {
    this.#upstreams = upstreams;
    this.#timeout = timeout;
  }

  /** Whether there is anybody to ask now. */
  get available(): boolean {
    return this.#upstreams.length > 0 && this.#underWay < MAX_UNDER_WAY;
  }

  /** The answer to a packed question, as it came. Rejects when nobody answers. */
  async ask(message: Buffer, over: DnsTransport): Promise<Buffer> {
    if (!this.available) throw new Error('nobody to ask');
    this.#underWay++;
    try {
      return await this.#inTurn(message, over);
    } finally {
      this.#underWay--;
    }
  }

  /** As `ask`, whole: over TCP when UDP brought a part. */
  async askWhole(message: Buffer): Promise<Buffer> {
    const answer = await this.ask(message, 'udp');
    return answer[2]! & TRUNCATED ? this.ask(message, 'tcp') : answer;
  }

  async #inTurn(message: Buffer, over: DnsTransport): Promise<Buffer> {
    let last: unknown;
    for (const upstream of this.#upstreams) {
      try {
        return await (over === 'udp'
          ? askUdp(message, upstream, this.#timeout)
          : askTcp(message, upstream, this.#timeout));
      } catch (error) {
        last = error;
      }
    }
    throw last as Error;
  }
}

/** The IPv4 servers that a resolv.conf names; none when there is no such file. */
export function nameservers(resolvConf: string): string[] {
  if (!existsSync(resolvConf)) return [];
  const servers = readFileSync(resolvConf, 'utf8').matchAll(/^\s*nameserver\s+(\S+)/gm);
  return [...servers].map((m) => m[1]!).filter((ip) => !ip.includes(':'));
}

function placeOf(upstream: string): { host: string; port: number } {
  const bracketed = /^\[(.+)\](?::(\d+))?$/.exec(upstream);
  if (bracketed) return { host: bracketed[1]!, port: Number(bracketed[2] ?? 53) };
  if (isIPv6(upstream)) return { host: upstream, port: 53 };
  const [host = '', port = '53'] = upstream.split(':');
  return { host, port: Number(port) };
}

function askUdp(message: Buffer, upstream: string, timeout: number): Promise<Buffer> {
  const { host, port } = placeOf(upstream);
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    const end = (settle: () => void) => {
      clearTimeout(timer);
      socket.close();
      settle();
    };
    const timer = setTimeout(() => end(() => reject(new Error(`${upstream} did not answer`))), timeout);
    socket.on('error', (error) => end(() => reject(error)));
    socket.on('message', (answer) => {
      if (answer.length >= 12 && answer.readUInt16BE(0) === message.readUInt16BE(0)) end(() => resolve(answer));
    });
    socket.connect(port, host, () => socket.send(message));
  });
}

function askTcp(message: Buffer, upstream: string, timeout: number): Promise<Buffer> {
  const { host, port } = placeOf(upstream);
  return new Promise((resolve, reject) => {
    let pending = Buffer.alloc(0);
    const socket = createConnection({ host, port });
    socket.setTimeout(timeout, () => socket.destroy(new Error(`${upstream} did not answer`)));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`${upstream} closed the connection`)));
    socket.on('connect', () => socket.write(withLength(message)));
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      if (pending.length < 2 || pending.length < 2 + pending.readUInt16BE(0)) return;
      resolve(pending.subarray(2, 2 + pending.readUInt16BE(0)));
      socket.destroy();
    });
  });
}

/** A message as TCP carries it: behind its length. */
export function withLength(message: Buffer): Buffer {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(message.length);
  return Buffer.concat([size, message]);
}
