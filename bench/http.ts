// What the API server costs over a bare HTTP/2 server that sends the same bytes, measured in turns in one run: GET of 2 KB,
// LIST of 2,000 objects, and one event to 1,000 watchers. Clients run in a thread of their own. `node bench/http.ts`

/* oxlint-disable unicorn/require-post-message-target-origin -- threads have no origin */

import { connect, createSecureServer, type ClientHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const OBJECTS = 2000;
const WATCHERS = 1000;
const ROUNDS = 3;
const GETS_IN_FLIGHT = 64;
const now = () => performance.timeOrigin + performance.now();

interface Job {
  readonly what: 'get' | 'list' | 'watch';
  readonly path: string;
}

if (isMainThread) await serve();
else client(workerData as { port: number; ca: string; cert: string; key: string });

/** Runs jobs as they come, and reports. */
function client(to: { port: number; ca: string; cert: string; key: string }): void {
  const { port, ...tls } = to;
  const session = () => connect(`https://127.0.0.1:${port}`, { ...tls, maxSessionMemory: 1024 });
  const fetch = (s: ClientHttp2Session, path: string) =>
    new Promise<number>((resolve, reject) => {
      let bytes = 0;
      const stream = s.request({ ':path': path });
      stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
      stream.on('end', () => resolve(bytes)).on('error', reject);
    });
  parentPort!.on('message', (job: Job) => void run(job));
  const run = async ({ what, path }: Job) => {
    const sessions = Array.from({ length: what === 'list' ? 1 : 4 }, session);
    const done = (result: number) => {
      for (const s of sessions) s.destroy();
      parentPort!.postMessage(result);
    };
    if (what === 'watch') return watch(sessions, path);
    let count = 0;
    const start = now();
    const loop = async (i: number) => {
      while (now() < start + 1000) {
        await fetch(sessions[i % sessions.length]!, path);
        count++;
      }
    };
    await Promise.all(Array.from({ length: what === 'list' ? 1 : GETS_IN_FLIGHT }, (_, i) => loop(i)));
    return done((count / (now() - start)) * 1000);
  };
  /** Reports `ready` once all watch, then the moment each round of lines is complete. */
  const watch = (sessions: ClientHttp2Session[], path: string) => {
    let open = 0;
    let lines = 0;
    for (let i = 0; i < WATCHERS; i++) {
      const stream = sessions[i % sessions.length]!.request({ ':path': path });
      stream.on('error', () => {});
      stream.once('response', () => {
        if (++open === WATCHERS) parentPort!.postMessage(0);
      });
      stream.on('data', (chunk: Buffer) => {
        for (const byte of chunk) if (byte === 10) lines++;
        if (lines < WATCHERS) return;
        lines -= WATCHERS;
        parentPort!.postMessage(now());
      });
    }
  };
}

interface Subject {
  readonly port: number;
  readonly list: string;
  readonly get: string;
  readonly watch: string;
  /** Sends one event to every watcher. */
  event(): Promise<void> | void;
}

async function serve(): Promise<void> {
  const { createTestServer } = await import('../src/cluster/test-server.ts');
  const { ConfigMap } = await import('../src/api/kinds/core/config-map.ts');
  const { textOf } = await import('../src/api/codec.ts');
  const { Authenticator } = await import('../src/server/authn/authenticator.ts');
  const { createHttpHandler } = await import('../src/server/http.ts');
  const { eventLine } = await import('../src/server/watch-response.ts');
  const { listen } = await import('../src/host/listener.ts');
  const { Pki } = await import('../src/host/pki.ts');
  const { realEnv } = await import('../src/base/real-env.ts');
  const dir = mkdtempSync(join(tmpdir(), 'coracle-bench-'));
  const env = realEnv();
  const pki = new Pki(dir, env);
  const { cert, key } = pki.apiServer(['127.0.0.1']);
  const admin = pki.admin();
  const api = createTestServer();
  const data = { text: 'x'.repeat(1700) };
  for (let i = 0; i < OBJECTS; i++)
    await api.client.create(ConfigMap, { metadata: { namespace: 'b', name: `o${i}` }, data });
  const authenticator = new Authenticator({ log: env.log, tokens: [], audiences: [] });
  const handler = createHttpHandler({ server: api.server, authenticator, paths: [] });
  const listener = await listen({ env, host: '127.0.0.1', port: 0, cert, key, clientCa: pki.ca, handler });
  const base = '/api/v1/namespaces/b/configmaps';
  let n = 0;
  const ours: Subject = {
    port: listener.port,
    list: base,
    get: `${base}/o7`,
    watch: '/api/v1/namespaces/w/configmaps?watch=1',
    event: async () => {
      await api.client.create(ConfigMap, { metadata: { namespace: 'w', name: `e${n++}` }, data });
    },
  };

  const one = Buffer.from(textOf(await api.client.get(ConfigMap, { namespace: 'b', name: 'o7' })));
  const all = Buffer.concat(Array.from({ length: OBJECTS }, () => one));
  const line = eventLine({ type: 'ADDED', object: await api.client.get(ConfigMap, { namespace: 'b', name: 'o7' }) });
  const streams = new Set<{ write(chunk: Uint8Array): unknown }>();
  const bare = createSecureServer({
    cert,
    key,
    ca: pki.ca,
    requestCert: true,
    rejectUnauthorized: false,
    maxSessionMemory: 1024,
    settings: { maxConcurrentStreams: 1000 },
  });
  bare.on('stream', (stream, headers) => {
    stream.on('error', () => {}).on('close', () => streams.delete(stream));
    stream.respond({ ':status': 200, 'content-type': 'application/json' });
    if (headers[':path'] === '/watch') streams.add(stream);
    else stream.end(headers[':path'] === '/list' ? all : one);
  });
  bare.on('session', (session) => session.on('error', () => {}));
  await new Promise<void>((resolve) => bare.listen(0, '127.0.0.1', resolve));
  const floor: Subject = {
    port: (bare.address() as AddressInfo).port,
    list: '/list',
    get: '/get',
    watch: '/watch',
    event: () => {
      for (const stream of streams) stream.write(line);
    },
  };

  const results = { get: [[], []], list: [[], []], watch: [[], []] } as Record<string, [number[], number[]]>;
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, subject] of [ours, floor].entries()) {
      const worker = new Worker(new URL(import.meta.url), {
        workerData: { port: subject.port, ca: pki.ca, cert: admin.cert, key: admin.key },
      });
      const said = () => new Promise<number>((resolve) => worker.once('message', resolve));
      for (const what of ['get', 'list'] as const) {
        worker.postMessage({ what, path: subject[what] } satisfies Job);
        results[what]![i]!.push(await said());
      }
      worker.postMessage({ what: 'watch', path: subject.watch } satisfies Job);
      await said();
      for (let e = 0; e < 10; e++) {
        const start = now();
        const end = said();
        await subject.event();
        results['watch']![i]!.push((await end) - start);
      }
      await worker.terminate();
    }
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
  const show = (what: string, unit: string, [mine, theirs]: [number[], number[]], digits = 0) =>
    console.log(
      `${what}: ${median(mine).toFixed(digits)} ${unit}, bare ${median(theirs).toFixed(digits)} (ratio ${(median(mine) / median(theirs)).toFixed(2)})`,
    );
  show(`GET of ${one.length} bytes`, 'a second', results['get']!);
  show(`LIST of ${OBJECTS} objects, ${Math.round(all.length / 1024)} KiB`, 'a second', results['list']!, 1);
  show(`one event to ${WATCHERS} watchers`, 'ms', results['watch']!, 1);
  await listener.close();
  bare.close();
  api.close();
  rmSync(dir, { recursive: true });
  process.exit(0);
}
