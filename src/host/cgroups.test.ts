import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hostCgroups } from './cgroups.ts';
import { listMounts } from './mounts.ts';

const hierarchies = (await listMounts()).filter((m) => m.type === 'cgroup' || m.type === 'cgroup2');
const writable = process.getuid?.() === 0 && hierarchies.length > 0;

describe.runIf(writable)('cgroups of pods', () => {
  it('get their limits, and go with everything in them', async () => {
    const cgroups = hostCgroups();
    const root = `/coracle-test-${process.pid}`;
    const path = `${root}/burstable/pod1`;
    const child = spawn('sleep', ['60']);
    const ended = once(child, 'exit');
    try {
      await cgroups.apply(path, { cpuShares: 512, cpuQuota: 50_000, cpuPeriod: 100_000, memoryBytes: 64 << 20 });
      expect(await cgroups.children(`${root}/burstable`)).toEqual(['pod1']);
      const memory = hierarchies.find((m) => m.mountPoint.endsWith('/memory'));
      if (memory) {
        const at = join(memory.mountPoint, path);
        expect(await readFile(join(at, 'memory.limit_in_bytes'), 'utf8')).toBe(`${64 << 20}\n`);
        await writeFile(join(at, 'cgroup.procs'), String(child.pid));
      }
      const cpu = hierarchies.find((m) => m.mountPoint.endsWith('/cpu'));
      if (cpu) expect(await readFile(join(cpu.mountPoint, path, 'cpu.shares'), 'utf8')).toBe('512\n');
      await cgroups.remove(path);
      await cgroups.remove(path);
      expect(await cgroups.children(`${root}/burstable`)).toEqual([]);
      // Where it lived in the cgroup, it went with it.
      if (memory) expect((await ended)[1]).toBe('SIGKILL');
    } finally {
      child.kill('SIGKILL');
      await cgroups.remove(root);
    }
    for (const { mountPoint } of hierarchies) await expect(access(join(mountPoint, root))).rejects.toThrow('ENOENT');
  });

  it('never touch the root', async () => {
    await expect(hostCgroups().remove('/')).rejects.toThrow('not ours');
  });
});
