// The door of every npm script on a fresh machine: plain JavaScript for Node >= 20, no packages. It installs the npm
// packages when the lockfile changed (the pinned Node among them), builds when sources changed, and hands over.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [task, ...args] = process.argv.slice(2);
const started = performance.now();
const seconds = () => ((performance.now() - started) / 1000).toFixed(1);

function fail(message) {
  process.stderr.write(`coracle: ${message}\n`);
  process.exit(1);
}

function run(command, argv, options = {}) {
  const result = spawnSync(command, argv, { cwd: root, stdio: 'inherit', ...options });
  if (result.error) fail(`cannot run ${command}: ${result.error.message}`);
  return result.status ?? 1;
}

/** Running does without the declarations of types, the greater part of a build. */
const runs = task === 'start' || task === 'stop';

function installPackages() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const stamp = join(root, 'node_modules', '.coracle-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  process.stdout.write('  installing npm packages ...\n');
  const npm = process.env.npm_execpath;
  // Not `ci`: it refuses a lockfile without the optional binaries of other platforms. `--no-save` leaves the lockfile as it
  // is, and its versions and hashes are what gets installed. No package of ours needs its install script.
  const argv = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const result = npm
    ? spawnSync(process.execPath, [npm, ...argv], { cwd: root, encoding: 'utf8' })
    : spawnSync('npm', argv, { cwd: root, encoding: 'utf8' });
  if (result.status !== 0) {
    const why = (result.stderr || String(result.error ?? ''))
      .trim()
      .split('\n')
      .filter((l) => !l.startsWith('npm warn'));
    fail(
      `installing the npm packages failed (${why.slice(0, 3).join('; ') || 'no output'}): check the npm registry and run again`,
    );
  }
  writeFileSync(stamp, lock);
  process.stdout.write(`  npm packages installed (${seconds()} s)\n`);
}

/** The pinned Node where npm has one for this platform, else the Node that runs this, when it is new enough. */
function pinnedNode() {
  const node = join(root, 'node_modules', '.bin', 'node');
  if (existsSync(node)) return node;
  if (Number(process.versions.node.split('.')[0]) >= 22) return process.execPath;
  fail(
    `no pinned Node for ${process.platform}-${process.arch} and Node ${process.versions.node} is too old: install Node 22 or newer`,
  );
}

function newest(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  let latest = 0;
  for (const name of readdirSync(path)) if (name !== 'generated') latest = Math.max(latest, newest(join(path, name)));
  return latest;
}

function build(node, environment) {
  const stamp = join(root, 'dist', '.built');
  const sources = Math.max(...['src', 'schema', 'scripts', 'package-lock.json'].map((p) => newest(join(root, p))));
  const whole = existsSync(stamp) && readFileSync(stamp, 'utf8') === 'with types';
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= sources && (runs || whole)) return;
  process.stdout.write('  building ...\n');
  const status = run(node, ['scripts/build.ts', ...(runs ? ['--no-types'] : [])], { env: environment });
  if (status !== 0) fail('the build failed: see above');
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(stamp, runs ? '' : 'with types');
  process.stdout.write(`  built (${seconds()} s)\n`);
}

installPackages();
const node = pinnedNode();
const environment = { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH}` };
const main = join(root, 'dist', 'main.js');

const tasks = {
  build: () => (build(node, environment), 0),
  start: () => (
    build(node, environment),
    run(node, [main, 'demo', 'up', ...args], { env: environment, cwd: process.cwd() })
  ),
  stop: () => (
    build(node, environment),
    run(node, [main, 'demo', 'down', ...args], { env: environment, cwd: process.cwd() })
  ),
  test: () => (build(node, environment), run(node, ['scripts/test.ts', ...args], { env: environment })),
  check: () => run(node, ['scripts/test.ts', '--check', ...args], { env: environment }),
  simulate: () => run(node, ['scripts/simulate.ts', ...args], { env: environment }),
  bench: () => (build(node, environment), run(node, ['scripts/bench.ts', ...args], { env: environment })),
};
if (!tasks[task]) fail(`usage: node scripts/bootstrap.mjs ${Object.keys(tasks).join('|')}`);
process.exit(tasks[task]());
