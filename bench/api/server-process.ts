// The measured process: the API server as `coracle server` composes it, on the disk store. `node server-process.ts <dir>
// [all] [no-trace]`: without `all` neither controllers nor scheduler run, as in a kube-apiserver, so that its figures are its own.

import { join } from 'node:path';
import { createLogger } from '../../src/base/log.ts';
import { Tracer } from '../../src/base/trace.ts';
import { realEnv } from '../../src/base/real-env.ts';
import { startServer } from '../../src/cluster/server.ts';
import { logSink } from '../../src/host/log-sink.ts';
import { tellMemory } from './tell-memory.ts';

const [dir, ...switches] = process.argv.slice(2);
const all = switches.includes('all');
const base = realEnv(createLogger({ level: 'warn', sink: logSink(2, 'text') }));
const env = switches.includes('no-trace') ? base : { ...base, tracer: new Tracer(base) };
const abort = new AbortController();
process.once('SIGTERM', () => abort.abort(new Error('SIGTERM')));
// The benchmark is gone.
process.once('disconnect', () => abort.abort(new Error('disconnected')));
const running = await startServer(
  {
    env,
    dataDir: join(dir!, 'data'),
    store: 'disk',
    bindAddress: '127.0.0.1',
    port: 0,
    serviceCidr: '10.96.0.0/16',
    clusterCidr: '10.244.0.0/16',
    clusterDomain: 'cluster.local',
    clusterDns: '10.96.0.10',
    advertiseAddress: '192.0.2.1',
    ...(all ? {} : { scheduler: false, selectControllers: 'service-account-controller' }),
  },
  { signal: abort.signal },
);
const { cert, key } = running.pki.admin();
tellMemory();
process.send!({ port: running.listener.port, ca: running.pki.ca, cert, key });
await running.ended;
if (process.connected) process.disconnect();
