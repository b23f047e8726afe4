import { expect, test } from 'vitest';
import { withLock } from './lock.ts';

test.runIf(process.platform === 'linux')(
  'one at a time, in the order of nobody, and the next also after a failure',
  async () => {
    const key = `test-${process.pid}`;
    let inside = 0;
    let most = 0;
    let waited = 0;
    const work = async () => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
    };
    const failing = withLock(
      key,
      () => waited++,
      () => Promise.reject(new Error('no')),
    );
    await expect(failing).rejects.toThrow('no');
    await Promise.all(Array.from({ length: 8 }, () => withLock(key, () => waited++, work)));
    expect(most).toBe(1);
    expect(waited).toBe(7);
    await Promise.all([withLock(`${key}-a`, () => waited++, work), withLock(`${key}-b`, () => waited++, work)]);
    expect(waited).toBe(7);
  },
);
