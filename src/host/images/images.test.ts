import { createHash } from 'node:crypto';
import {
  chmodSync,
  createWriteStream,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, pack, type Header } from 'tar-stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { archiveReferences } from './archive.ts';
import { buildImage } from './build.ts';
import { buildPauseImage, pauseProgram } from './pause.ts';
import { fullReference } from './reference.ts';

interface Entry {
  readonly header: Header;
  readonly data: Buffer;
}

async function readTar(bytes: Buffer): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  const reader = extract();
  Readable.from([bytes]).pipe(reader);
  for await (const entry of reader) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    entries.set(entry.header.name, { header: entry.header, data: Buffer.concat(chunks) });
  }
  return entries;
}

const sha256 = (data: Buffer) => `sha256:${createHash('sha256').update(data).digest('hex')}`;

interface Described {
  readonly digest: string;
  readonly size: number;
}

/** Follows the digests from the index down, checking each, and gives what it finds. */
async function openImage(file: string) {
  const layout = await readTar(readFileSync(file));
  const blob = ({ digest, size }: Described) => {
    const { data } = layout.get(`blobs/${digest.replace(':', '/')}`)!;
    expect(sha256(data)).toBe(digest);
    expect(data.length).toBe(size);
    return data;
  };
  const json = (data: Buffer) => JSON.parse(data.toString()) as never;
  const index: { manifests: (Described & { annotations: Record<string, string> })[] } = json(
    layout.get('index.json')!.data,
  );
  const manifest: { config: Described; layers: Described[] } = json(blob(index.manifests[0]!));
  const config: { config: object; architecture: string; rootfs: { diff_ids: string[] } } = json(blob(manifest.config));
  expect(config.rootfs.diff_ids).toEqual([manifest.layers[0]!.digest]);
  return { layout, index, config, layer: await readTar(blob(manifest.layers[0]!)) };
}

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'coracle-images-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function makeTree(root: string, order: readonly string[]): string {
  mkdirSync(join(root, 'bin'), { recursive: true });
  for (const name of order) writeFileSync(join(root, 'bin', name), `content of ${name}`);
  chmodSync(join(root, 'bin', 'tool'), 0o4755);
  linkSync(join(root, 'bin', 'tool'), join(root, 'bin', 'tool2'));
  symlinkSync('tool', join(root, 'bin', 'link'));
  mkdirSync(join(root, 'tmp'));
  chmodSync(join(root, 'tmp'), 0o1777);
  utimesSync(join(root, 'bin'), order.length, order.length * 1000);
  return root;
}

test('the same tree gives the same image, whenever and in whatever order it was written', async () => {
  const options = { name: 'app', entrypoint: ['/bin/tool'], labels: { b: '2', a: '1' }, exposedPorts: ['80/tcp'] };
  const first = await buildImage({
    ...options,
    rootfsDir: makeTree(join(dir, 'one'), ['tool', 'a', 'B']),
    output: join(dir, '1.tar'),
  });
  const second = await buildImage({
    ...options,
    labels: { a: '1', b: '2' },
    rootfsDir: makeTree(join(dir, 'two'), ['B', 'a', 'tool']),
    output: join(dir, '2.tar'),
  });
  expect(second.digest).toBe(first.digest);
  expect(readFileSync(second.file).equals(readFileSync(first.file))).toBe(true);
  expect(first.name).toBe('docker.io/library/app:latest');
});

test('modes, links and order of a tree', async () => {
  const output = join(dir, 'image.tar');
  await buildImage({ name: 'app', rootfsDir: makeTree(join(dir, 'tree'), ['tool', 'a', 'B']), output });
  const { layer } = await openImage(output);
  expect([...layer.keys()]).toEqual(['bin/', 'bin/B', 'bin/a', 'bin/link', 'bin/tool', 'bin/tool2', 'tmp/']);
  expect(layer.get('tmp/')!.header).toMatchObject({ type: 'directory', mode: 0o1777 });
  expect(layer.get('bin/tool')!.header).toMatchObject({ type: 'file', mode: 0o4755, size: 15, mtime: new Date(0) });
  expect(layer.get('bin/tool')!.data.toString()).toBe('content of tool');
  expect(layer.get('bin/tool2')!.header).toMatchObject({ type: 'link', linkname: 'bin/tool' });
  expect(layer.get('bin/link')!.header).toMatchObject({ type: 'symlink', linkname: 'tool' });
});

test('what a container of the image gets', async () => {
  const binary = join(dir, 'server');
  writeFileSync(binary, 'not really a program', { mode: 0o600 });
  const output = join(dir, 'image.tar');
  await buildImage({
    name: 'example.com/team/server:1.2',
    singleBinary: binary,
    cmd: ['--quiet'],
    env: ['LEVEL=3'],
    user: '1000:1000',
    workdir: '/srv',
    exposedPorts: ['8080/tcp', '53/udp'],
    labels: { vendor: 'me' },
    architecture: 'arm64',
    output,
  });
  const { config, layer, index } = await openImage(output);
  expect(index.manifests[0]!.annotations).toEqual({
    'io.containerd.image.name': 'example.com/team/server:1.2',
    'org.opencontainers.image.ref.name': '1.2',
  });
  expect(layer.get('server')!.header).toMatchObject({ mode: 0o755, uid: 0, gid: 0 });
  expect(config.architecture).toBe('arm64');
  expect(config.config).toEqual({
    User: '1000:1000',
    ExposedPorts: { '53/udp': {}, '8080/tcp': {} },
    Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'LEVEL=3'],
    Entrypoint: ['/server'],
    Cmd: ['--quiet'],
    WorkingDir: '/srv',
    Labels: { vendor: 'me' },
  });
});

test('single files bring their folders along', async () => {
  const output = join(dir, 'image.tar');
  const files = [
    { path: '/usr/bin/tool', source: Buffer.from('x'), mode: 0o755 },
    { path: '/etc/conf', source: Buffer.from('y'), uid: 5, gid: 6 },
  ];
  await buildImage({ name: 'app', files, output });
  const { layer } = await openImage(output);
  expect([...layer.keys()]).toEqual(['etc/', 'etc/conf', 'usr/', 'usr/bin/', 'usr/bin/tool']);
  expect(layer.get('etc/conf')!.header).toMatchObject({ mode: 0o644, uid: 5, gid: 6 });
});

test('mistakes are told', async () => {
  const output = join(dir, 'image.tar');
  await expect(buildImage({ name: 'app', output })).rejects.toThrow('exactly one of');
  await expect(buildImage({ name: 'app', output, singleBinary: '/no/such' })).rejects.toThrow('ENOENT');
  await expect(buildImage({ name: 'app', output, singleBinary: dir })).rejects.toThrow('is not a regular file');
  await expect(buildImage({ name: 'app', output, rootfsDir: join(dir, 'nothing') })).rejects.toThrow('ENOENT');
  await expect(buildImage({ name: 'UPPER CASE', output, files: [] })).rejects.toThrow('not an image reference');
});

test('the pause program is a small ELF file for both processors', async () => {
  // What runs in every pod must not change unnoticed.
  for (const [architecture, machine, image] of [
    ['amd64', 62, 'sha256:2fd6dbdb2abf3aebed8f30209fcf4f393f9462165370dae0f21463fc03cfa58a'],
    ['arm64', 183, 'sha256:61bc3eef3ee1e03bfa15c8062dd57198fc2aedd249777545d86bffab6a4cd871'],
  ] as const) {
    const program = pauseProgram(architecture);
    expect(program.length).toBeLessThan(300);
    expect(program.subarray(0, 4).toString('latin1')).toBe('\x7fELF');
    expect(program.readUInt16LE(18)).toBe(machine);
    expect(Number(program.readBigUInt64LE(96))).toBe(program.length);
    const { id } = await buildPauseImage(join(dir, `${architecture}.tar`), architecture);
    expect(id).toBe(image);
  }
});

test('an archive’s index tells its names', async () => {
  const output = join(dir, 'image.tar');
  await buildImage({ name: 'app:7', files: [{ path: '/big', source: Buffer.alloc(100_000) }], output });
  expect(await archiveReferences(output)).toEqual(['docker.io/library/app:7']);
  const docker = pack();
  docker.entry(
    { name: 'manifest.json' },
    JSON.stringify([{ RepoTags: ['app:1', 'quay.io/a/b:2'] }, { RepoTags: null }]),
  );
  docker.finalize();
  await pipeline(docker, createWriteStream(output));
  expect(await archiveReferences(output)).toEqual(['docker.io/library/app:1', 'quay.io/a/b:2']);
  writeFileSync(output, 'x'.repeat(1000));
  await expect(archiveReferences(output)).rejects.toThrow('not a tar archive');
  writeFileSync(output, '');
  await expect(archiveReferences(output)).rejects.toThrow('neither index.json nor manifest.json');
});

test.each([
  ['busybox', 'docker.io/library/busybox:latest'],
  ['team/app:1', 'docker.io/team/app:1'],
  ['localhost/app', 'localhost/app:latest'],
  ['127.0.0.1:5000/app:v1.0_x', '127.0.0.1:5000/app:v1.0_x'],
  ['registry.k8s.io/a/b/c', 'registry.k8s.io/a/b/c:latest'],
  [`app@sha256:${'0'.repeat(64)}`, `docker.io/library/app@sha256:${'0'.repeat(64)}`],
])('%s means %s', (short, full) => {
  expect(fullReference(short)).toBe(full);
});

test.each(['', 'A/b', 'a b', 'a:', 'a:b:c', 'a@sha256:12', '-a', 'a//b'])('"%s" is no reference', (text) => {
  expect(() => fullReference(text)).toThrow('not an image reference');
});
