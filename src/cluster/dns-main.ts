// The DNS server's process: what runs in the pods of the Service kube-dns, with the pod's own ServiceAccount.

import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { realEnv } from '../base/real-env.ts';
import { createLogger } from '../base/log.ts';
import { Client } from '../client/client.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { clusterNames } from '../dns/dns.ts';
import { nameservers } from '../host/dns-forward.ts';
import { startDnsServer } from '../host/dns-server.ts';
import { httpTransport } from '../host/http-transport.ts';
import { logSink } from '../host/log-sink.ts';

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const TTL = 30;
const HEALTH_PORT = 8181;

const env = realEnv(createLogger({ sink: logSink(2, 'text') }));
const abort = new AbortController();
const {
  KUBERNETES_SERVICE_HOST: host,
  KUBERNETES_SERVICE_PORT: port,
  CLUSTER_DOMAIN: domain = 'cluster.local',
} = process.env;
if (!host) {
  process.stderr.write('coracle-dns: KUBERNETES_SERVICE_HOST is not set: this program runs in a pod\n');
  process.exit(1);
}

let ready = false;
const health = createServer((request, response) => {
  response.statusCode = request.url === '/ready' && !ready ? 503 : 200;
  response.end(response.statusCode === 200 ? 'OK' : 'not ready');
}).listen(HEALTH_PORT);

const transport = httpTransport({
  env,
  server: `https://${host}:${port ?? '443'}`,
  ca: readFileSync(`${ACCOUNT}/ca.crt`, 'utf8'),
  tokenFile: `${ACCOUNT}/token`,
});
const names = clusterNames(createInformerFactory({ client: new Client(transport, 'coracle-dns'), env }, abort), domain);
await names.synced;
const server = await startDnsServer({
  address: '0.0.0.0',
  port: 53,
  ttl: TTL,
  domain,
  log: env.log.child('dns'),
  upstreams: nameservers('/etc/resolv.conf'),
  ask: (question) => names.ask(question),
});
ready = true;
env.log.info('answering', { domain });

async function stop(): Promise<void> {
  ready = false;
  await server.close();
  health.close();
  abort.abort();
  transport.close();
  process.exit(0);
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop());
