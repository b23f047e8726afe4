import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeText } from '../kubelet/bytes.ts';
import { kubeletFiles as files } from './kubelet-files.ts';
import { volumeMounts } from './volumes.ts';

let root: string;
beforeAll(async () => void (root = await mkdtemp(join(tmpdir(), 'kubelet-files-'))));
afterAll(() => rm(root, { recursive: true, force: true }));

const asRoot = process.getuid?.() === 0;
const mode = async (path: string) => ((await stat(path)).mode & 0o7777).toString(8);
const file = (path: string, text: string, m = 0o644) => ({ path, bytes: encodeText(text), mode: m });

describe('files', () => {
  it('are written with the exact mode, folders made on the way, and read from either end', async () => {
    const path = join(root, 'a/b/c');
    await files.write(path, '0123456789', 0o666);
    expect(await mode(path)).toBe('666');
    expect(Buffer.from((await files.read(path, 4))!).toString()).toBe('0123');
    expect(Buffer.from((await files.read(path, 4, 'end'))!).toString()).toBe('6789');
    expect(await files.read(join(root, 'nope'), 4)).toBeUndefined();
    expect(await files.kind(path)).toBe('file');
    expect(await files.kind(join(path, 'below'))).toBeUndefined();
    expect(await files.list(join(root, 'nope'))).toEqual([]);
    await files.remove(join(root, 'a'));
    await files.remove(join(root, 'a'));
    expect(await files.kind(join(root, 'a'))).toBeUndefined();
  });
});

describe('publish', () => {
  it('swaps all files at once and only when something differs', async () => {
    const dir = join(root, 'volume');
    expect(await files.publish(dir, [file('one', '1'), file('deep/two', '2', 0o400)])).toBe(true);
    expect(await readFile(join(dir, 'one'), 'utf8')).toBe('1');
    expect(await readFile(join(dir, 'deep/two'), 'utf8')).toBe('2');
    expect(await mode(join(dir, 'deep/two'))).toBe('400');
    expect(await readlink(join(dir, 'one'))).toBe('..data/one');
    const before = await readlink(join(dir, '..data'));
    expect(await files.publish(dir, [file('one', '1'), file('deep/two', '2', 0o400)])).toBe(false);
    expect(await readlink(join(dir, '..data'))).toBe(before);
    expect(await files.publish(dir, [file('one', '1!'), file('three', '3')])).toBe(true);
    expect((await readdir(dir)).filter((n) => !n.startsWith('..')).sort()).toEqual(['one', 'three']);
    expect((await readdir(dir)).filter((n) => n.startsWith('..')).length).toBe(2);
    expect(await readFile(join(dir, 'one'), 'utf8')).toBe('1!');
  });

  it.runIf(asRoot)('gives the files to the group of the pod', async () => {
    const dir = join(root, 'grouped');
    await files.publish(dir, [file('x', '1', 0o600)], 2000);
    expect((await stat(join(dir, 'x'))).gid).toBe(2000);
    expect(await mode(join(dir, 'x'))).toBe('640');
  });
});

describe.runIf(asRoot)('takeGroup', () => {
  it('owns a tree, leaves links alone, and skips a fitting root when told', async () => {
    const dir = join(root, 'tree');
    await mkdir(join(dir, 'sub'), { recursive: true });
    await writeFile(join(dir, 'sub/f'), '');
    await chmod(join(dir, 'sub/f'), 0o600);
    await symlink('/etc/passwd', join(dir, 'link'));
    await files.takeGroup(dir, 3000, { rootOnly: true, readOnly: false });
    expect((await stat(join(dir, 'sub/f'))).gid).toBe(3000);
    expect(await mode(join(dir, 'sub/f'))).toBe('660');
    expect(await mode(join(dir, 'sub'))).toBe('2775');
    expect((await stat('/etc/passwd')).gid).toBe(0);
    await chmod(join(dir, 'sub/f'), 0o600);
    await files.takeGroup(dir, 3000, { rootOnly: true, readOnly: false });
    expect(await mode(join(dir, 'sub/f'))).toBe('600');
  });
});

describe('resolveBelow', () => {
  it('makes what is missing and refuses what leads outside', async () => {
    const base = join(root, 'base');
    await mkdir(base);
    await chmod(base, 0o770);
    expect(await files.resolveBelow(base, 'x/y')).toBe(join(base, 'x/y'));
    expect(await mode(join(base, 'x/y'))).toBe('770');
    await symlink('x', join(base, 'inside'));
    expect(await files.resolveBelow(base, 'inside/y')).toBe(join(base, 'x/y'));
    await symlink('/etc', join(base, 'outside'));
    await expect(files.resolveBelow(base, 'outside/passwd')).rejects.toThrow('not within its volume');
    await expect(files.resolveBelow(base, '../etc')).rejects.toThrow("must not contain '..'");
    await symlink('/nowhere/at/all', join(base, 'dangling'));
    await expect(files.resolveBelow(base, 'dangling')).rejects.toThrow('leads nowhere');
  });
});

describe.runIf(asRoot)('mounts', () => {
  it('a memory file system comes with size and mode, protects its content from removal, and goes', async () => {
    const path = join(root, 'pod/volumes/memory');
    await mkdir(path, { recursive: true });
    await volumeMounts.tmpfs(path, { sizeBytes: 1 << 20, mode: 0o2777, gid: 4000 });
    try {
      expect(await volumeMounts.isMounted(path)).toBe(true);
      expect(await mode(path)).toBe('2777');
      expect((await stat(path)).gid).toBe(4000);
      await expect(writeFile(join(path, 'big'), Buffer.alloc(2 << 20))).rejects.toThrow('ENOSPC');
      expect(await volumeMounts.below(join(root, 'pod'))).toEqual([path]);
      await expect(files.remove(join(root, 'pod'))).rejects.toThrow('still mounted');
    } finally {
      await volumeMounts.unmount(path);
    }
    await volumeMounts.unmount(path);
    expect(await volumeMounts.below(join(root, 'pod'))).toEqual([]);
    await files.remove(join(root, 'pod'));
  });
});
