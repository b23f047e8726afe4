// Questions over TCP. A client costs no more than a bound: one that does not read its answers is not read from, one that
// does not finish its message is left, and when there are too many connections the one that has waited longest makes room.

import { createServer, type Server, type Socket } from 'node:net';
import { withLength } from './dns-forward.ts';

/** Milliseconds for one whole message to come, or for the next to begin. */
const PATIENCE = 10_000;
const MAX_CONNECTIONS = 500;
/** Questions of one connection that are being answered, and bytes of answers that it has not taken. */
const MAX_UNANSWERED = 32;
const MAX_UNREAD = 256 * 1024;

type Answerer = (message: Buffer) => Promise<Buffer | undefined>;

export class DnsTcpServer {
  readonly server: Server;
  /** Those that owe us a message, since the longest first. */
  readonly #connections = new Set<Connection>();

  constructor(answer: Answerer) {
    this.server = createServer((socket) => {
      if (this.#connections.size >= MAX_CONNECTIONS) this.#makeRoom();
      const connection = new Connection(socket, answer, () => {
        this.#connections.delete(connection);
        this.#connections.add(connection);
      });
      this.#connections.add(connection);
      socket.on('close', () => this.#connections.delete(connection));
    });
  }

  /** Drops open connections. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const connection of this.#connections) connection.end();
    await closed;
  }

  #makeRoom(): void {
    for (const connection of this.#connections) {
      this.#connections.delete(connection);
      return connection.end();
    }
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #answer: Answerer;
  readonly #progress: () => void;
  #pending: Buffer[] = [];
  #length = 0;
  #unanswered = 0;
  #deadline: NodeJS.Timeout;

  /** `progress` is told of every whole message. */
  constructor(socket: Socket, answer: Answerer, progress: () => void) {
    this.#socket = socket;
    this.#answer = answer;
    this.#progress = progress;
    this.#deadline = setTimeout(() => socket.destroy(), PATIENCE);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => clearTimeout(this.#deadline));
    socket.on('drain', () => this.#read());
    socket.on('data', (chunk) => {
      this.#pending.push(chunk);
      this.#length += chunk.length;
      this.#read();
    });
  }

  end(): void {
    this.#socket.destroy();
  }

  #full(): boolean {
    return this.#unanswered >= MAX_UNANSWERED || this.#socket.writableLength > MAX_UNREAD;
  }

  /** Answers what is there whole, as far as the client takes answers. */
  #read(): void {
    if (this.#socket.destroyed) return;
    let rest = this.#length >= this.#wanted() ? joined(this.#pending) : undefined;
    while (rest && !this.#full() && rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const end = 2 + rest.readUInt16BE(0);
      void this.#reply(rest.subarray(2, end));
      rest = rest.subarray(end);
      this.#deadline.refresh();
      this.#progress();
    }
    if (rest) {
      this.#pending = [rest];
      this.#length = rest.length;
    }
    if (this.#full()) this.#socket.pause();
    else this.#socket.resume();
  }

  /** Bytes of the message under way, with its length; what has come in many pieces is joined once it is whole. */
  #wanted(): number {
    const [first] = this.#pending;
    return first && first.length >= 2 ? 2 + first.readUInt16BE(0) : 2;
  }

  async #reply(message: Buffer): Promise<void> {
    this.#unanswered++;
    const answer = await this.#answer(message);
    this.#unanswered--;
    if (!this.#socket.writable) return;
    if (answer) this.#socket.write(withLength(answer));
    this.#read();
  }
}

const joined = (parts: readonly Buffer[]) => (parts.length === 1 ? parts[0]! : Buffer.concat(parts));
