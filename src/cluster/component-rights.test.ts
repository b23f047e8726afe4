import { expect, test } from 'vitest';
import { DaemonSet } from '../api/kinds/apps/daemon-set.ts';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { StatefulSet } from '../api/kinds/apps/stateful-set.ts';
import { CronJob } from '../api/kinds/batch/cron-job.ts';
import { Job } from '../api/kinds/batch/job.ts';
import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Namespace } from '../api/kinds/core/namespace.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { ReplicationController } from '../api/kinds/core/replication-controller.ts';
import { Secret } from '../api/kinds/core/secret.ts';
import { Service } from '../api/kinds/core/service.ts';
import { PodDisruptionBudget } from '../api/kinds/policy/pod-disruption-budget.ts';
import { ClusterRole } from '../api/kinds/rbac/cluster-role.ts';
import type { AnyKind } from '../api/kind.ts';
import { TestCluster } from './testing.ts';

/** Every component under its own identity through a day of a cluster: none may be refused anything. */
test('no component asks for more than its role allows', async () => {
  const refused = new Set<string>();
  await using cluster = await TestCluster.start({
    nodes: 3,
    seed: 7,
    observe: (op, { error }) => {
      const what = `${op.verb} ${op.resource}${op.subresource ? `/${op.subresource}` : ''}`;
      // Nothing new in a namespace that is going: that is nobody's lack of rights.
      if (error?.code === 403 && !error.message.includes('because it is being terminated'))
        refused.add(`${op.user.name}: ${what}: ${error.message}`);
    },
  });
  const { client } = cluster;
  const namespace = 'shop';
  const labels = { app: 'web' };
  const create = (kind: AnyKind, name: string, rest: object = {}) =>
    client.create(kind, { metadata: { name, labels, ...(kind.namespaced ? { namespace } : {}) }, ...rest } as never);
  const template = (extra: object = {}) => ({
    metadata: { labels },
    spec: {
      containers: [
        { name: 'c', image: 'i', envFrom: [{ configMapRef: { name: 'settings' } }], ports: [{ containerPort: 80 }] },
      ],
      volumes: [{ name: 'keys', secret: { secretName: 'keys' } }],
      ...extra,
    },
  });
  const selector = { matchLabels: labels };
  await create(Namespace, namespace, {});
  await cluster.settle();
  await create(ConfigMap, 'settings', { data: { a: 'b' } });
  await create(Secret, 'keys', { stringData: { a: 'b' } });
  await create(Service, 'web', { spec: { selector: labels, ports: [{ port: 80 }] } });
  await create(Deployment, 'web', { spec: { replicas: 3, selector, template: template() } });
  await create(StatefulSet, 'db', { spec: { replicas: 2, serviceName: 'web', selector, template: template() } });
  await create(DaemonSet, 'agent', { spec: { selector, template: template() } });
  await create(ReplicationController, 'old', { spec: { replicas: 1, selector: labels, template: template() } });
  await create(Job, 'once', { spec: { ttlSecondsAfterFinished: 60, template: template({ restartPolicy: 'Never' }) } });
  const jobTemplate = { spec: { template: template({ restartPolicy: 'Never' }) } };
  await create(CronJob, 'often', { spec: { schedule: '*/5 * * * *', jobTemplate } });
  await create(PodDisruptionBudget, 'web', { spec: { minAvailable: 1, selector } });
  await create(ClusterRole, 'all', { aggregationRule: { clusterRoleSelectors: [selector] }, rules: [] });
  await create(Pod, 'alone', { spec: template().spec });
  await cluster.settle();
  expect((await client.get(Deployment, { namespace, name: 'web' })).status?.readyReplicas).toBe(3);
  const image = [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: 'i2' }];
  await client.patch(Deployment, { namespace, name: 'web' }, 'json', image);
  await client.patch(StatefulSet, { namespace, name: 'db' }, 'json', image);
  await client.patch(DaemonSet, { namespace, name: 'agent' }, 'json', image);
  await cluster.advance('11m');
  await cluster.stopNode('node-3');
  await cluster.advance('10m');
  cluster.startNode('node-3');
  await cluster.advance('2m');
  await client.delete(Deployment, { namespace, name: 'web' }, { propagationPolicy: 'Foreground' });
  await client.delete(StatefulSet, { namespace, name: 'db' }, { propagationPolicy: 'Orphan' });
  await cluster.advance('1m');
  await client.delete(Namespace, { name: namespace });
  await cluster.advance('2m');
  await expect(client.get(Namespace, { name: namespace })).rejects.toThrow('not found');
  expect([...refused]).toEqual([]);
});
