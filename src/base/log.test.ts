import { expect, test } from 'vitest';
import { createLogger, parseLogLevels } from './log.ts';

test('levels of single components override the common one', () => {
  const seen: string[] = [];
  const log = createLogger({
    sink: ({ component, message }) => seen.push(`${component} ${message}`),
    levels: parseLogLevels('kubelet=debug, apiserver=error'),
  });
  for (const name of ['kubelet', 'apiserver', 'proxy']) {
    const child = log.child(name);
    child.debug('debug');
    child.info('info');
    child.error('error');
  }
  const proxy = ['proxy info', 'proxy error'];
  expect(seen).toEqual(['kubelet debug', 'kubelet info', 'kubelet error', 'apiserver error', ...proxy]);
});

test.each(['kubelet', 'kubelet=loud', '=debug', 'a=debug,', 'a=toString'])('%j is refused', (text) => {
  expect(() => parseLogLevels(text)).toThrow('levels are debug, info, warn, error');
});
