import { createServer, type AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HealthPorts } from './health-ports.ts';

let ports: HealthPorts;
let warnings: string[];
beforeEach(() => {
  warnings = [];
  ports = new HealthPorts({ address: '127.0.0.1', warn: (message) => warnings.push(message) });
});
afterEach(() => ports.close());

const check = (port: number, localEndpoints: number) => ({ port, namespace: 'shop', name: 'web', localEndpoints });

/** A port that is free, unless `held`, which runs while it is not. */
async function somePort(held?: (port: number) => Promise<void>): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await held?.(port);
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function ask(port: number): Promise<[number, string | null, unknown] | string> {
  for (let i = 0; ; i++) {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
      return [answer.status, answer.headers.get('x-load-balancing-endpoint-weight'), await answer.json()];
    } catch {
      if (i === 5) return 'refused';
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

test('answers as the pods on this node are, as long as the Service has the port', async () => {
  const [one, two] = [await somePort(), await somePort()];
  const told = { service: { namespace: 'shop', name: 'web' }, serviceProxyHealthy: true };
  ports.set('shop/web', check(one, 0));
  expect(await ask(one)).toEqual([503, '0', { ...told, localEndpoints: 0 }]);
  ports.set('shop/web', check(one, 2));
  expect(await ask(one)).toEqual([200, '2', { ...told, localEndpoints: 2 }]);
  ports.set('shop/web', check(two, 1));
  expect(await ask(two)).toEqual([200, '1', { ...told, localEndpoints: 1 }]);
  expect(await ask(one)).toBe('refused');
  ports.set('shop/web', undefined);
  expect(await ask(two)).toBe('refused');
});

test('a port that somebody else has is told of, and tried again when the Service is looked at next', async () => {
  const port = await somePort(async (taken) => {
    ports.set('shop/web', check(taken, 1));
    await expect.poll(() => warnings).toEqual([expect.stringContaining('shop/web: listen EADDRINUSE')]);
  });
  ports.set('shop/web', check(port, 1));
  expect(await ask(port)).toMatchObject([200, '1', {}]);
});
