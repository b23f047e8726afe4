// `coracle status`: what a running cluster's /metrics says, in a few lines; its nodes, pods and certificates.

import type { Env } from '../base/env.ts';
import { metricsSummary } from '../cli/metrics-summary.ts';
import type { ClusterSelector, ClusterStatus } from '../cli/platform.ts';
import { httpTransport } from '../host/http-transport.ts';
import { readKubeconfig } from '../host/kubeconfig.ts';
import { clusterHealth } from './cluster-health.ts';
import { commandEnv } from './command-env.ts';
import { statusOf } from './manager.ts';
import { pathsOf } from './paths.ts';
import { certificatesIn, workloadOf } from './status-objects.ts';

/** The whole of `coracle status`. */
export async function clusterStatus(cluster: ClusterSelector): Promise<ClusterStatus> {
  return withFigures(await statusOf(cluster, clusterHealth), commandEnv());
}

/** Without figures when the cluster does not run or does not answer: its health says why. */
async function withFigures(status: ClusterStatus, env: Env): Promise<ClusterStatus> {
  if (status.state !== 'running') return status;
  const { adminKubeconfig, pki } = pathsOf({ name: status.name, dataDir: status.dataDir });
  const transport = httpTransport({ env, ...readKubeconfig([adminKubeconfig]).access() });
  try {
    const [{ status: code, body }, workload] = await Promise.all([
      transport.raw({ method: 'GET', target: '/metrics', headers: {} }, { signal: AbortSignal.timeout(2000) }),
      workloadOf(transport),
    ]);
    const certificates = certificatesIn(pki);
    const figures = code === 200 ? { figures: metricsSummary(body.toString()) } : {};
    return { ...status, workload, certificates, ...figures };
  } catch (error) {
    env.log.debug('no figures', { error: (error as Error).message });
    return status;
  } finally {
    transport.close();
  }
}
