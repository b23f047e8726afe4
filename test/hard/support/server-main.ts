// The child of the tests in this folder: a control plane with a port, as startServer makes it, and a few handles the
// parent pulls over IPC. argv[2] is ServerChildOptions as JSON. The wall clock can be put forward and back, timers and
// the monotonic clock go on as they do on a machine whose clock is set.

import type { Env } from '../../../src/base/env.ts';
import { createLogger } from '../../../src/base/log.ts';
import { realEnv } from '../../../src/base/real-env.ts';
import { startServer } from '../../../src/cluster/server.ts';
import { simulatedNode } from '../../../src/cluster/simulated-nodes.ts';
import { logSink } from '../../../src/host/log-sink.ts';
import { echoNode } from './echo-node.ts';
import type { Asked, ServerChildOptions, Told } from './server-child.ts';

const options = JSON.parse(process.argv[2]!) as ServerChildOptions;
const real = realEnv(createLogger({ sink: logSink(2, 'text') }));
let shift = options.shift ?? 0;
const env: Env = { ...real, clock: { ...real.clock, now: () => real.clock.now() + shift } };
const stop = new AbortController();

// Whoever started this is gone: nobody is left to end it.
process.once('disconnect', () => process.exit(stop.signal.aborted ? 0 : 1));
const tell = (message: Told) => void process.send!(message);
const server = await startServer(
  {
    env,
    dataDir: options.dataDir,
    store: options.store ?? 'disk',
    bindAddress: '127.0.0.1',
    port: options.port ?? 0,
    advertiseAddress: '192.0.2.1',
    serviceCidr: '10.96.0.0/16',
    clusterCidr: '10.244.0.0/16',
    clusterDomain: 'cluster.local',
    clusterDns: '10.96.0.10',
    ...(options.echoNode ? { nodeConnector: () => echoNode } : {}),
  },
  { signal: stop.signal },
);
const nodes = Array.from({ length: options.nodes ?? 0 }, (_, index) =>
  simulatedNode({ name: `n${index}`, index }, { env, clientOf: server.plane.clientOf }).run({ signal: stop.signal }),
);

function answer(asked: Asked): object {
  if (asked.do === 'shift') {
    shift = asked.ms;
    return {};
  }
  globalThis.gc?.();
  return { ...process.memoryUsage() };
}

process.on('message', (asked: Asked) => {
  if (asked.do !== 'stop') return tell({ answer: asked.id, value: answer(asked) });
  stop.abort(new Error('asked to stop'));
  void Promise.all([server.ended, ...nodes.map((node) => node.catch(() => {}))]).then(() => process.disconnect());
});
const { cert, key } = server.pki.admin();
tell({ ready: { port: server.listener.port, ca: server.pki.ca, cert, key } });
