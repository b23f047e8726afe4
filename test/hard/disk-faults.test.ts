// A server whose disk fills, turns read-only or is damaged, and one that has run out of file descriptors: it says so in a
// Status, goes on with what it can, loses nothing it acknowledged, and recovers when the cause is gone.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  openSync,
  writeFileSync,
  closeSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
  readSync,
} from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { ApiClient } from './support/api-client.ts';
import { startServerChild, type ServerChild, type ServerChildOptions } from './support/server-child.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';
const configMap = (name: string, size: number) => ({ metadata: { name }, data: { value: 'x'.repeat(size) } });

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-disk-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A file system of its own; undefined where none can be mounted. */
function mountTmpfs(size: string): { directory: string; remount(options: string): void } | undefined {
  const directory = temporary();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'coracle-test', directory], { stdio: 'pipe' });
  } catch {
    return undefined;
  }
  onTestFinished(() => void execFileSync('umount', ['-l', directory]));
  return { directory, remount: (options) => execFileSync('mount', ['-o', `remount,${options}`, directory]) };
}

async function start(options: ServerChildOptions): Promise<{ server: ServerChild; client: ApiClient }> {
  const server = await startServerChild(options);
  const client = new ApiClient(server);
  onTestFinished(async () => {
    client.close();
    await server.kill();
  });
  return { server, client };
}

const names = async (client: ApiClient) =>
  ((await client.ok('GET', MAPS))['items'] as { metadata: { name: string } }[])
    .map(({ metadata }) => metadata.name)
    .filter((name) => name.startsWith('m-'))
    .sort();

test('a full disk: 503 for writes, reads and watches go on, and all is well when there is room', async (context) => {
  const mounted = mountTmpfs('12m');
  if (!mounted) return context.skip('cannot mount a tmpfs');
  const { server, client } = await start({ dataDir: mounted.directory });
  const seen: string[] = [];
  const watching = await client.watch(`${MAPS}?watch=true`, ({ type, object }) => {
    if (type === 'ADDED' && object.metadata.name?.startsWith('m-')) seen.push(object.metadata.name);
  });
  const written: string[] = [];
  let refused;
  for (let i = 0; i < 200 && !refused; i++) {
    const name = `m-${String(i).padStart(3, '0')}`;
    const answer = await client.request('POST', MAPS, configMap(name, 200_000));
    if (answer.status === 201) written.push(name);
    else refused = answer;
  }
  expect(refused?.status).toBe(503);
  expect(refused?.object).toMatchObject({
    kind: 'Status',
    reason: 'ServiceUnavailable',
    details: { retryAfterSeconds: 1 },
  });
  expect(refused?.text).toMatch(/No space left on device|full/i);
  expect(refused?.headers['retry-after']).toBe('1');
  expect(await names(client)).toEqual(written);
  expect((await client.request('GET', '/readyz')).status).toBe(200);
  // Again and again, and reads stay right.
  for (let i = 0; i < 20; i++)
    expect((await client.request('POST', MAPS, configMap('m-big', 900_000))).status).toBe(503);
  expect(await names(client)).toEqual(written);

  mounted.remount('size=40m');
  expect((await client.request('POST', MAPS, configMap('m-late', 200_000))).status).toBe(201);
  written.push('m-late');
  for (let i = 0; i < 100 && seen.length < written.length; i++) await delay(20);
  expect(seen).toEqual(written);
  watching.stop();

  await server.kill();
  const again = await start({ dataDir: mounted.directory });
  expect(await names(again.client)).toEqual(written);
});

test('a disk that turns read-only: refused with a reason, at the start as well', async (context) => {
  const mounted = mountTmpfs('40m');
  if (!mounted) return context.skip('cannot mount a tmpfs');
  const first = await start({ dataDir: mounted.directory });
  await first.client.ok('POST', MAPS, configMap('m-1', 1000));
  await first.server.stop();
  mounted.remount('ro');
  await expect(startServerChild({ dataDir: mounted.directory })).rejects.toThrow(/read-only|EROFS/i);
  mounted.remount('rw');
  const again = await start({ dataDir: mounted.directory });
  expect(await names(again.client)).toEqual(['m-1']);
  await again.client.ok('POST', MAPS, configMap('m-2', 1000));
});

/** An ext4 file system in a file, that an error turns read-only as it would on a disk; undefined where there is no such thing. */
function mountExt4(): { directory: string; fail(): void; repair(): void } | undefined {
  const directory = temporary();
  const image = join(temporary(), 'image');
  const mount = () => execFileSync('mount', ['-o', 'loop,errors=remount-ro', image, directory], { stdio: 'pipe' });
  const umount = () => execFileSync('umount', [directory], { stdio: 'pipe' });
  let trigger = '';
  try {
    writeFileSync(image, '');
    truncateSync(image, 64 << 20);
    execFileSync('mkfs.ext4', ['-q', '-F', image], { stdio: 'pipe' });
    mount();
    const device = execFileSync('findmnt', ['-n', '-o', 'SOURCE', directory], { encoding: 'utf8' }).trim();
    trigger = `/sys/fs/ext4/${basename(device)}/trigger_fs_error`;
    if (!existsSync(trigger)) throw new Error(`${trigger} is not there`);
  } catch {
    spawnSync('umount', [directory], { stdio: 'ignore' });
    return undefined;
  }
  onTestFinished(() => void spawnSync('umount', ['-l', directory], { stdio: 'ignore' }));
  return {
    directory,
    fail: () => writeFileSync(trigger, 'a test'),
    repair() {
      umount();
      // 1: errors were corrected.
      expect(spawnSync('e2fsck', ['-p', image], { stdio: 'ignore' }).status).toBeLessThan(2);
      mount();
    },
  };
}

test('a disk that turns read-only under the server: 503 for writes, reads and watches go on, nothing told is lost', async (context) => {
  const mounted = mountExt4();
  if (!mounted) return context.skip('no ext4 on a loop device here');
  const { server, client } = await start({ dataDir: mounted.directory });
  const written: string[] = [];
  for (let i = 0; i < 20; i++) {
    await client.ok('POST', MAPS, configMap(`m-${i}`, 3000));
    written.push(`m-${i}`);
  }
  const watching = await client.watch(`${MAPS}?watch=true`, () => {});
  let ended = false;
  void watching.ended.then(() => (ended = true));
  mounted.fail();
  for (let i = 0; i < 20; i++) {
    const answer = await client.request('POST', MAPS, configMap(`m-late-${i}`, 3000));
    expect(answer.status).toBe(503);
    expect(answer.object).toMatchObject({ kind: 'Status', reason: 'ServiceUnavailable' });
    expect(answer.text).toMatch(/read-only|EROFS|I\/O error|Input\/output/i);
    const there = await client.request('GET', `${MAPS}/${written[i]}`);
    expect(there.status).toBe(200);
  }
  expect(await names(client)).toEqual(written.toSorted());
  expect(ended).toBe(false);
  watching.stop();
  await server.kill();
  mounted.repair();
  const again = await start({ dataDir: mounted.directory });
  expect(await names(again.client)).toEqual(written.toSorted());
  await again.client.ok('POST', MAPS, configMap('m-after', 10));
  again.client.close();
  await again.server.kill();
});

/** A store of some objects, closed by force, with the revision of the last. */
async function filled(dataDir: string): Promise<string[]> {
  const { server, client } = await start({ dataDir });
  for (let i = 0; i < 20; i++) await client.ok('POST', MAPS, configMap(`m-${i}`, 3000));
  const written = await names(client);
  await server.kill();
  return written;
}

test('a file that is cut off is not opened, and not changed', async () => {
  const dataDir = temporary();
  await filled(dataDir);
  const file = join(dataDir, 'store', 'data.mdb');
  truncateSync(file, 8192);
  const { size } = statSync(file);
  // What is left are the two pages that say where the rest should be.
  await expect(startServerChild({ dataDir })).rejects.toThrow(/cut off|damaged|corrupt|CORRUPT|PAGE/);
  expect(statSync(file).size).toBeGreaterThanOrEqual(size);
});

test.each([
  ['zeros', 0],
  ['noise', 0xa5],
])('the last page of the file is %s: told, or of no consequence, and the rest is served', async (_, filling) => {
  const dataDir = temporary();
  const written = await filled(dataDir);
  const file = join(dataDir, 'store', 'data.mdb');
  const { size } = statSync(file);
  const handle = openSync(file, 'r+');
  writeSync(handle, Buffer.alloc(4096, filling), 0, 4096, size - 4096);
  closeSync(handle);
  let outcome;
  try {
    outcome = await start({ dataDir });
  } catch (error) {
    // Refused at the start, in words, and the file is left for whoever repairs it.
    expect(String(error)).toMatch(/cut off|damaged|corrupt|CORRUPT|PAGE/);
    expect(statSync(file).size).toBe(size);
    return;
  }
  const { server, client } = outcome;
  const left = await names(client);
  expect(written).toEqual(expect.arrayContaining(left));
  for (const name of left) {
    const answer = await client.request('GET', `${MAPS}/${name}`);
    if (answer.status === 200) expect((answer.object['data'] as { value: string }).value).toBe('x'.repeat(3000));
    else expect(answer.status).toBeGreaterThanOrEqual(500);
  }
  if (left.length < written.length) expect(server.log.join('\n')).toMatch(/damaged/);
  const written2 = await client.request('POST', MAPS, configMap('m-new', 3000));
  expect([201, 503]).toContain(written2.status);
});

test('a damaged page is told, never served as an object', async () => {
  const dataDir = temporary();
  const written = await filled(dataDir);
  const file = join(dataDir, 'store', 'data.mdb');
  // Turn a byte within the text of one of the values.
  const handle = openSync(file, 'r+');
  const whole = Buffer.alloc(statSync(file).size);
  readSync(handle, whole, 0, whole.length, 0);
  let damaged = 0;
  for (let at = whole.indexOf('xxxxxxxxxxxxxxxx'); at >= 0; at = whole.indexOf('xxxxxxxxxxxxxxxx', at + 4096)) {
    writeSync(handle, Buffer.from('y'), 0, 1, at + 5);
    damaged++;
  }
  closeSync(handle);
  expect(damaged).toBeGreaterThan(0);
  const { server, client } = await start({ dataDir });
  for (const name of written) {
    const answer = await client.request('GET', `${MAPS}/${name}`);
    expect(answer.text).not.toContain('y'.padEnd(5, 'x'));
  }
  expect(server.log.join('\n')).toContain('damaged');
  // What is damaged can be taken away and made again.
  for (const name of written) expect((await client.request('DELETE', `${MAPS}/${name}`)).status).toBe(200);
  await client.ok('POST', MAPS, configMap('m-0', 3000));
  expect(await names(client)).toEqual(['m-0']);
});

test('no file descriptors left: those who are connected are served, others are when some are free', async () => {
  const dataDir = temporary();
  const { server, client } = await start({ dataDir, files: 96 });
  await client.ok('POST', MAPS, configMap('m-before', 10));
  const sockets: Socket[] = [];
  for (let i = 0; i < 200; i++) {
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => {});
    sockets.push(socket);
  }
  await delay(300);
  for (let i = 0; i < 20; i++) await client.ok('POST', MAPS, configMap(`m-${i}`, 10));
  expect(await names(client)).toHaveLength(21);
  for (const socket of sockets) socket.destroy();
  const other = new ApiClient(server);
  onTestFinished(() => other.close());
  for (let i = 0; ; i++) {
    const answer = await other.request('GET', `${MAPS}/m-before`, undefined, { timeout: 2000 }).catch(() => undefined);
    if (answer?.status === 200) break;
    expect(i, 'new connections are served again').toBeLessThan(10);
    await delay(100);
  }
  await server.stop();
});
