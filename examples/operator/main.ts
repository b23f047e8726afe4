// Runs the operator against the cluster of the current kubeconfig context, until SIGINT or SIGTERM. `--role` prints the
// ClusterRole it needs instead.

import { clientOfKubeconfig, createLogger, realEnv } from 'coracle';
import { roleOf } from 'coracle/controller';
import { mirrorOperator, runMirrorOperator } from './mirror.ts';

if (process.argv.includes('--role')) {
  console.log(JSON.stringify(roleOf(mirrorOperator), undefined, 2));
  process.exit();
}
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(signal)));

const env = realEnv(createLogger({ sink: ({ level, message, fields }) => console.error(level, message, fields) }));
const { client, close } = clientOfKubeconfig({ env, userAgent: mirrorOperator.name });
console.log(`${mirrorOperator.name} ${process.pid} waits for its turn`);
await runMirrorOperator({ client, env, identity: `${process.pid}` }, stop);
close();
