import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { MALLOC, NODE_FLAGS } from './process-settings.ts';

it('bin/coracle starts its process with the same settings', () => {
  const script = readFileSync(new URL('../../bin/coracle', import.meta.url), 'utf8');
  const set = [...script.matchAll(/^export (\w+)="\$\{\1:-(\d+)\}"$/gm)].map(([, name, value]) => [name, value]);
  expect(Object.fromEntries(set)).toEqual(MALLOC);
  expect(/^exec "\$node" (.*) "\$here\/dist\/main\.js" "\$@"$/m.exec(script)?.[1]?.split(' ')).toEqual(NODE_FLAGS);
});
