// `coracle trace`: asks a running cluster's API server for the life of a change.

import { UserError, type ClusterSelector, type TracedObject } from '../cli/platform.ts';
import type { ChangeLife } from '../base/change-life.ts';
import { TRACES_PATH, type TracesAnswer } from '../server/traces-handler.ts';
import { askCluster } from './ask-cluster.ts';

export async function traceOf(cluster: ClusterSelector, about: TracedObject): Promise<ChangeLife> {
  const query = new URLSearchParams({ ...about });
  const { status, body } = await askCluster(cluster, `${TRACES_PATH}?${query}`);
  const text = body.toString();
  if (status !== 200) throw new UserError((JSON.parse(text) as { message?: string }).message ?? `answer ${status}`);
  const { life, since, about: asked } = JSON.parse(text) as TracesAnswer;
  if (life) return life;
  const object = `${asked.resource} ${asked.namespace ? `${asked.namespace}/` : ''}${asked.name}`;
  throw new UserError(
    `no change of ${object} is remembered: there is no such object, or it changed last before ` +
      `${new Date(since).toISOString()}, which is as far back as the memory of this cluster's process goes`,
  );
}
