// The TypeScript on docs/testing.md is run, as it stands, against the sources.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const root = new URL('..', import.meta.url).href;
const dir = mkdtempSync(join(tmpdir(), 'coracle-docs-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const ENTRIES: Readonly<Record<string, string>> = {
  coracle: 'src/cluster/index.ts',
  'coracle/controller': 'src/client/controller-public.ts',
  'coracle/testing': 'src/cluster/testing.ts',
};

const text = readFileSync(new URL('../docs/testing.md', import.meta.url), 'utf8');
const blocks = [...text.matchAll(/^```ts\n(.*?)^```/gms)].map((match) => match[1]!);

test('there are snippets', () => expect(blocks.length).toBeGreaterThan(5));

test('every snippet runs', () => {
  const files = blocks.map((block, i) => {
    const file = join(dir, `${i}.ts`);
    const code = block.replaceAll(/from '(coracle[^']*)'/g, (_, name: string) => `from '${root}${ENTRIES[name]}'`);
    writeFileSync(file, code);
    return file;
  });
  writeFileSync(join(dir, 'all.ts'), files.map((file) => `await import('${file}');`).join('\n'));
  const { status, stderr } = spawnSync(process.execPath, ['all.ts'], { cwd: dir, encoding: 'utf8', timeout: 9_000 });
  expect(status, stderr).toBe(0);
});
