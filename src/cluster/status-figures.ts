// The figures of `coracle status`: what a running cluster's /metrics says, in a few lines.

import type { Env } from '../base/env.ts';
import { metricsSummary } from '../cli/metrics-summary.ts';
import type { ClusterStatus } from '../cli/platform.ts';
import { httpTransport } from '../host/http-transport.ts';
import { readKubeconfig } from '../host/kubeconfig.ts';
import { pathsOf } from './paths.ts';

/** Without figures when the cluster does not run or does not answer: its health says why. */
export async function withFigures(status: ClusterStatus, env: Env): Promise<ClusterStatus> {
  if (status.state !== 'running') return status;
  const { adminKubeconfig } = pathsOf({ name: status.name, dataDir: status.dataDir });
  const transport = httpTransport({ env, ...readKubeconfig([adminKubeconfig]).access() });
  try {
    const { status: code, body } = await transport.raw(
      { method: 'GET', target: '/metrics', headers: {} },
      { signal: AbortSignal.timeout(2000) },
    );
    return code === 200 ? { ...status, figures: metricsSummary(body.toString()) } : status;
  } catch (error) {
    env.log.debug('no figures', { error: (error as Error).message });
    return status;
  } finally {
    transport.close();
  }
}
