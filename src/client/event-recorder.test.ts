import { afterEach, beforeEach, expect, it } from 'vitest';
import { StatusError } from '../api/errors.ts';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Event } from '../api/kinds/core/event.ts';
import { Namespace } from '../api/kinds/core/namespace.ts';
import { createLogger, type LogRecord } from '../base/log.ts';
import { createTestServer, type TestServer } from '../cluster/test-server.ts';
import { Client } from './client.ts';
import { createEventRecorder, type EventRecorder } from './event-recorder.ts';

let test: TestServer;
let abort: AbortController;
let recorder: EventRecorder;
let logged: LogRecord[];
let fail: (() => Error | undefined) | undefined;
let about: ConfigMap;

beforeEach(async () => {
  logged = [];
  fail = undefined;
  test = createTestServer();
  abort = new AbortController();
  const client = new Client((op, options) => {
    const error = fail?.();
    return error ? Promise.reject(error) : test.client.do(op, options?.signal);
  }, 'test/1');
  const env = { ...test.env, log: createLogger({ sink: (r) => logged.push(r), level: 'warn' }) };
  recorder = createEventRecorder({ client, env, component: 'kubelet', host: 'node-1', signal: abort.signal });
  await test.client.create(Namespace, { metadata: { name: 'a' } } as never);
  about = await test.client.create(ConfigMap, { metadata: { name: 'one', namespace: 'a' } } as never);
});
afterEach(() => {
  abort.abort();
  test.close();
});

const note = (message: string, reason = 'Pulled') => recorder.record({ type: 'Normal', reason, message, about });
const events = async () => {
  await recorder.flush();
  return (await test.client.list(Event)).items;
};

it('writes events as upstream does', async () => {
  recorder.record({ type: 'Warning', reason: 'Failed', message: 'bad', about, fieldPath: 'spec.containers{web}' });
  const [event] = await events();
  expect(event!.metadata.name).toMatch(/^one\.[0-9a-f]{16}$/);
  expect(event).toMatchObject({
    metadata: { namespace: 'a' },
    involvedObject: {
      kind: 'ConfigMap',
      apiVersion: 'v1',
      namespace: 'a',
      name: 'one',
      uid: about.metadata.uid,
      resourceVersion: about.metadata.resourceVersion,
      fieldPath: 'spec.containers{web}',
    },
    type: 'Warning',
    reason: 'Failed',
    message: 'bad',
    count: 1,
    firstTimestamp: '2026-01-01T00:00:00Z',
    lastTimestamp: '2026-01-01T00:00:00Z',
    source: { component: 'kubelet', host: 'node-1' },
    reportingComponent: 'kubelet',
    reportingInstance: 'node-1',
  });
});

it('counts repeats of one event', async () => {
  note('same');
  await test.clock.advance(5000);
  note('same');
  note('same');
  note('other');
  const all = await events();
  expect(all.map((e) => [e.message, e.count, e.firstTimestamp, e.lastTimestamp])).toEqual([
    ['same', 3, '2026-01-01T00:00:00Z', '2026-01-01T00:00:05Z'],
    ['other', 1, '2026-01-01T00:00:05Z', '2026-01-01T00:00:05Z'],
  ]);
});

it('combines many similar events', async () => {
  for (let i = 0; i < 15; i++) note(`message ${i}`);
  const all = await events();
  expect(all.length).toBe(10);
  expect(all.find((e) => e.message?.startsWith('(combined'))).toMatchObject({
    message: '(combined from similar events): message 14',
    count: 6,
  });
});

it('cuts a source off that says too much about one object, until it may speak again', async () => {
  for (let i = 0; i < 40; i++) note('x', `Reason${i}`);
  expect((await events()).length).toBe(25);
  await test.clock.advance(300_000);
  note('x', 'Later');
  note('x', 'TooMuch');
  expect((await events()).length).toBe(26);
});

it('starts anew when the event it would count up has expired', async () => {
  note('same');
  const [first] = await events();
  await test.client.delete(Event, first!.metadata);
  note('same');
  const [second] = await events();
  expect(second!.metadata.name).not.toBe(first!.metadata.name);
  expect(second!.count).toBe(2);
});

it('drops what the server refuses, keeps trying when it cannot be reached', async () => {
  fail = () => new StatusError('Forbidden', 'no');
  note('refused');
  await recorder.flush();
  expect(logged.map((r) => r.message)).toEqual(['event not written']);
  fail = () => new Error('connection refused');
  note('patient');
  await test.clock.advance(35_000);
  fail = undefined;
  await test.clock.advance(10_000);
  expect((await events()).map((e) => e.message)).toEqual(['patient']);
  fail = () => new StatusError('Forbidden', 'x', { causes: [{ reason: 'NamespaceTerminating' }] });
  note('too late');
  await recorder.flush();
  expect(logged.length).toBe(1);
});
