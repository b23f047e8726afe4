// How a running cluster is, as its API server tells.

import type { ClusterStatus } from '../cli/platform.ts';
import { httpTransport } from '../host/http-transport.ts';
import { readKubeconfig } from '../host/kubeconfig.ts';
import { commandEnv } from './command-env.ts';
import { pathsOf } from './paths.ts';
import type { ClusterState } from './state-file.ts';

/** One line for each of its checks; one that is bad when it does not answer. */
export async function clusterHealth(state: ClusterState): Promise<ClusterStatus['components']> {
  const env = commandEnv();
  const cluster = { name: state.name, dataDir: state.dataDir };
  const access = readKubeconfig([pathsOf(cluster).adminKubeconfig]).access();
  const transport = httpTransport({ env, ...access });
  try {
    const { status, body } = await transport.raw(
      { method: 'GET', target: '/readyz?verbose', headers: {} },
      { signal: AbortSignal.timeout(2000) },
    );
    const lines = body
      .toString()
      .split('\n')
      .flatMap((line) => (/^\[([+-])\](\S+) (.*)$/.exec(line)?.slice(1) ? [line] : []));
    const checks = lines.map((line) => {
      const [, sign, name = '', text = ''] = /^\[([+-])\](\S+) (.*)$/.exec(line)!;
      return { name, healthy: sign === '+', message: sign === '+' ? '' : text };
    });
    return checks.length
      ? checks
      : [{ name: 'apiserver', healthy: status === 200, message: status === 200 ? '' : `answers ${status}` }];
  } catch (error) {
    return [{ name: 'apiserver', healthy: false, message: (error as Error).message }];
  } finally {
    transport.close();
  }
}
