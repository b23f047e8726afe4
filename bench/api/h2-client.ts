// A client of several HTTP/2 connections with a bounded number of requests in flight on each.

import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';

export interface Target {
  readonly port: number;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

export interface Ask {
  readonly method: string;
  readonly path: string;
  readonly body?: string | Buffer;
  readonly type?: string;
}

export class H2Client {
  readonly sessions: readonly ClientHttp2Session[];
  readonly #authority: string;

  constructor({ port, ca, cert, key }: Target, connections: number) {
    this.#authority = `127.0.0.1:${port}`;
    this.sessions = Array.from({ length: connections }, () =>
      connect(`https://${this.#authority}`, {
        ca,
        cert,
        key,
        maxSessionMemory: 1024,
        settings: { initialWindowSize: 4 * 1024 * 1024 },
      }),
    );
    for (const session of this.sessions) {
      session.setMaxListeners(0);
      session.once('connect', () => session.setLocalWindowSize(64 * 1024 * 1024));
    }
  }

  open(session: ClientHttp2Session, { method, path, body, type = 'application/json' }: Ask): ClientHttp2Stream {
    const stream = session.request(
      {
        ':method': method,
        ':path': path,
        accept: 'application/json',
        'user-agent': 'bench/v1.0 (linux/amd64) kubernetes/none',
        ...(body === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(body) }),
      },
      { endStream: body === undefined },
    );
    if (body !== undefined) stream.end(body);
    return stream;
  }

  send(session: ClientHttp2Session, ask: Ask): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const stream = this.open(session, ask);
      const chunks: Buffer[] = [];
      let status = 0;
      stream.on('response', (headers) => (status = headers[':status'] ?? 0));
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', reject);
      stream.on('end', () => resolve({ status, body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks) }));
    });
  }

  /** Keeps `inFlight` requests under way on every connection until `next` gives no more; rejects for an unwanted answer. */
  async each(inFlight: number, wanted: number, next: () => Ask | undefined): Promise<void> {
    const loop = async (session: ClientHttp2Session) => {
      for (let ask = next(); ask; ask = next()) {
        const { status, body } = await this.send(session, ask);
        if (status !== wanted) throw new Error(`${ask.method} ${ask.path}: ${status} ${body.toString().slice(0, 300)}`);
      }
    };
    await Promise.all(this.sessions.flatMap((session) => Array.from({ length: inFlight }, () => loop(session))));
  }

  close(): void {
    for (const session of this.sessions) session.destroy();
  }
}
