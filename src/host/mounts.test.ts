import { expect, test } from 'vitest';
import { listMounts, mountOf, parseMountInfo } from './mounts.ts';

test.skipIf(process.platform !== 'linux')(
  'mounts: those who ask while the list is read share the next one',
  async () => {
    const first = listMounts();
    // Nothing has been read yet: it serves this one too.
    expect(listMounts()).toBe(first);
    await Promise.resolve();
    const second = listMounts();
    expect(second).not.toBe(first);
    expect(listMounts()).toBe(second);
    const [one, other] = await Promise.all([first, second]);
    expect(other).toEqual(one);
    expect(mountOf(one, '/')?.mountPoint).toBe('/');
    const third = listMounts();
    expect(third).not.toBe(second);
    await third;
  },
);

test('blanks in mount points, and who shares what', () => {
  const text = [
    '22 1 0:20 / / rw - ext4 /dev/vda rw',
    String.raw`23 22 0:21 / /a\040b rw shared:1 - tmpfs tmpfs rw`,
    '',
  ].join('\n');
  expect(parseMountInfo(text)).toEqual([
    { mountPoint: '/', type: 'ext4', source: '/dev/vda', shared: false },
    { mountPoint: '/a b', type: 'tmpfs', source: 'tmpfs', shared: true },
  ]);
});
