// An API server of a test's own on loopback, in memory, and the administrator's kubeconfig for it.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { realEnv } from '../../src/base/real-env.ts';
import { startServer, type RunningServer, type ServerOptions } from '../../src/cluster/server.ts';
import { kubeconfigText } from '../../src/host/kubeconfig.ts';

/** Writes `dir`/kubeconfig; the server ends by the signal, `ended` tells when it has. */
export async function startApiServer(
  dir: string,
  signal: AbortSignal,
  more: Partial<ServerOptions> = {},
): Promise<{ server: RunningServer; kubeconfig: string }> {
  const server = await startServer(
    {
      env: realEnv(),
      dataDir: dir,
      store: 'memory',
      bindAddress: '127.0.0.1',
      port: 0,
      // Nobody goes there; endpoints must not be loopback addresses.
      advertiseAddress: '192.0.2.1',
      serviceCidr: '10.96.0.0/16',
      clusterCidr: '10.244.0.0/16',
      clusterDomain: 'cluster.local',
      ...more,
    },
    { signal },
  );
  const { cert, key } = server.pki.admin();
  const url = `https://127.0.0.1:${server.listener.port}`;
  const kubeconfig = join(dir, 'kubeconfig');
  const text = kubeconfigText({ name: 'test', server: url, ca: server.pki.ca, cert, key });
  writeFileSync(kubeconfig, text, { mode: 0o600 });
  return { server, kubeconfig };
}
