// The floor: a bare HTTP/2 server that reads bodies and answers with as many bytes as the API server, doing nothing else; for
// an event one durable put of LMDB, then a line to each watcher; and, on request, such puts alone.
// `node floor-process.ts <dir>`; the first message tells what to serve.

import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { realEnv } from '../../src/base/real-env.ts';
import { Pki } from '../../src/host/pki.ts';
import { tellMemory } from './tell-memory.ts';

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
  const store = open({
    path: join(process.argv[2]!, 'floor'),
    noSubdir: false,
    encoding: 'binary',
    overlappingSync: false,
    mapSize: 4 * 2 ** 30,
  });
  let written = 0;
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
    const answer = async () => {
      if (path === '/event') {
        await store.put(`/registry/core/pods/bench/pod-${written++}`, one);
        for (const watcher of watchers) watcher.write(event);
      }
      stream.respond({ ':status': 200, 'content-type': 'application/json' });
      if (path === '/watch') watchers.add(stream);
      else stream.end(path === '/list' ? all : one);
    };
    if (stream.endAfterHeaders) return void answer();
    stream.on('data', () => {});
    stream.on('end', () => void answer());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  tellMemory();
  process.on('message', async (message) => {
    const { puts } = message as { readonly puts?: number };
    if (puts) process.send!({ perSecond: await putRate(store, puts, one) });
  });
  const { cert, key } = pki.admin();
  process.send!({ port: (server.address() as AddressInfo).port, ca, cert, key });
}

async function putRate(store: RootDatabase<Buffer>, writers: number, value: Buffer): Promise<number> {
  const began = performance.now();
  let n = 0;
  const loop = async () => {
    while (performance.now() < began + PUTS_MS) await store.put(`/registry/core/pods/bench/put-${n++}`, value);
  };
  await Promise.all(Array.from({ length: writers }, loop));
  return (n / (performance.now() - began)) * 1000;
}
