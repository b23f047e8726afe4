// Runs everything and prints one closing line of totals. `--check`: types, lint, layers and unit tests only.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installPackages, preflight } from '../src/host/preflight.ts';
import { findProgram } from '../src/host/run.ts';

const root = new URL('..', import.meta.url).pathname;
const bin = (name: string) => join(root, 'node_modules', '.bin', name);
const checkOnly = process.argv.includes('--check');
const filters = process.argv.slice(2).filter((a) => !a.startsWith('--'));
const scratch = mkdtempSync(join(tmpdir(), 'coracle-test-'));
const totals = { passed: 0, failed: 0, skipped: 0 };

function timed(name: string, command: string, args: string[]): number {
  const start = performance.now();
  process.stdout.write(`\n== ${name}\n`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error) process.stdout.write(`${error.message}\n`);
  process.stdout.write(
    `== ${name}: ${status === 0 ? 'ok' : 'FAILED'} (${((performance.now() - start) / 1000).toFixed(1)} s)\n`,
  );
  return status ?? 1;
}

/** A step that passes or fails as a whole counts as one test. */
function step(name: string, command: string, args: string[]): void {
  if (timed(name, command, args) === 0) totals.passed++;
  else totals.failed++;
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
}

function vitest(project: string): void {
  const file = join(scratch, `${project}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const status = timed(project, bin('vitest'), ['run', '--project', project, ...reporters, ...filters]);
  try {
    const report = JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
    totals.passed += report.numPassedTests;
    totals.failed += report.numFailedTests;
    totals.skipped += report.numPendingTests + report.numTodoTests;
    if (status !== 0 && report.numFailedTests === 0) totals.failed++;
  } catch (error) {
    process.stdout.write(`no report of ${project}: ${String(error)}\n`);
    totals.failed++;
  }
}

/** What the real-container tests need is installed first, as `npm start` does; without it they skip themselves. */
async function prepareMachine(): Promise<void> {
  const missing = (await preflight({ dataDir: tmpdir() })).flatMap((finding) => finding.packages ?? []);
  if (missing.length) {
    process.stdout.write(`installing Debian packages: ${missing.join(', ')}\n`);
    const failed = await installPackages(missing);
    if (failed) process.stdout.write(`${failed}\n`);
  }
  for (const finding of await preflight({ dataDir: tmpdir() })) process.stdout.write(`${finding.message}\n`);
  if (!findProgram('kubectl')) process.stdout.write('kubectl is not installed: the tests that need it are skipped\n');
}

step('generate', process.execPath, ['scripts/generate.ts']);
step('types', bin('tsc'), ['-p', '.']);
step('lint', bin('oxlint'), []);
step('format', bin('oxfmt'), ['--check', 'src', 'test', 'scripts', 'bench']);
vitest('unit');
if (!checkOnly) {
  await prepareMachine();
  vitest('system');
}
rmSync(scratch, { recursive: true, force: true });
process.stdout.write(`\nTotal: ${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped\n`);
process.exit(totals.failed === 0 ? 0 : 1);
