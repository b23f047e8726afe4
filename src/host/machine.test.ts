import { expect, it } from 'vitest';
import { parseResolvConf, readMachine, readPressure } from './machine.ts';

it('reads resolver configurations', () => {
  const text =
    '# comment\nnameserver 10.0.0.2\nnameserver fd00::1\nsearch a.example b.example .\noptions ndots:2 edns0\n';
  expect(parseResolvConf(text)).toEqual({
    servers: ['10.0.0.2', 'fd00::1'],
    searches: ['a.example', 'b.example'],
    options: ['ndots:2', 'edns0'],
  });
});

it('knows the machine it runs on', async () => {
  const machine = await readMachine('/');
  expect(machine).toMatchObject({ os: 'linux', cpus: expect.any(Number) });
  expect(machine.memoryBytes).toBeGreaterThan(1 << 28);
  const pressure = await readPressure('/');
  expect(pressure.memoryAvailableBytes).toBeLessThanOrEqual(machine.memoryBytes);
  expect(pressure.pidsAvailable).toBeGreaterThan(0);
});
