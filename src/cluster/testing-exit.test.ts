// An embedded cluster leaves no handle open: a program that used one, port and all, ends by itself.

import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

test('node:test ends by itself after a cluster with a port', () => {
  const entry = new URL('./testing.ts', import.meta.url).href;
  const program = `
    import { test } from 'node:test';
    import { TestCluster } from '${entry}';
    for (const time of ['virtual', 'real']) test(time, async () => {
      await using cluster = await TestCluster.start({ time });
      await cluster.listen();
    });`;
  const options = { encoding: 'utf8', timeout: 9_000 } as const;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], options);
  expect(stdout).toContain('fail 0');
  expect(status).toBe(0);
});
