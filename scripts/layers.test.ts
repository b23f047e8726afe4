// The layer table of docs/architecture.md as a test: who may import whom, no cycles, no Node or globals outside their rooms.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const root = new URL('../src', import.meta.url).pathname;

/** A folder's allowed imports; `*` is everything. `host` may import the types of the interfaces it implements. */
const LAYERS: Record<string, readonly string[]> = {
  base: [],
  api: ['base'],
  store: ['base'],
  client: ['base', 'api'],
  server: ['base', 'api', 'store'],
  controllers: ['base', 'api', 'client'],
  scheduler: ['base', 'api', 'client'],
  kubelet: ['base', 'api', 'client'],
  proxy: ['base', 'api', 'client'],
  dns: ['base', 'api', 'client'],
  cli: ['base', 'api', 'client'],
  dashboard: ['base', 'api', 'client'],
  host: ['base', 'api', 'store', 'client', 'server', 'kubelet', 'proxy', 'dns'],
  cluster: ['*'],
};
const NODE_ROOMS = new Set(['host', 'cli', 'cluster']);

interface Import {
  readonly target: string;
  readonly typeOnly: boolean;
}

function sources(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return entry.name === 'generated' ? [] : sources(path);
    return /\.tsx?$/.test(entry.name) ? [path] : [];
  });
}

const files = sources(root).map((path) => relative(root, path));
/** Tests, and the suites that several of them run. */
const isTest = (file: string) => /\.test\.ts$|-suite[a-z-]*\.ts$/.test(file);
const text = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
const code = (file: string) => text.get(file)!.replace(/\/\*[\s\S]*?\*\/|(^|[^:])\/\/.*$/gm, '$1');

function importsOf(file: string): Import[] {
  const found: Import[] = [];
  const pattern =
    /(?:^|\n)\s*(import|export)\s+(type\s)?[^;'"]*?from\s*'([^']+)'|(?:^|\n)\s*import\s*'([^']+)'|import\(\s*'([^']+)'/g;
  for (const m of text.get(file)!.matchAll(pattern)) {
    found.push({ target: m[3] ?? m[4] ?? m[5]!, typeOnly: m[2] !== undefined });
  }
  return found;
}
const resolve = (file: string, target: string) => join(dirname(file), target);
const roomOf = (file: string) => file.split('/')[0]!;

test('every file lies in a known room', () => {
  expect(files.filter((file) => !(roomOf(file) in LAYERS) || !file.includes('/'))).toEqual([]);
});

test('imports follow the layer table', () => {
  const wrong = files
    .filter((file) => !isTest(file))
    .flatMap((file) =>
      importsOf(file)
        .filter((i) => i.target.startsWith('.'))
        .map((i) => roomOf(resolve(file, i.target)))
        .filter(
          (room) =>
            room !== roomOf(file) && !LAYERS[roomOf(file)]!.includes(room) && !LAYERS[roomOf(file)]!.includes('*'),
        )
        .map((room) => `${file} imports ${room}`),
    );
  expect(wrong).toEqual([]);
});

test('no import cycles', () => {
  const graph = new Map(
    files.map((file) => [
      file,
      importsOf(file)
        .filter((i) => i.target.startsWith('.') && !i.typeOnly)
        .map((i) => resolve(file, i.target)),
    ]),
  );
  const state = new Map<string, 'open' | 'done'>();
  const cycles: string[] = [];
  const visit = (file: string, path: string[]): void => {
    if (state.get(file) === 'done') return;
    if (state.get(file) === 'open') return void cycles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
    state.set(file, 'open');
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    state.set(file, 'done');
  };
  for (const file of files) visit(file, []);
  expect(cycles).toEqual([]);
});

test('node: modules stay in host, cli and cluster', () => {
  const wrong = files
    .filter((file) => !isTest(file) && !NODE_ROOMS.has(roomOf(file)))
    .filter(
      (file) => importsOf(file).some((i) => i.target.startsWith('node:')) || /\bprocess\.|\bBuffer\./.test(code(file)),
    );
  expect(wrong).toEqual([]);
});

test('clock and randomness come from base', () => {
  const globals =
    /\bDate\.now\(|\bnew Date\(\)|\bset(Timeout|Interval|Immediate)\(|\bMath\.random\(|\bperformance\.now\(|crypto\.(randomUUID|getRandomValues)/;
  const wrong = files
    .filter(
      (file) =>
        !isTest(file) && !NODE_ROOMS.has(roomOf(file)) && roomOf(file) !== 'base' && roomOf(file) !== 'dashboard',
    )
    .filter((file) => globals.test(code(file)));
  expect(wrong).toEqual([]);
});

test('every file can be read in one sitting', () => {
  const long = files.filter((file) => !isTest(file) && text.get(file)!.split('\n').length > 501);
  expect(long).toEqual([]);
});
