// The floor: a bare HTTP/2 server that reads bodies and answers with as many bytes as the API server, doing nothing else,
// and, on request, raw LMDB puts with fsync. `node floor-process.ts <dir>`; the first message tells what to serve.

import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { open } from 'lmdb';
import { realEnv } from '../../src/base/real-env.ts';
import { Pki } from '../../src/host/pki.ts';

export interface FloorOptions {
  /** Bytes of an answer with one object, of a list, and of a line of a watch. */
  readonly object: number;
  readonly list: number;
  readonly line: number;
}

const PUTS_MS = 1500;

process.once('disconnect', () => process.exit());
process.once('message', (message) => void serve(message as FloorOptions));

async function serve({ object, list, line }: FloorOptions): Promise<void> {
  const one = Buffer.alloc(object, 'x');
  const all = Buffer.alloc(list, 'x');
  const event = Buffer.alloc(line, 'x');
  event[line - 1] = 10;
  const watchers = new Set<ServerHttp2Stream>();
  const pki = new Pki(join(process.argv[2]!, 'floor-pki'), realEnv());
  const { ca } = pki;
  const server = createSecureServer({
    ca,
    ...pki.apiServer(['127.0.0.1']),
    requestCert: true,
    rejectUnauthorized: false,
    maxSessionMemory: 1024,
    settings: { maxConcurrentStreams: 1000 },
  });
  server.on('session', (session) => session.on('error', () => {}));
  server.on('stream', (stream, headers) => {
    const path = headers[':path'];
    stream.on('error', () => {}).on('close', () => watchers.delete(stream));
    const answer = () => {
      stream.respond({ ':status': 200, 'content-type': 'application/json' });
      if (path === '/watch') watchers.add(stream);
      else stream.end(path === '/list' ? all : one);
    };
    if (stream.endAfterHeaders) return answer();
    stream.on('data', () => {});
    stream.on('end', answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  process.on('message', async (message) => {
    const ask = message as { readonly events?: number; readonly puts?: number };
    for (let i = 0; i < (ask.events ?? 0); i++) for (const stream of watchers) stream.write(event);
    if (ask.puts) process.send!({ perSecond: await puts(ask.puts, one) });
  });
  const { cert, key } = pki.admin();
  process.send!({ port: (server.address() as AddressInfo).port, ca, cert, key });
}

async function puts(writers: number, value: Buffer): Promise<number> {
  const path = join(process.argv[2]!, 'floor');
  const db = open({ path, noSubdir: false, encoding: 'binary', overlappingSync: false, mapSize: 4 * 2 ** 30 });
  const began = performance.now();
  let n = 0;
  const loop = async () => {
    while (performance.now() < began + PUTS_MS) await db.put(`/registry/core/pods/bench/pod-${n++}`, value);
  };
  await Promise.all(Array.from({ length: writers }, loop));
  const seconds = (performance.now() - began) / 1000;
  await db.close();
  return n / seconds;
}
