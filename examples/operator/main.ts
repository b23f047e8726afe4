// Runs the operator against the cluster of the current kubeconfig context; of several copies one works at a time.
// `node examples/operator/main.ts`

import { clientOfKubeconfig, realEnv, createLogger } from 'coracle';
import { createInformerFactory, runController, runLeaderElection } from 'coracle/controller';
import { exposeOperator } from './expose.ts';

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(signal)));

const env = realEnv(createLogger({ sink: ({ level, message, fields }) => console.error(level, message, fields) }));
const { client, close } = clientOfKubeconfig({ env, userAgent: exposeOperator.name });
const lease = { client, env, namespace: 'default', name: exposeOperator.name, identity: `${process.pid}` };
await runLeaderElection({ ...lease, signal: stop.signal }, ({ signal }) =>
  runController(
    exposeOperator,
    { client, env, informers: createInformerFactory({ client, env }, { signal }) },
    { signal },
  ),
);
close();
