import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GrpcChannel } from './grpc.ts';
import { message } from './message.ts';

const text = message({ text: [1, 'string'] });
const method = (name: string) => ({ path: `/test.Service/${name}`, request: text, response: text });

let dir: string;
let server: Server;
const socket = () => join(dir, 'socket');
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'coracle-grpc-'));
  server = new Server();
  const definition = (name: string) => ({
    path: `/test.Service/${name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: (value: Buffer) => value,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  });
  server.addService(
    { echo: definition('Echo'), silence: definition('Silence') },
    {
      echo: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => answer(null, call.request),
      silence: () => {},
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix://${socket()}`, ServerCredentials.createInsecure(), (e) => (e ? reject(e) : resolve()));
  });
});
afterAll(() => {
  server.forceShutdown();
  rmSync(dir, { recursive: true, force: true });
});

test('a call is answered', async () => {
  const channel = new GrpcChannel(socket());
  expect(await channel.call(method('Echo'), { text: 'hello' })).toEqual({ text: 'hello' });
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
