// A NodeApi whose containers give back what they are sent.

import type { ByteSink, ByteSource, NodeApi } from '../../../src/api/node-api.ts';

async function copy(from: ByteSource | undefined, to: ByteSink | undefined): Promise<void> {
  if (from) for await (const chunk of from) await to?.write(chunk);
}

async function* oneLine(): ByteSource {
  yield new TextEncoder().encode('a line\n');
}

export const echoNode: NodeApi = {
  async exec(_target, _options, { stdin, stdout }) {
    await copy(stdin, stdout);
    return 0;
  },
  attach: (_target, _options, { stdin, stdout }) => copy(stdin, stdout),
  logs: async () => oneLine(),
  async portForward(_target, _port, { input, output }) {
    await copy(input, output);
    output.end();
  },
};
