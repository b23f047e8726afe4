import { expect, test } from 'vitest';
import { createLogger, type LogRecord } from '../base/log.ts';
import { logFlagsHandlers } from './log-flags.ts';
import { TestExchange } from './test-exchange.ts';

const USER = { name: 'root', groups: ['system:masters'] };

test('what is logged is changed while it runs, for loggers made before as well', async () => {
  const said: LogRecord[] = [];
  const log = createLogger({ sink: (record) => said.push(record) });
  const kubelet = log.child('kubelet');
  const handlers = logFlagsHandlers(log.levels!);
  const put = async (path: string, body: string) => {
    const exchange = new TestExchange({ method: 'PUT', url: path, body });
    await handlers.find((h) => h.match(path))!.handle(exchange, { user: USER, path });
    return [exchange.status, exchange.text] as const;
  };
  const heard = () => {
    said.length = 0;
    kubelet.debug('k');
    log.child('proxy').info('p');
    return said.map((record) => record.component);
  };
  expect(heard()).toEqual(['proxy']);
  expect(await put('/debug/flags/v', '4')).toEqual([200, 'successfully set klog.logging.verbosity to 4\n']);
  expect(heard()).toEqual(['kubelet', 'proxy']);
  expect(await put('/debug/flags/log-levels', 'kubelet=error,proxy=warn')).toEqual([
    200,
    'successfully set log-levels to kubelet=error,proxy=warn\n',
  ]);
  expect(heard()).toEqual([]);
  await put('/debug/flags/log-levels', '');
  await put('/debug/flags/v', '2');
  expect(heard()).toEqual(['proxy']);
  expect((await put('/debug/flags/v', 'much'))[0]).toBe(400);
  expect((await put('/debug/flags/log-levels', 'kubelet'))[1]).toContain('write it like kubelet=debug');
  expect(handlers.every((h) => h.methods?.join() === 'PUT')).toBe(true);
});
