// The package as its users have it: packed, unpacked into a project of theirs, and used under vitest, jest and node:test on
// the two Node releases it supports. Each runner must end by itself: a handle left open would keep it.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest';

const root = new URL('..', import.meta.url).pathname;
const dir = mkdtempSync(join(tmpdir(), 'coracle-consumer-'));
const modules = join(dir, 'node_modules');
/** 55 MB in 260 packages for one test: too much for everybody who installs Coracle's own development packages. */
const JEST = 'jest@30.5.2';
const OTHER_NODE = `node-linux-${process.arch}@22.23.3`;
/** Why what comes from the registry is not there. */
let missing: string | undefined;

function run(command: string, args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}) {
  const env = { ...process.env, ...options.env };
  // What the runner of this very test says to its children.
  for (const name of ['NODE_OPTIONS', 'VITEST', 'NODE_ENV', 'NODE_TEST_CONTEXT']) {
    if (!options.env?.[name]) delete env[name];
  }
  const { status, signal, stdout, stderr } = spawnSync(command, args, {
    cwd: options.cwd ?? dir,
    env,
    encoding: 'utf8',
    timeout: 90_000,
  });
  return { ended: signal === null, status, output: `${stdout}${stderr}` };
}

function must(command: string, args: readonly string[], cwd?: string): string {
  const { status, output } = run(command, args, cwd ? { cwd } : {});
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${output}`);
  return output;
}

beforeAll(() => {
  must(process.execPath, [join(root, 'scripts/build.ts')], root);
  must('npm', ['pack', '--ignore-scripts', '--pack-destination', dir], root);
  mkdirSync(join(modules, 'coracle'), { recursive: true });
  must('tar', ['-xzf', `${dir}/coracle-0.1.0.tgz`, '-C', join(modules, 'coracle'), '--strip-components=1']);
  cpSync(join(root, 'test/fixtures/consumer'), dir, { recursive: true });
  cpSync(join(dir, 'suite.vitest.ts'), join(dir, 'suite.test.ts'));
  for (const name of ['vitest', '@types', 'undici-types'])
    symlinkSync(join(root, 'node_modules', name), join(modules, name));
  writeFileSync(join(dir, 'package.json'), '{"private":true,"type":"module"}');
  const jest = { testMatch: ['**/suite.jest.mjs'], transform: {}, moduleFileExtensions: ['mjs', 'js', 'json'] };
  writeFileSync(join(dir, 'jest.config.json'), JSON.stringify(jest));
  const tools = join(dir, 'tools');
  mkdirSync(tools);
  writeFileSync(join(tools, 'package.json'), '{"private":true}');
  const quick = ['--no-audit', '--no-fund', '--prefer-offline', '--fetch-retries=0'];
  const { status, output } = run('npm', ['install', ...quick, JEST, OTHER_NODE], { cwd: tools });
  if (status !== 0) missing = `${JEST} and ${OTHER_NODE} cannot be had: ${output.trim().split('\n').at(-1)}`;
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function need(context: TestContext): void {
  if (missing) console.warn(missing);
  context.skip(missing !== undefined, missing);
}

const nodes = [
  { release: process.version, path: () => process.execPath, installed: false },
  { release: OTHER_NODE, path: () => join(dir, 'tools/node_modules/.bin/node'), installed: true },
];

describe.each(nodes)('$release', ({ path, installed }) => {
  test('node:test', (context) => {
    if (installed) need(context);
    const { ended, status, output } = run(path(), ['--test', 'suite.node.mjs']);
    expect({ ended, status }, output).toEqual({ ended: true, status: 0 });
    expect(output).toMatch(/pass 2\n/);
  });

  test('vitest', (context) => {
    if (installed) need(context);
    const { ended, status, output } = run(path(), ['node_modules/vitest/vitest.mjs', 'run', 'suite.test.ts']);
    expect({ ended, status }, output).toEqual({ ended: true, status: 0 });
    expect(output).toContain('1 passed');
    expect(output).not.toContain('close timed out');
  });

  test('jest, with neither --forceExit nor complaints', (context) => {
    need(context);
    const argv = ['tools/node_modules/jest/bin/jest.js', '--rootDir', dir, '--config', 'jest.config.json'];
    const { ended, status, output } = run(path(), argv, { env: { NODE_OPTIONS: '--experimental-vm-modules' } });
    expect({ ended, status }, output).toEqual({ ended: true, status: 0 });
    expect(output).toContain('2 passed');
    expect(output).not.toMatch(/did not exit|open handle/);
  });

  test('a CommonJS program', (context) => {
    if (installed) need(context);
    const program = `const { TestCluster } = require('coracle/testing');
      TestCluster.start().then((cluster) => cluster.stop()).then(() => console.log('stopped'));`;
    const { ended, output } = run(path(), ['--input-type=commonjs', '-e', program]);
    expect(ended).toBe(true);
    expect(output).toBe('stopped\n');
  });
});

test.each([
  ['nodenext', 'nodenext'],
  ['bundler', 'preserve'],
])('declarations compile without skipLibCheck: %s', (moduleResolution, module) => {
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2022', 'esnext.disposable'],
    module,
    moduleResolution,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    types: ['node'],
    noEmit: true,
  };
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['types.ts'] }));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  expect(run(process.execPath, [tsc, '-p', dir]).output).toBe('');
});
