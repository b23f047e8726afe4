// Requests made to cost more than they should: by size, depth, number or what has to be made of them. Each is refused or
// answered in the time of an ordinary one, others are served meanwhile, and nothing stays behind.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { ApiClient, type Answer } from './support/api-client.ts';
import { harmless, type Bounds } from './support/harmless.ts';
import { startServerChild, type ServerChild } from './support/server-child.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';
const PODS = '/api/v1/namespaces/default/pods';
const dir = mkdtempSync(join(tmpdir(), 'coracle-requests-'));
let server: ServerChild;
let bystander: ApiClient;
let client: ApiClient;

beforeAll(async () => {
  server = await startServerChild({ dataDir: dir, store: 'memory' });
  bystander = new ApiClient(server);
  await bystander.ok('POST', MAPS, { metadata: { name: 'there' }, data: {} });
});
// A connection that was ended for what was sent over it does not speak for the next test.
beforeEach(() => void (client = new ApiClient(server)));
afterEach(() => client.close());
afterAll(async () => {
  bystander?.close();
  await server?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const unharmed = (attack: () => Promise<unknown>, bounds?: Bounds) =>
  harmless({ server, bystander, path: `${MAPS}/there` }, attack, bounds);
const status = ({ status, object }: Answer) => ({ status, kind: object.kind, reason: object['reason'] });
const yaml = { headers: { 'content-type': 'application/yaml' } };
const apply = { headers: { 'content-type': 'application/apply-patch+yaml' } };

test('bodies of 20 MB, told and untold: 413', () =>
  unharmed(async () => {
    const body = Buffer.alloc(20 * 2 ** 20, 0x20);
    for (let i = 0; i < 5; i++) {
      const told = await client.request('POST', MAPS, body, { headers: { 'content-length': body.length } });
      expect(status(told)).toEqual({ status: 413, kind: 'Status', reason: 'RequestEntityTooLarge' });
      const untold = await client.request('POST', MAPS, body);
      expect(status(untold)).toEqual({ status: 413, kind: 'Status', reason: 'RequestEntityTooLarge' });
      const patch = await client.request('PATCH', `${MAPS}/there`, body);
      expect(patch.status).toBe(413);
    }
  }));

test('compressed bodies are not blown up', () =>
  unharmed(async () => {
    const bomb = gzipSync(Buffer.alloc(200 * 2 ** 20, 0x20));
    for (let i = 0; i < 5; i++) {
      const answer = await client.request('POST', MAPS, bomb, { headers: { 'content-encoding': 'gzip' } });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.status).toBeLessThan(500);
    }
  }));

const deep = (levels: number, open: string, close: string, core = '1') =>
  open.repeat(levels) + core + close.repeat(levels);

test.each([
  ['arrays', deep(1_000_000, '[', ']')],
  ['objects', deep(400_000, '{"a":', '}')],
  ['arrays that do not end', '['.repeat(2_900_000)],
  ['in an annotation', `{"metadata":{"name":"d","annotations":${deep(300_000, '{"a":', '}')}}}`],
])('deep JSON: %s', (_name, body) =>
  unharmed(async () => {
    for (let i = 0; i < 3; i++) {
      expect(status(await client.request('POST', MAPS, body))).toMatchObject({ status: 400, reason: 'BadRequest' });
      const merge = await client.request('PATCH', `${MAPS}/there`, body);
      expect(merge.status).toBeGreaterThanOrEqual(400);
      expect(merge.status).toBeLessThan(500);
    }
  }),
);

/** Ten aliases of ten aliases of ...: 10^9 values in 500 bytes. */
function aliasBomb(): string {
  const lines = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]'];
  for (let i = 1; i < 9; i++)
    lines.push(
      `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join()}]`,
    );
  return lines.join('\n');
}

test('YAML: alias bombs, merge bombs, deep nesting, an alias of itself', () =>
  unharmed(async () => {
    const merges = Array.from(
      { length: 2000 },
      (_, i) => `m${i}: &m${i}\n  <<: [${i ? `*m${i - 1}, *m${i - 1}` : '{a: 1}'}]\n  k${i}: 1`,
    );
    const bodies = [
      aliasBomb(),
      merges.join('\n'),
      deep(100_000, '[', ']'),
      deep(20_000, '{a: ', '}'),
      'a: &a [*a]',
      'a: &a {b: *a}',
    ];
    for (const body of bodies) {
      const answer = await client.request('POST', MAPS, body, yaml);
      expect(answer.status, body.slice(0, 40)).toBe(400);
      const applied = await client.request('PATCH', `${MAPS}/there?fieldManager=m`, body, apply);
      expect(applied.status, body.slice(0, 40)).toBe(400);
    }
  }));

test('selectors: thousands of requirements, sets of thousands, and ones that make no sense', () =>
  unharmed(async () => {
    const many = Array.from({ length: 5000 }, (_, i) => `k${i}!=v`).join();
    const set = `k in (${Array.from({ length: 10_000 }, (_, i) => `v${i}`).join()})`;
    const open = '('.repeat(50_000);
    for (const selector of [
      many,
      set,
      open,
      `a in ${open}`,
      'a,'.repeat(20_000),
      '!'.repeat(50_000),
      `${'a'.repeat(50_000)}=b`,
    ]) {
      for (const kind of ['labelSelector', 'fieldSelector']) {
        const answer = await client
          .request('GET', `${MAPS}?${kind}=${encodeURIComponent(selector)}`)
          // Headers may be too large for the connection's rules: also an answer.
          .catch(() => undefined);
        if (answer) expect([200, 400, 414, 431]).toContain(answer.status);
      }
    }
  }));

const quantities = [
  '9'.repeat(100_000),
  `1e${'9'.repeat(50)}`,
  '1e999999999',
  `0.${'0'.repeat(100_000)}1`,
  `1${'0'.repeat(100_000)}Ei`,
  '-'.repeat(10_000),
  `${'1'.repeat(1_000_000)}x`,
];

test.each(quantities.map((q) => [q.length > 30 ? `${q.slice(0, 10)}... (${q.length})` : q, q]))(
  'a quantity of %s',
  (_name, quantity) =>
    unharmed(async () => {
      const body = {
        metadata: { generateName: 'q-' },
        spec: { containers: [{ name: 'c', image: 'i', resources: { limits: { memory: quantity, cpu: quantity } } }] },
      };
      const answer = await client.request('POST', PODS, body);
      expect([201, 400, 403, 422]).toContain(answer.status);
      if (answer.status === 201) {
        // What got in can be read, in every form, and taken away.
        const path = `${PODS}/${answer.object.metadata.name}`;
        await client.ok('GET', path, undefined, {
          headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
        });
        await client.ok('DELETE', `${path}?gracePeriodSeconds=0`);
      }
    }),
);

test('names, labels, images and schedules that are hard on a pattern', () =>
  unharmed(async () => {
    const hard = [
      'a-'.repeat(50_000),
      'a.'.repeat(50_000),
      `${'a'.repeat(100_000)}!`,
      '/'.repeat(100_000),
      '0'.repeat(50_000) + ':',
      '*/'.repeat(20_000),
      ' '.repeat(100_000),
      '1,'.repeat(50_000),
      `@every ${'1'.repeat(200_000)}x`,
    ];
    for (const text of hard) {
      const bodies: [string, object][] = [
        [MAPS, { metadata: { name: text } }],
        [MAPS, { metadata: { name: 'n', labels: { [text]: text }, annotations: { [text]: '' }, finalizers: [text] } }],
        [
          MAPS,
          {
            metadata: {
              name: 'n',
              ownerReferences: [{ apiVersion: `${text}/b/c`, kind: text, name: text, uid: text }],
            },
          },
        ],
        [
          PODS,
          {
            metadata: { name: 'p' },
            spec: {
              nodeSelector: { [text]: text },
              hostname: text,
              containers: [
                { name: text, image: text, workingDir: text, env: [{ name: text, value: '$('.repeat(20_000) }] },
              ],
            },
          },
        ],
        [
          '/api/v1/namespaces/default/services',
          { metadata: { name: 's' }, spec: { clusterIP: text, externalName: text, ports: [{ port: 1, name: text }] } },
        ],
        [
          '/apis/batch/v1/namespaces/default/cronjobs',
          {
            metadata: { name: 'c' },
            spec: {
              schedule: text,
              timeZone: text,
              jobTemplate: {
                spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } } },
              },
            },
          },
        ],
      ];
      for (const [path, body] of bodies) {
        const answer = await client.request('POST', path, body);
        expect([400, 403, 422], `${path} ${text.slice(0, 10)}: ${answer.text.slice(0, 200)}`).toContain(answer.status);
      }
    }
  }));

// The store's history keeps every version for the watches that may ask for it.
test('huge managed fields, thousands of owners, keys by the ten thousand', () =>
  unharmed(
    async () => {
      const entry = (i: number) => ({
        manager: `m${i}`,
        operation: 'Apply',
        apiVersion: 'v1',
        time: '2026-01-01T00:00:00Z',
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:data': Object.fromEntries(Array.from({ length: 50 }, (_, k) => [`f:k${k}`, {}])) },
      });
      const managedFields = Array.from({ length: 1000 }, (_, i) => entry(i));
      const created = await client.request('POST', MAPS, {
        metadata: { name: 'managed', managedFields },
        data: { k0: '' },
      });
      expect([201, 413, 422]).toContain(created.status);
      for (let i = 0; i < 20; i++) {
        const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'managed' }, data: { [`a${i}`]: 'x' } };
        const answer = await client.request(
          'PATCH',
          `${MAPS}/managed?fieldManager=a${i}&force=true`,
          JSON.stringify(body),
          apply,
        );
        expect([200, 201]).toContain(answer.status);
      }
      const nested = deep(900, '{"f:a":', '}', '{}');
      const bad = await client.request(
        'PATCH',
        `${MAPS}/managed`,
        `{"metadata":{"managedFields":[{"manager":"m","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":${nested}}]}}`,
      );
      expect([200, 400, 422]).toContain(bad.status);
      await client.ok('PATCH', `${MAPS}/managed`, { data: { again: 'x' } });
      const data = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`key-${i}`, '']));
      const wide = await client.request('POST', MAPS, { metadata: { name: 'wide' }, data });
      expect(wide.status).toBe(201);
      await client.ok('PATCH', `${MAPS}/wide`, { data: { more: 'x' } });
      const operations = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/data/more', value: 'x' }));
      const patched = await client.request('PATCH', `${MAPS}/wide`, operations, {
        headers: { 'content-type': 'application/json-patch+json' },
      });
      expect(patched.status).toBe(413);
      for (const name of ['managed', 'wide']) await client.ok('DELETE', `${MAPS}/${name}`);
    },
    { kept: 60 },
  ));

/** Each operation copies a value into itself: 2^40 values by 40 operations. */
test('a JSON patch that doubles what is there forty times', () =>
  unharmed(async () => {
    await client.ok('POST', MAPS, { metadata: { name: 'double' }, data: { a: 'x'.repeat(1000) } });
    const operations: object[] = [{ op: 'add', path: '/metadata/annotations', value: { a: ['x'] } }];
    for (let i = 0; i < 40; i++)
      operations.push({ op: 'copy', from: '/metadata/annotations/a', path: '/metadata/annotations/a/-' });
    const patched = await client.request('PATCH', `${MAPS}/double`, operations, {
      headers: { 'content-type': 'application/json-patch+json' },
    });
    expect([400, 413, 422]).toContain(patched.status);
    await client.ok('DELETE', `${MAPS}/double`);
  }));

test('history does not grow by the size of what is written', async () => {
  const disk = mkdtempSync(join(tmpdir(), 'coracle-history-'));
  const large = await startServerChild({ dataDir: disk });
  const writer = new ApiClient(large);
  try {
    await writer.ok('POST', MAPS, { metadata: { name: 'there' }, data: {} });
    await harmless(
      { server: large, bystander: writer, path: `${MAPS}/there` },
      async () => {
        await writer.ok('POST', MAPS, { metadata: { name: 'large' }, data: {} });
        for (let i = 0; i < 120; i++)
          await writer.ok('PUT', `${MAPS}/large`, {
            metadata: { name: 'large' },
            data: { value: `${i}`.repeat(900_000 / `${i}`.length) },
          });
      },
      { kept: 120, peak: 1000 },
    );
    const late = await writer.request('GET', `${MAPS}?watch=true&resourceVersion=2&timeoutSeconds=1`);
    expect(late.text).toContain('"reason":"Expired"');
  } finally {
    writer.close();
    await large.stop();
    rmSync(disk, { recursive: true, force: true });
  }
});
