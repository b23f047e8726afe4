// What clients do to every kind alike: make, read, list, watch, patch in each way, replace, write status, dry run and
// delete one or all. A row names the behaviours of the conformance suite that it stands for.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { builtinKinds } from '../../api/kinds/index.ts';
import type { AnyKind } from '../../api/kind.ts';
import type { Draft, KubeObject } from '../../api/object.ts';
import { TestCluster } from '../testing.ts';
import { SAMPLES } from './samples.ts';
import { names, refusal, watching } from './support.ts';

/** By resource: the behaviours, and a patch of the status. */
const CASES: Readonly<Record<string, readonly [behaviours: string, status?: object]>> = {
  namespaces: ['Namespace patching', { conditions: [condition('StatusPatch')] }],
  nodes: ['Node, resource lifecycle', { conditions: [condition('StatusPatch')] }],
  pods: ['Pods, patching status', { message: 'patched by e2e' }],
  services: ['Service, deletes a collection of services', { conditions: [condition('StatusPatched')] }],
  endpoints: ['Endpoint resource lifecycle'],
  configmaps: ['ConfigMap lifecycle + ConfigMap Update'],
  secrets: ['Secret patching'],
  serviceaccounts: ['ServiceAccount lifecycle test'],
  persistentvolumes: ['PersistentVolumes(Claims), apply changes to a pv/pvc status', { message: 'StatusPatched' }],
  persistentvolumeclaims: [
    'PersistentVolumes(Claims), lifecycle',
    { conditions: [{ ...condition('StatusPatched'), status: 'True' }] },
  ],
  limitranges: ['LimitRange, list, patch and delete a LimitRange by collection'],
  resourcequotas: ['ResourceQuota, manage lifecycle of a ResourceQuota', { hard: { pods: '7' } }],
  events: ['Event, manage lifecycle of an Event + Event, delete a collection'],
  podtemplates: ['PodTemplate lifecycle + PodTemplate, replace + PodTemplate, delete a collection'],
  replicationcontrollers: ['Replication Controller, lifecycle (API)', { conditions: [condition('StatusPatched')] }],
  'deployments.apps': ['Deployment, status sub-resource (API)', { conditions: [condition('StatusPatched')] }],
  'replicasets.apps': [
    'ReplicaSet, list and delete a collection of ReplicaSets (API)',
    { conditions: [condition('StatusPatched')] },
  ],
  'daemonsets.apps': [
    'DaemonSet, list and delete a collection of DaemonSets (API)',
    { conditions: [condition('StatusPatched')] },
  ],
  'statefulsets.apps': [
    'StatefulSet, list, patch and delete a collection of StatefulSets + StatefulSet, status sub-resource',
    { conditions: [condition('StatusPatched')] },
  ],
  'controllerrevisions.apps': ['ControllerRevision, resource lifecycle (API)'],
  'jobs.batch': ['Jobs, apply changes to status', { conditions: [condition('CustomConditionType')] }],
  'cronjobs.batch': ['CronJob API Operations', { lastScheduleTime: '2026-01-01T00:00:00Z' }],
  'poddisruptionbudgets.policy': [
    'PodDisruptionBudget: list and delete collection + PodDisruptionBudget: create, update, patch, and delete object + PodDisruptionBudget: update and patch status',
    { disruptedPods: { gone: '2026-01-01T00:00:00Z' } },
  ],
  'storageclasses.storage.k8s.io': ['StorageClass, lifecycle'],
  'ingresses.networking.k8s.io': ['Ingress API', { loadBalancer: { ingress: [{ ip: '169.1.1.1' }] } }],
  'ingressclasses.networking.k8s.io': ['IngressClass API'],
  'networkpolicies.networking.k8s.io': ['networkpolicies.networking.k8s.io'],
  'horizontalpodautoscalers.autoscaling': [
    'horizontalpodautoscalers.autoscaling',
    { desiredReplicas: 2, currentReplicas: 1 },
  ],
  'endpointslices.discovery.k8s.io': ['EndpointSlice API'],
  'leases.coordination.k8s.io': ['lease API should be available'],
  'events.events.k8s.io': [
    'New Event resource lifecycle, testing a single event + New Event resource lifecycle, testing a list of events',
  ],
  'priorityclasses.scheduling.k8s.io': ['Scheduler, Verify PriorityClass endpoints'],
  'roles.rbac.authorization.k8s.io': ['roles.rbac.authorization.k8s.io'],
  'clusterroles.rbac.authorization.k8s.io': ['clusterroles.rbac.authorization.k8s.io'],
  'rolebindings.rbac.authorization.k8s.io': ['rolebindings.rbac.authorization.k8s.io'],
  'clusterrolebindings.rbac.authorization.k8s.io': ['clusterrolebindings.rbac.authorization.k8s.io'],
  'certificatesigningrequests.certificates.k8s.io': [
    'CertificateSigningRequest API',
    { conditions: [condition('StatusUpdate')] },
  ],
};

function condition(type: string) {
  return { type, status: 'True', reason: 'E2E', message: 'Set by a test' };
}

const KINDS = builtinKinds.filter((kind) => !kind.virtual && kind.verbs?.length !== 0);
const hasCollection = (kind: AnyKind) => !kind.verbs || kind.verbs.includes('deletecollection');
const NOW = { gracePeriodSeconds: 0, propagationPolicy: 'Background' } as const;
/** Deletes that something else has to finish: a kubelet, or the namespace's controller. */
const LINGERS = new Set(['namespaces', 'pods']);
/** Kinds whose protection finalizers nobody removes here. */
const PROTECTED = new Set(['persistentvolumes', 'persistentvolumeclaims', 'jobs.batch']);

describe.each(KINDS.map((kind) => [CASES[kind.resource]?.[0], kind] as const))('%s', (behaviour, kind) => {
  let cluster: TestCluster;
  let space: { namespace?: string };
  beforeAll(async () => {
    cluster = await TestCluster.start({
      nodes: 0,
      scheduler: false,
      seed: 1,
      controllers: 'namespace-controller,service-account-controller',
    });
    space = kind.namespaced ? { namespace: 'default' } : {};
  });
  afterAll(() => cluster.stop());

  const create = (name: string, options: object = {}, labels: object = { e2e: 'one' }) =>
    cluster.client.create(
      kind,
      { metadata: { name, ...space, labels }, ...SAMPLES[kind.resource] } as unknown as Draft<KubeObject>,
      options,
    );
  const ref = (name: string) => ({ ...space, name });
  const finish = async () => {
    await cluster.settle();
    for (const item of (await cluster.client.list(kind as AnyKind, { ...space, labelSelector: 'e2e' })).items)
      if (item.metadata.deletionTimestamp && PROTECTED.has(kind.resource))
        await cluster.client.patch(kind, ref(item.metadata.name), 'merge', { metadata: { finalizers: null } });
    await cluster.settle();
  };

  test('written and watched', async () => {
    expect(behaviour, 'a row for the kind').toBeDefined();
    const { client } = cluster;
    const watch = await watching(client, kind as AnyKind, { ...space, labelSelector: 'e2e' });
    const created = await create('x');
    expect(created).toMatchObject({ apiVersion: kind.apiVersion, kind: kind.kind });
    expect(await client.get(kind, ref('x'))).toEqual(created);
    expect(await refusal(create('x'))).toBe(`AlreadyExists: ${kind.resource} "x" already exists`);
    expect(await names(client, kind, { labelSelector: 'e2e=one' })).toEqual(['x']);
    expect(await names(client, kind, { ...space, fieldSelector: 'metadata.name=x' })).toEqual(['x']);
    expect(await names(client, kind, { ...space, labelSelector: 'e2e=other' })).toEqual([]);

    const annotate = (key: string) => ({ metadata: { annotations: { [key]: 'true' } } });
    await client.patch(kind, ref('x'), 'merge', annotate('merged'));
    await client.patch(kind, ref('x'), 'strategic', annotate('strategic'));
    await client.patch(kind, ref('x'), 'json', [{ op: 'add', path: '/metadata/annotations/json', value: 'true' }]);
    const applied = await client.apply(
      kind,
      { metadata: { ...ref('x'), annotations: { applied: 'true' } } } as Draft<KubeObject>,
      { fieldManager: 'e2e', force: true },
    );
    const yes = { merged: 'true', strategic: 'true', json: 'true', applied: 'true' };
    expect(applied.metadata.annotations).toMatchObject(yes);
    const updated = await client.update(kind, {
      ...applied,
      metadata: { ...applied.metadata, annotations: { ...applied.metadata.annotations, updated: 'true' } },
    });
    expect(updated.metadata.annotations).toMatchObject({ ...yes, updated: 'true' });
    // A Deployment's annotations count as its spec: its controller copies them.
    if (kind.resource !== 'deployments.apps') expect(updated.metadata.generation).toBe(created.metadata.generation);
    expect(await refusal(client.update(kind, applied))).toMatch(/^Conflict: .* the object has been modified/);

    await client.delete(kind, ref('x'), NOW);
    await finish();
    expect(await refusal(client.get(kind, ref('x')))).toBe(`NotFound: ${kind.resource} "x" not found`);
    const types = watch.types();
    expect(types.slice(0, 6)).toEqual(['ADDED', ...Array<string>(5).fill('MODIFIED')]);
    expect(types.at(-1)).toBe('DELETED');
    expect(types.filter((t) => t === 'DELETED')).toHaveLength(1);
    if (!LINGERS.has(kind.resource) && !PROTECTED.has(kind.resource)) expect(types).toHaveLength(7);
    watch.stop();
  });

  test.runIf(kind.status)('status', async () => {
    const { client } = cluster;
    const created = await create('s');
    const status = CASES[kind.resource]![1];
    expect(status, 'the row has a status').toBeDefined();
    const subresource = { subresource: 'status' };
    expect(await client.get(kind, ref('s'), subresource)).toEqual(created);
    const patch = { metadata: { annotations: { patchedstatus: 'true' } }, status };
    const patched = await client.patch(kind, ref('s'), 'merge', patch, subresource);
    expect(patched).toMatchObject(patch);
    const updated = await client.update(
      kind,
      { ...patched, spec: {}, metadata: { ...patched.metadata, annotations: { updatedstatus: 'true' } } } as KubeObject,
      subresource,
    );
    expect(updated).toMatchObject({ spec: (created as { spec?: object }).spec ?? {}, status });
    expect(updated.metadata.annotations).toMatchObject({ updatedstatus: 'true' });
    // The rest of the object is written without it.
    const plain = await client.patch(kind, ref('s'), 'merge', {
      status: null,
      metadata: { labels: { e2e: 'status' } },
    });
    expect(plain).toMatchObject({ status });
    expect(await client.get(kind, ref('s'), subresource)).toEqual(plain);
    await client.delete(kind, ref('s'), NOW);
    await finish();
  });

  test('dry run', async () => {
    const { client } = cluster;
    const dryRun = { dryRun: true };
    const draft = await create('d', dryRun);
    expect(draft.metadata.uid).toBeDefined();
    expect(await names(client, kind, { labelSelector: 'e2e' })).toEqual([]);
    const real = await create('d');
    await client.patch(kind, ref('d'), 'merge', { metadata: { labels: { e2e: 'dry' } } }, dryRun);
    await client.update(kind, { ...real, metadata: { ...real.metadata, labels: { e2e: 'dry' } } }, dryRun);
    await client.delete(kind, ref('d'), dryRun);
    if (hasCollection(kind)) await client.deleteCollection(kind, { ...space, labelSelector: 'e2e', ...dryRun });
    expect(await client.get(kind, ref('d'))).toEqual(real);
    await client.delete(kind, ref('d'), NOW);
    await finish();
  });

  test.runIf(hasCollection(kind))('deletecollection', async () => {
    const { client } = cluster;
    for (const n of [1, 2, 3]) await create(`c${n}`, {}, { e2e: n === 3 ? 'kept' : 'gone' });
    await client.deleteCollection(kind, { ...space, labelSelector: 'e2e=gone', ...NOW });
    await finish();
    expect(await names(client, kind, { labelSelector: 'e2e' })).toEqual(['c3']);
  });
});
