// Who may stay connected: as many as the limit says. When there are more, those go first who have not finished their TLS
// handshake, then those who ask for nothing, the oldest first; whoever is being served stays. Names of connections are
// the addresses of their other ends, for that is what Node's plain and TLS sockets have in common.

import type { Socket } from 'node:net';

interface Connection {
  readonly socket: Socket;
  secured: boolean;
  /** Requests under way. */
  active: number;
}

type Ends = Pick<Socket, 'remoteAddress' | 'remotePort'>;
const nameOf = ({ remoteAddress, remotePort }: Ends) => `${remoteAddress} ${remotePort}`;

export class ConnectionLimit {
  readonly #max: number;
  /** Oldest first. */
  readonly #open = new Map<string, Connection>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#open.size;
  }

  /** A connection has been accepted. */
  opened(socket: Socket): void {
    const name = nameOf(socket);
    const connection: Connection = { socket, secured: false, active: 0 };
    // One of before that came from there has closed, though we have not heard of it: its place in the order is no longer held.
    this.#open.delete(name);
    this.#open.set(name, connection);
    socket.once('close', () => {
      if (this.#open.get(name) === connection) this.#open.delete(name);
    });
    if (this.#open.size > this.#max) this.#makeRoom(name);
  }

  /** Its handshake is done. */
  secured(socket: Ends): void {
    const connection = this.#open.get(nameOf(socket));
    if (connection) connection.secured = true;
  }

  /** A request has come over it; call the result when it has ended. */
  asked(socket: Ends): () => void {
    const connection = this.#open.get(nameOf(socket));
    if (!connection) return () => {};
    connection.active++;
    return () => void connection.active--;
  }

  #makeRoom(newest: string): void {
    let idle: string | undefined;
    let victim: string | undefined;
    for (const [name, { secured, active }] of this.#open) {
      if (name === newest) continue;
      if (!secured) {
        victim = name;
        break;
      }
      if (active === 0) idle ??= name;
    }
    const name = victim ?? idle ?? newest;
    const connection = this.#open.get(name)!;
    // Not only when it has closed: until then others would be sent away in its place.
    this.#open.delete(name);
    connection.socket.destroy();
  }
}
