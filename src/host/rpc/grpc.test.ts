import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GrpcChannel } from './grpc.ts';
import { message } from './message.ts';

const Text = message({ text: [1, 'string'] });
const method = (name: string) => ({ path: `/test.Service/${name}`, request: Text, response: Text });

let dir: string;
let server: Http2Server;
let sessions: Set<ServerHttp2Session>;
let seen: { readonly path: string; readonly timeout: string | undefined; readonly mark: string | undefined }[];
let silent: ServerHttp2Stream[];
const socket = () => join(dir, 'socket');

function frameOf(text: string): Buffer {
  const bytes = Text.encode({ text });
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function answer(stream: ServerHttp2Stream, frames: readonly Buffer[], trailers: Record<string, string>): void {
  stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  for (const frame of frames) stream.write(frame);
  stream.end();
}

function serve(stream: ServerHttp2Stream, path: string, text: string): void {
  switch (path) {
    case '/test.Service/Echo':
      return answer(stream, [frameOf(text)], { 'grpc-status': '0' });
    case '/test.Service/InPieces': {
      const frame = frameOf(text);
      const pieces = Array.from({ length: frame.length }, (_, i) => frame.subarray(i, i + 1));
      return answer(stream, pieces, { 'grpc-status': '0' });
    }
    case '/test.Service/Missing':
      return void stream.respond({ 'grpc-status': '5', 'grpc-message': 'no caf%C3%A9: 100%25' }, { endStream: true });
    case '/test.Service/Count':
      return answer(stream, [frameOf('1'), frameOf('2')], { 'grpc-status': '0' });
    case '/test.Service/Garbage':
      return answer(stream, [Buffer.from([0, 0, 0, 0, 2, 0x0a, 0x7f])], { 'grpc-status': '0' });
    default:
      silent.push(stream);
  }
}

const listen = () =>
  new Promise<void>((resolve) => {
    server = createServer();
    server.on('session', (session) => sessions.add(session.on('close', () => sessions.delete(session))));
    server.on('stream', (stream, headers) => {
      const chunks: Buffer[] = [];
      const path = headers[':path']!;
      seen.push({ path, timeout: headers['grpc-timeout'] as string, mark: headers['mark'] as string });
      stream.on('error', () => undefined);
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => serve(stream, path, Text.decode(Buffer.concat(chunks).subarray(5)).text));
    });
    server.listen(socket(), resolve);
  });
const stop = () =>
  new Promise<void>((resolve) => {
    server.close(() => resolve());
    for (const session of sessions) session.destroy();
  });

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'coracle-grpc-'));
  sessions = new Set();
  [seen, silent] = [[], []];
  await listen();
});
afterEach(async () => {
  await stop();
  rmSync(dir, { recursive: true, force: true });
});

const asked = () => new Promise<void>((resolve) => server.on('stream', () => resolve()));

test('calls are answered, with headers and the time they have', async () => {
  const channel = new GrpcChannel(socket(), { mark: 'mine' });
  expect(await channel.call(method('Echo'), { text: 'hello' })).toEqual({ text: 'hello' });
  const long = 'long '.repeat(100_000);
  expect(await channel.call(method('Echo'), { text: long }, {})).toEqual({ text: long });
  expect(await channel.call(method('InPieces'), { text: 'abc' }, { timeoutSeconds: 200_000 })).toEqual({ text: 'abc' });
  expect(seen.map((one) => one.mark)).toEqual(['mine', 'mine', 'mine']);
  expect(seen[0]?.timeout).toMatch(/^1(19\d\d\d|20000)m$/);
  expect(seen[1]?.timeout).toBeUndefined();
  expect(seen[2]?.timeout).toMatch(/^(199999|200000)S$/);
  channel.close();
});

test('a failure has the name of its status and the text of the server', async () => {
  const channel = new GrpcChannel(socket());
  const failed = channel.call(method('Missing'), {});
  await expect(failed).rejects.toMatchObject({ code: 'NOT_FOUND', message: 'no café: 100%' });
  await expect(channel.call(method('Garbage'), {})).rejects.toMatchObject({ code: 'INTERNAL' });
  channel.close();
});

test('a call ends when its time is up, and the server hears of it', async () => {
  const channel = new GrpcChannel(socket());
  const asking = asked();
  const late = channel.call(method('Silence'), {}, { timeoutSeconds: 0.05 });
  await asking;
  await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  await expect.poll(() => silent.every((stream) => stream.closed)).toBe(true);
  channel.close();
});

test('calls wait for a server that is not there yet, no longer than they may', async () => {
  await stop();
  const channel = new GrpcChannel(socket());
  const patient = channel.call(method('Echo'), { text: 'late' });
  await expect(channel.call(method('Echo'), {}, { timeoutSeconds: 0.05 })).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
  });
  await listen();
  expect(await patient).toEqual({ text: 'late' });
  channel.close();
});

test('a broken connection fails what is under way; the next call has a new one', async () => {
  const channel = new GrpcChannel(socket());
  const asking = asked();
  const waiting = channel.call(method('Silence'), {});
  waiting.catch(() => undefined);
  await asking;
  for (const session of sessions) session.destroy();
  await expect(waiting).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(await channel.call(method('Echo'), { text: 'again' })).toEqual({ text: 'again' });
  channel.close();
});

test('closing rejects what is under way', async () => {
  const channel = new GrpcChannel(socket());
  await channel.call(method('Echo'), { text: 'connected' });
  const waiting = channel.call(method('Silence'), { text: '' });
  channel.close();
  await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
});

test('an aborted call is rejected with the reason', async () => {
  const channel = new GrpcChannel(socket());
  const abort = new AbortController();
  const waiting = channel.call(method('Silence'), { text: '' }, { signal: abort.signal });
  abort.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  channel.close();
});

test('a subscription hands over every message, and tells when it ends by itself', async () => {
  const channel = new GrpcChannel(socket());
  const heard: string[] = [];
  const { signal } = new AbortController();
  const counting = channel.subscribe(method('Count'), {}, ({ text }) => heard.push(text), { signal });
  await expect(counting).rejects.toMatchObject({ code: 'UNAVAILABLE', message: 'the stream ended' });
  expect(heard).toEqual(['1', '2']);
  const abort = new AbortController();
  const waiting = channel.subscribe(method('Silence'), {}, () => undefined, { signal: abort.signal });
  abort.abort();
  expect(await waiting).toBeUndefined();
  channel.close();
});
