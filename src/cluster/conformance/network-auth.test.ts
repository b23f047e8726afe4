// Services, endpoints, accounts and reviews. Tests are named after the behaviours of the conformance suite.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { LocalSubjectAccessReview } from '../../api/kinds/authorization/local-subject-access-review.ts';
import { SubjectAccessReview } from '../../api/kinds/authorization/subject-access-review.ts';
import { TokenReview } from '../../api/kinds/authentication/token-review.ts';
import { CertificateSigningRequest } from '../../api/kinds/certificates/certificate-signing-request.ts';
import { ConfigMap } from '../../api/kinds/core/config-map.ts';
import { Endpoints } from '../../api/kinds/core/endpoints.ts';
import { Namespace } from '../../api/kinds/core/namespace.ts';
import { Pod } from '../../api/kinds/core/pod.ts';
import { Service } from '../../api/kinds/core/service.ts';
import { ServiceAccount } from '../../api/kinds/core/service-account.ts';
import { EndpointSlice } from '../../api/kinds/discovery/endpoint-slice.ts';
import { RoleBinding } from '../../api/kinds/rbac/role-binding.ts';
import type { Client } from '../../client/client.ts';
import { bootstrapSystem, publishApiServer } from '../../server/bootstrap.ts';
import { createTestServer } from '../test-server.ts';
import { TestCluster } from '../testing.ts';
import { inDefault, make, names, podSpec, refusal, watching } from './support.ts';

let cluster: TestCluster;
let client: Client;
beforeEach(async () => {
  cluster = await TestCluster.start({ seed: 1 });
  client = cluster.client;
});
afterEach(() => cluster.stop());

const space = { namespace: 'default' };
const slicesOf = async (service: string) =>
  (await client.list(EndpointSlice, { ...space, labelSelector: `kubernetes.io/service-name=${service}` })).items;
const addresses = async (service: string) =>
  (await slicesOf(service)).flatMap((s) => (s.endpoints ?? []).flatMap((e) => e.addresses)).sort();
const legacy = async (service: string) =>
  ((await client.get(Endpoints, inDefault(service))).subsets ?? [])
    .flatMap((s) => s.addresses ?? [])
    .map((a) => a.ip)
    .sort();
const service = (name: string, spec: object = {}, metadata: object = {}) =>
  make(client, Service, name, { spec: { ports: [{ port: 80, targetPort: 8080 }], ...spec } }, metadata);

test('EndpointSlice, creation/deletion + Endpoints, creation/deletion', async () => {
  await service('s', { selector: { app: 's' } });
  await cluster.settle();
  expect(await addresses('s')).toEqual([]);
  for (const name of ['p1', 'p2'])
    await make(client, Pod, name, { spec: podSpec({ terminationGracePeriodSeconds: 0 }) }, { labels: { app: 's' } });
  await cluster.settle();
  const ips = (await client.list(Pod, space)).items.map((p) => p.status!.podIP!).sort();
  expect([await addresses('s'), await legacy('s')]).toEqual([ips, ips]);
  const [slice] = await slicesOf('s');
  expect(slice).toMatchObject({ addressType: 'IPv4', ports: [{ port: 8080, protocol: 'TCP' }] });
  await client.delete(Pod, inDefault('p1'));
  await cluster.settle();
  expect(await addresses('s')).toHaveLength(1);
  await client.delete(Service, inDefault('s'));
  await cluster.settle();
  expect(await slicesOf('s')).toEqual([]);
  expect(await refusal(legacy('s'))).toBe('NotFound: endpoints "s" not found');
});

test('EndpointSlice, "empty" Service + Endpoints, "empty" Service', async () => {
  await service('empty', {
    selector: { 'does-not-match-anything': 'endpoints-and-endpoint-slices-should-still-be-created' },
  });
  await cluster.settle();
  expect(await legacy('empty')).toEqual([]);
  expect(await slicesOf('empty')).toHaveLength(1);
  await client.delete(Service, inDefault('empty'));
  await cluster.settle();
  expect(await slicesOf('empty')).toEqual([]);
  expect(await names(client, Endpoints, space)).not.toContain('empty');
});

test('EndpointSlice Mirroring', async () => {
  await service('custom');
  const subset = (ip: string) => ({ subsets: [{ addresses: [{ ip }], ports: [{ name: 'p', port: 80 }] }] });
  await make(client, Endpoints, 'custom', subset('10.1.2.3'));
  await cluster.settle();
  const [slice] = await slicesOf('custom');
  expect(slice).toMatchObject({
    metadata: { labels: { 'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io' } },
    endpoints: [{ addresses: ['10.1.2.3'] }],
    ports: [{ name: 'p', port: 80, protocol: 'TCP' }],
  });
  await client.patch(Endpoints, inDefault('custom'), 'merge', subset('10.2.3.4'));
  await cluster.settle();
  expect(await addresses('custom')).toEqual(['10.2.3.4']);
  await client.delete(Endpoints, inDefault('custom'));
  await cluster.settle();
  expect(await addresses('custom')).toEqual([]);
});

test('kubernetes.default Endpoints and EndpointSlices + Kubernetes Service + Find Kubernetes Service in default Namespace', async () => {
  const server = createTestServer();
  await bootstrapSystem(server.server);
  await publishApiServer(server.server, { addresses: ['192.0.2.1'], port: 6443 });
  const read = await server.client.get(Service, inDefault('kubernetes'));
  expect(read.spec).toMatchObject({ ports: [{ name: 'https', port: 443, targetPort: 6443, protocol: 'TCP' }] });
  expect(await names(server.client, Service)).toEqual(['kubernetes']);
  const endpoints = await server.client.get(Endpoints, inDefault('kubernetes'));
  const [slice] = (await server.client.list(EndpointSlice, { labelSelector: 'kubernetes.io/service-name=kubernetes' }))
    .items;
  expect(endpoints.subsets).toMatchObject([
    { addresses: [{ ip: '192.0.2.1' }], ports: [{ name: 'https', port: 6443 }] },
  ]);
  expect(slice).toMatchObject({ endpoints: [{ addresses: ['192.0.2.1'] }], ports: [{ name: 'https', port: 6443 }] });
  server.close();
});

test('Service, complete ServiceStatus lifecycle', async () => {
  const watch = await watching(client, Service, { ...space, labelSelector: 'e2e=status' });
  await service('s', { type: 'LoadBalancer' }, { labels: { e2e: 'status' } });
  const loadBalancer = { ingress: [{ ip: '203.0.113.1' }] };
  const patched = await client.patch(
    Service,
    inDefault('s'),
    'merge',
    { metadata: { annotations: { patchedstatus: 'true' } }, status: { loadBalancer } },
    { subresource: 'status' },
  );
  expect(patched).toMatchObject({ metadata: { annotations: { patchedstatus: 'true' } }, status: { loadBalancer } });
  const condition = {
    type: 'StatusUpdate',
    status: 'True',
    reason: 'E2E',
    message: 'Set',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  };
  const updated = await client.update(
    Service,
    { ...patched, status: { ...patched.status, conditions: [condition] } } as typeof patched,
    { subresource: 'status' },
  );
  expect(updated.status?.conditions).toMatchObject([condition]);
  const labelled = await client.patch(Service, inDefault('s'), 'strategic', {
    metadata: { labels: { 'test-service': 'patched' } },
  });
  expect(labelled.status).toEqual(updated.status);
  await client.delete(Service, inDefault('s'));
  await cluster.settle();
  expect(watch.types()).toEqual(['ADDED', 'MODIFIED', 'MODIFIED', 'MODIFIED', 'DELETED']);
});

test('Service, deletes a collection of services', async () => {
  for (const name of ['a', 'b', 'c']) await service(name, {}, { labels: { e2e: name === 'c' ? 'no' : 'yes' } });
  await client.deleteCollection(Service, { ...space, labelSelector: 'e2e=yes' });
  expect(await names(client, Service, { ...space, labelSelector: 'e2e' })).toEqual(['c']);
});

test('RootCA ConfigMap test', async () => {
  await make(client, Namespace, 'other');
  await cluster.settle();
  const ref = { namespace: 'other', name: 'kube-root-ca.crt' };
  const made = await client.get(ConfigMap, ref);
  await client.delete(ConfigMap, ref);
  await cluster.settle();
  expect((await client.get(ConfigMap, ref)).data).toEqual(made.data);
  await client.patch(ConfigMap, ref, 'merge', { data: { 'ca.crt': '' } });
  await cluster.settle();
  expect((await client.get(ConfigMap, ref)).data).toEqual(made.data);
});

test('ServiceAccount, create and review token', async () => {
  await make(client, ServiceAccount, 'sa');
  const request = await client.create(
    ServiceAccount,
    {
      metadata: inDefault('sa'),
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: [] },
    } as never,
    { subresource: 'token' },
  );
  const { token } = (request as unknown as { status: { token: string } }).status;
  const review = await client.create(TokenReview, { metadata: {}, spec: { token } } as never);
  expect(review.status).toMatchObject({
    authenticated: true,
    user: {
      username: 'system:serviceaccount:default:sa',
      groups: expect.arrayContaining(['system:serviceaccounts', 'system:serviceaccounts:default']) as string[],
    },
  });
});

test('ServiceAccount, update a ServiceAccount + Service account tokens auto mount optionally', async () => {
  const account = async (name: string, automountServiceAccountToken?: boolean) => {
    const made = await make(client, ServiceAccount, name);
    if (automountServiceAccountToken === undefined) return;
    const updated = await client.update(ServiceAccount, { ...made, automountServiceAccountToken });
    expect(updated.automountServiceAccountToken).toBe(automountServiceAccountToken);
  };
  await account('default-sa');
  await account('mount', true);
  await account('nomount', false);
  const rows: [string, boolean | undefined, boolean][] = [
    ['default-sa', undefined, true],
    ['default-sa', true, true],
    ['default-sa', false, false],
    ['mount', undefined, true],
    ['mount', true, true],
    ['mount', false, false],
    ['nomount', undefined, false],
    ['nomount', true, true],
    ['nomount', false, false],
  ];
  for (const [i, [serviceAccountName, own, mounted]] of rows.entries()) {
    const more = own === undefined ? {} : { automountServiceAccountToken: own };
    const pod = await make(client, Pod, `p${i}`, { spec: podSpec({ serviceAccountName, ...more }) });
    const paths = (pod.spec!.containers[0]!.volumeMounts ?? []).map((m) => m.mountPath);
    expect(paths).toEqual(mounted ? ['/var/run/secrets/kubernetes.io/serviceaccount'] : []);
  }
});

test('SubjectReview, API Operations', async () => {
  await make(client, ServiceAccount, 'e2e');
  const user = 'system:serviceaccount:default:e2e';
  const resourceAttributes = { verb: 'list', resource: 'configmaps', namespace: 'default', version: 'v1' };
  const ask = async () => {
    const spec = { user, resourceAttributes };
    const wide = await client.create(SubjectAccessReview, { metadata: {}, spec } as never);
    const local = await client.create(LocalSubjectAccessReview, { metadata: { namespace: 'default' }, spec } as never);
    return [wide, local].map((r) => (r as unknown as { status: { allowed: boolean } }).status.allowed);
  };
  expect(await ask()).toEqual([false, false]);
  await make(client, RoleBinding, 'b', {
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    subjects: [{ kind: 'ServiceAccount', name: 'e2e', namespace: 'default' }],
  });
  await cluster.settle();
  expect(await ask()).toEqual([true, true]);
});

test('CertificateSigningRequest API', async () => {
  const request = btoa('-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n');
  const signerName = 'example.com/e2e';
  const made = await make(client, CertificateSigningRequest, 'c', {
    spec: { request, signerName, usages: ['client auth'] },
  });
  expect(made.spec).toMatchObject({ username: expect.any(String) as string });
  const approved = { type: 'Approved', status: 'True', reason: 'E2E', message: 'Set from a test' };
  const approval = await client.update(
    CertificateSigningRequest,
    { ...made, status: { conditions: [approved] } } as typeof made,
    { subresource: 'approval' },
  );
  expect(approval.status?.conditions).toMatchObject([approved]);
  expect(await names(client, CertificateSigningRequest, { fieldSelector: `spec.signerName=${signerName}` })).toEqual([
    'c',
  ]);
  const failed = { type: 'Failed', status: 'True', reason: 'E2E', message: 'Set from a test' };
  const status = await client.patch(
    CertificateSigningRequest,
    { name: 'c' },
    'merge',
    { status: { conditions: [...approval.status!.conditions!, failed] } },
    { subresource: 'status' },
  );
  expect(status.status?.conditions?.map((c) => c.type)).toEqual(['Approved', 'Failed']);
});
