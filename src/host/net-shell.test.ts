import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NetShell, toShell } from './net-shell.ts';

let shell: NetShell;
beforeEach(() => void (shell = new NetShell()));
afterEach(() => shell.close());

test('answers each command with its exit code and both outputs, in order', async () => {
  const all = await Promise.all([
    shell.run('cat', 'one\ntwo'),
    shell.run('echo out; echo err >&2; (exit 3)'),
    shell.run('true'),
  ]);
  expect(all).toEqual([
    { code: 0, output: 'one\ntwo\n' },
    { code: 3, output: 'out\nerr\n' },
    { code: 0, output: '' },
  ]);
});

test('carries long input and output, and gives input no meaning', async () => {
  const input = `$HOME \`id\` '"\\\n${'x'.repeat(300_000)}`;
  expect((await shell.run('cat', input)).output).toBe(`${input}\n`);
});

test('a shell that is gone fails what it was doing, and another takes over', async () => {
  await expect(shell.run('kill -9 $$')).rejects.toThrow('killed by SIGKILL');
  expect(await shell.run('echo again')).toEqual({ code: 0, output: 'again\n' });
});

test('a command that hangs is given up, and does not hold up those that come after', async () => {
  const impatient = new NetShell(undefined, 50);
  await expect(impatient.run('sleep 1')).rejects.toThrow('killed by SIGKILL');
  expect((await impatient.run('echo next')).output).toBe('next\n');
  impatient.close();
});

test('what was told before the end is still done', async () => {
  const last = shell.run('sleep 0.05; echo done');
  shell.close();
  expect((await last).output).toBe('done\n');
  expect((await shell.run('echo new')).output).toBe('new\n');
});

test('a command that arrives in part does not run', () => {
  const whole = toShell('cat', 'one\ntwo');
  const said = (text: string) => {
    try {
      return execFileSync('sh', { input: text, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] });
    } catch (error) {
      return (error as { stdout: string }).stdout;
    }
  };
  expect(said(whole)).toMatch(/^one\ntwo\n.* 0\n$/);
  // Up to the end of `fi`, nothing; the mark at the end may be cut.
  for (let end = 0; end < whole.indexOf('\nfi\n') + 3; end++) expect(said(whole.slice(0, end))).toBe('');
});
