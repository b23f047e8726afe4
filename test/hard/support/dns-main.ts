// The child of the DNS tests: cluster DNS as its pod runs it, on loopback, against the API server it is told of. argv[2] is
// DnsChildOptions as JSON. Tells its port, then its memory whenever it is asked.

import { createLogger } from '../../../src/base/log.ts';
import { realEnv } from '../../../src/base/real-env.ts';
import { Client } from '../../../src/client/client.ts';
import { createInformerFactory } from '../../../src/client/create-informer.ts';
import { clusterNames } from '../../../src/dns/dns.ts';
import { startDnsServer } from '../../../src/host/dns-server.ts';
import { httpTransport } from '../../../src/host/http-transport.ts';
import { logSink } from '../../../src/host/log-sink.ts';

export interface DnsChildOptions {
  /** `https://host:port`. */
  readonly server: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly upstreams: readonly string[];
}

const { upstreams, ...access } = JSON.parse(process.argv[2]!) as DnsChildOptions;
const env = realEnv(createLogger({ sink: logSink(2, 'text') }));
const abort = new AbortController();
process.once('disconnect', () => process.exit(0));
const transport = httpTransport({ env, ...access });
const informers = createInformerFactory({ client: new Client(transport, 'coracle-dns'), env }, abort);
const names = clusterNames(informers, 'cluster.local');
await names.synced;
const { port } = await startDnsServer({
  address: '127.0.0.1',
  port: 0,
  ttl: 5,
  domain: 'cluster.local',
  log: env.log.child('dns'),
  upstreams,
  ask: (question) => names.ask(question),
});
process.on('message', () => {
  globalThis.gc?.();
  process.send!({ ...process.memoryUsage() });
});
process.send!({ port });
