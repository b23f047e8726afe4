// Asks a DNS server as a resolver does, and floods it as nobody should.

import { fork, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import packet, { type DecodedPacket } from 'dns-packet';
import { withLength } from '../../../src/host/dns-forward.ts';
import type { DnsChildOptions } from './dns-main.ts';
import { DNS_NODE_FLAGS } from '../../../src/cluster/system-image.ts';

export interface DnsChild extends AsyncDisposable {
  readonly port: number;
  readonly log: readonly string[];
  /** After a garbage collection. Bytes of objects and buffers. */
  held(): Promise<number>;
  /** Megabytes resident at worst since its start. */
  peak(): number;
  readonly running: boolean;
}

export async function startDnsChild(options: DnsChildOptions): Promise<DnsChild> {
  const child: ChildProcess = fork(join(import.meta.dirname, 'dns-main.ts'), [JSON.stringify(options)], {
    execArgv: ['--expose-gc', ...DNS_NODE_FLAGS],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const log: string[] = [];
  createInterface({ input: child.stderr! }).on('line', (line) => log.push(line));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const told = <T>() =>
    new Promise<T>((resolve, reject) => {
      child.once('message', (message) => resolve(message as T));
      void ended.then(() => reject(new Error(`the DNS server ended\n${log.slice(-30).join('\n')}`)));
    });
  const { port } = await told<{ port: number }>();
  return {
    port,
    log,
    async held() {
      const answer = told<NodeJS.MemoryUsage>();
      child.send('memory');
      const { heapUsed, external } = await answer;
      return heapUsed + external;
    },
    peak: () => Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]) / 1024,
    get running() {
      return child.exitCode === null && child.signalCode === null;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** The types of the package do not tell of the response code, `NOERROR`, `NXDOMAIN` and so on. */
export type Reply = DecodedPacket & { readonly rcode?: string };

let nextId = 1;

export function query(name: string, type: 'A' | 'SRV' = 'A'): Buffer {
  nextId = (nextId + 1) & 0xffff;
  return packet.encode({ type: 'query', id: nextId, flags: packet.RECURSION_DESIRED, questions: [{ name, type }] });
}

/** As a resolver does: over UDP, up to five times, a second each. Undefined when nobody answers. */
export async function resolve(port: number, name: string): Promise<Reply | undefined> {
  for (let attempt = 0; attempt < 5; attempt++) {
    const answer = await once(port, query(name), 1_000);
    if (answer) return packet.decode(answer);
  }
  return undefined;
}

function once(port: number, message: Buffer, timeout: number): Promise<Buffer | undefined> {
  const socket = createSocket('udp4');
  return new Promise((settle) => {
    const end = (answer: Buffer | undefined) => {
      clearTimeout(timer);
      socket.close();
      settle(answer);
    };
    const timer = setTimeout(() => end(undefined), timeout);
    socket.on('error', () => end(undefined));
    socket.on('message', (answer) => answer.readUInt16BE(0) === message.readUInt16BE(0) && end(answer));
    socket.send(message, port, '127.0.0.1');
  });
}

/** Sends all of them from a few sockets, as quickly as the sockets take them. Resolves to how many answers came. */
export async function flood(port: number, messages: Iterable<Buffer>, patience = 200): Promise<number> {
  const sockets = Array.from({ length: 8 }, () => createSocket('udp4'));
  let answers = 0;
  for (const socket of sockets) socket.on('message', () => answers++).on('error', () => undefined);
  let sent = 0;
  for (const message of messages) {
    const socket = sockets[sent++ % sockets.length]!;
    await new Promise((resolve) => socket.send(message, port, '127.0.0.1', resolve));
  }
  await delay(patience);
  for (const socket of sockets) socket.close();
  return answers;
}

export interface TcpClient {
  readonly socket: Socket;
  /** Resolves once the server has ended it. */
  readonly closed: Promise<void>;
}

export function openTcp(port: number): Promise<TcpClient> {
  const socket = connect(port, '127.0.0.1');
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined);
  return new Promise((resolve) => {
    socket.once('connect', () => resolve({ socket, closed }));
    void closed.then(() => resolve({ socket, closed }));
  });
}

/** One question over a connection of its own. Undefined when it is closed, or nothing comes for so many milliseconds. */
export async function resolveTcp(port: number, message: Buffer, timeout = 5_000): Promise<Reply | undefined> {
  const { socket, closed } = await openTcp(port);
  let pending = Buffer.alloc(0);
  const answered = new Promise<Reply>((resolve) => {
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      if (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0))
        resolve(packet.decode(pending.subarray(2)));
    });
  });
  socket.write(withLength(message));
  const answer = await Promise.race([answered, closed, delay(timeout)]);
  socket.destroy();
  return answer ?? undefined;
}
