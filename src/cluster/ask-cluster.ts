// A question to the API server of a cluster of this machine, as its administrator.

import { UserError, type ClusterSelector } from '../cli/platform.ts';
import { httpTransport, type RawAnswer } from '../host/http-transport.ts';
import { readKubeconfig } from '../host/kubeconfig.ts';
import { commandEnv } from './command-env.ts';
import { pathsOf } from './paths.ts';
import { runningState } from './state-file.ts';

/** Milliseconds. */
const PATIENCE = 10_000;

/** GET, or `method` with a body. Rejects with a UserError when the cluster does not run. */
export async function askCluster(
  cluster: ClusterSelector,
  target: string,
  { method = 'GET', body }: { readonly method?: string; readonly body?: string } = {},
): Promise<RawAnswer> {
  const paths = pathsOf(cluster);
  if (!runningState(paths.stateFile)) throw new UserError(`cluster ${cluster.name} is not running`);
  const transport = httpTransport({ env: commandEnv(), ...readKubeconfig([paths.adminKubeconfig]).access() });
  try {
    const request = { method, target, headers: {}, ...(body === undefined ? {} : { body }) };
    return await transport.raw(request, { signal: AbortSignal.timeout(PATIENCE) });
  } finally {
    transport.close();
  }
}
