// Subresources over the real pipeline, with a node that only notes what it is asked.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CertificateSigningRequest } from '../../api/kinds/certificates/certificate-signing-request.ts';
import { Node } from '../../api/kinds/core/node.ts';
import { Pod } from '../../api/kinds/core/pod.ts';
import { Service } from '../../api/kinds/core/service.ts';
import { ServiceAccount } from '../../api/kinds/core/service-account.ts';
import { EndpointSlice } from '../../api/kinds/discovery/endpoint-slice.ts';
import { defineKind, type AnyKind } from '../../api/kind.ts';
import type { NodeApi, NodeStream } from '../../api/node-api.ts';
import type { PodDisruptionBudget } from '../../api/generated/policy-v1.ts';
import type { ApiOp, ConnectResult, NoUser, ObjectResult, Verb } from '../../api/op.ts';
import { createTestServer, type TestServer } from '../../cluster/test-server.ts';
import { serviceAccountToken, type TokenClaims } from './service-account-token.ts';

let t: TestServer;
const asked: unknown[][] = [];
const issued: TokenClaims[] = [];
const node: NodeApi = {
  async logs(...args) {
    asked.push(['logs', ...args.slice(0, 2)]);
    return (async function* () {
      yield new Uint8Array([1]);
    })();
  },
  async exec(...args) {
    asked.push(['exec', ...args.slice(0, 2)]);
    return 3;
  },
  async attach(...args) {
    asked.push(['attach', ...args.slice(0, 2)]);
  },
  async portForward(...args) {
    asked.push(['portForward', ...args.slice(0, 2)]);
  },
};
const budgets = defineKind<PodDisruptionBudget>({
  group: 'policy',
  version: 'v1',
  kind: 'PodDisruptionBudget',
  plural: 'poddisruptionbudgets',
  namespaced: true,
  generation: true,
  status: {},
});

beforeEach(() => {
  asked.length = 0;
  issued.length = 0;
  const issuer = {
    async issue(claims: TokenClaims) {
      issued.push(claims);
      return { token: 'tok', audiences: ['api'], expirationTimestamp: '2026-01-01T01:00:00Z' };
    },
  };
  t = createTestServer({
    nodeConnector: (name) => (asked.push(['connect', name]), node),
    handlers: [['serviceaccounts/token', serviceAccountToken(issuer)]],
    extraKinds: [budgets as unknown as AnyKind],
  });
});
afterEach(() => t.close());

const ref = { namespace: 'ns', name: 'p' };
const makePod = (spec: object = {}, metadata: object = {}) =>
  t.client.create(Pod, {
    metadata: { ...ref, labels: { a: 'b' }, ...metadata },
    spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
  } as unknown as Pod);
const send = (verb: Verb, path: string, body?: unknown, more: Partial<NoUser<ApiOp>> = {}) => {
  const [resource, name, subresource] = path.split('/');
  const op = {
    verb,
    group: '',
    version: 'v1',
    resource,
    namespace: 'ns',
    name,
    subresource,
    options: {},
    body,
    ...more,
  };
  return t.client.do(op as NoUser<ApiOp>);
};
const setStatus = async (status: object) => {
  const pod = await t.client.get(Pod, ref);
  return t.client.update(Pod, { ...pod, status: { ...pod.status, ...status } }, { subresource: 'status' });
};

describe('binding', () => {
  const binding = (more: object = {}) => ({ metadata: { name: 'p' }, target: { kind: 'Node', name: 'n1' }, ...more });

  test('assigns a pod once', async () => {
    await makePod();
    const result = (await send(
      'create',
      'pods/p/binding',
      binding({ metadata: { name: 'p', annotations: { x: 'y' } } }),
    )) as ObjectResult;
    expect(result).toMatchObject({ code: 201, object: { kind: 'Status', status: 'Success' } });
    expect(await t.client.get(Pod, ref)).toMatchObject({
      metadata: { annotations: { x: 'y' } },
      spec: { nodeName: 'n1' },
      status: { conditions: [{ type: 'PodScheduled', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }] },
    });
    await expect(send('create', 'bindings', binding())).rejects.toMatchObject({
      code: 409,
      message: 'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"',
    });
  });

  test.each<[string, object, object, number, string]>([
    ['gates', { schedulingGates: [{ name: 'g' }] }, {}, 409, 'pod p has non-empty .spec.schedulingGates'],
    ['another uid', {}, { metadata: { name: 'p', uid: 'x' } }, 409, 'Precondition failed: UID in precondition: x'],
    ['another name', {}, { metadata: { name: 'q' } }, 400, 'name in URL does not match name in Binding object'],
    ['no target', {}, { target: {} }, 500, 'target.name: Required value'],
    ['another kind', {}, { target: { kind: 'Pod', name: 'x' } }, 500, 'target.kind: Unsupported value: "Pod"'],
  ])('refuses %s', async (_, spec, more, code, message) => {
    await makePod(spec);
    await expect(send('create', 'pods/p/binding', binding(more))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
  });
});

describe('eviction', () => {
  const evict = (more: object = {}) => send('create', 'pods/p/eviction', { metadata: { name: 'p' }, ...more });
  const budget = async (status: object, spec: object = {}) => {
    const pdb = await t.client.create(budgets, {
      metadata: { name: 'b', namespace: 'ns' },
      spec: { selector: { matchLabels: { a: 'b' } }, minAvailable: 1, ...spec },
    });
    await t.client.update(budgets, { ...pdb, status: { observedGeneration: 1, ...status } }, { subresource: 'status' });
  };
  const ready = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };

  test('deletes gracefully, telling why', async () => {
    await makePod({ nodeName: 'n1' });
    await setStatus(ready);
    await budget({ disruptionsAllowed: 1 });
    expect(await evict()).toMatchObject({ code: 201, object: { status: 'Success' } });
    const pod = await t.client.get(Pod, ref);
    expect(pod.metadata.deletionTimestamp).toBeTruthy();
    expect(pod.status?.conditions?.find((c) => c.type === 'DisruptionTarget')).toMatchObject({
      reason: 'EvictionByEvictionAPI',
    });
    expect((await t.client.get(budgets, { namespace: 'ns', name: 'b' })).status).toMatchObject({
      disruptionsAllowed: 0,
      disruptedPods: { p: '2026-01-01T00:00:00Z' },
    });
  });

  test.each([
    [
      { disruptionsAllowed: 0, desiredHealthy: 2, currentHealthy: 2 },
      'The disruption budget b needs 2 healthy pods and has 2 currently',
    ],
    [
      { observedGeneration: 0, disruptionsAllowed: 1 },
      'The disruption budget b is still being processed by the server.',
    ],
  ])('waits for the budget %j', async (status, cause) => {
    await makePod({ nodeName: 'n1' });
    await setStatus(ready);
    await budget(status);
    await expect(evict()).rejects.toMatchObject({
      code: 429,
      message: "Cannot evict pod as it would violate the pod's disruption budget.",
      details: { causes: [{ reason: 'DisruptionBudget', message: cause }] },
    });
  });

  test('pods that do no work need no budget', async () => {
    await makePod();
    await budget({ disruptionsAllowed: 0 });
    await evict();
    await expect(t.client.get(Pod, ref)).rejects.toMatchObject({ reason: 'NotFound' });
    await makePod({ nodeName: 'n1' });
    await setStatus({ phase: 'Running' });
    const pdb = await t.client.get(budgets, { namespace: 'ns', name: 'b' });
    await expect(evict()).rejects.toMatchObject({ code: 429 });
    await t.client.update(budgets, { ...pdb, spec: { ...pdb.spec, unhealthyPodEvictionPolicy: 'AlwaysAllow' } });
    await evict({ deleteOptions: { gracePeriodSeconds: 0 } });
  });
});

test('ephemeral containers are added, never changed', async () => {
  await makePod();
  const add = (name: string, image = 'x') =>
    send(
      'patch',
      'pods/p/ephemeralcontainers',
      { spec: { ephemeralContainers: [{ name, image }] } },
      { patchType: 'strategic' },
    );
  await add('d1');
  const { object } = (await add('d2')) as ObjectResult<Pod>;
  expect(object.spec.ephemeralContainers?.map((c) => c.name).sort()).toEqual(['d1', 'd2']);
  await expect(add('d1', 'y')).rejects.toMatchObject({
    code: 422,
    message: expect.stringContaining('existing ephemeral containers "d1" may not be changed') as string,
  });
  expect(await send('get', 'pods/p/ephemeralcontainers')).toMatchObject({ object: { kind: 'Pod' } });
});

test('resize changes resources and nothing else', async () => {
  await makePod({ containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '1' } } }] });
  const patch = (container: object) =>
    send('patch', 'pods/p/resize', { spec: { containers: [{ name: 'c', ...container }] } }, { patchType: 'strategic' });
  const { object } = (await patch({ resources: { requests: { cpu: '2' } }, image: 'other' })) as ObjectResult<Pod>;
  expect(object.spec.containers[0]).toMatchObject({ image: 'i', resources: { requests: { cpu: '2' } } });
  expect(object.metadata.generation).toBe(2);
});

describe('service account tokens', () => {
  const token = (spec: object = {}) => send('create', 'serviceaccounts/sa/token', { spec });
  beforeEach(() => t.client.create(ServiceAccount, { metadata: { name: 'sa', namespace: 'ns' } }));

  test('are bound to what the request names', async () => {
    await makePod({ serviceAccountName: 'sa', nodeName: 'n1' });
    const n = await t.client.create(Node, { metadata: { name: 'n1' }, spec: {} });
    const result = (await token({
      expirationSeconds: 600,
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'p' },
    })) as ObjectResult;
    expect(result).toMatchObject({
      code: 201,
      object: { kind: 'TokenRequest', spec: { audiences: ['api'] }, status: { token: 'tok' } },
    });
    expect(issued).toMatchObject([
      {
        namespace: 'ns',
        serviceAccount: { name: 'sa' },
        expirationSeconds: 600,
        pod: { name: 'p' },
        node: { name: 'n1', uid: n.metadata.uid },
      },
    ]);
  });

  test.each<[object, number, string]>([
    [{ expirationSeconds: 1 }, 422, 'may not specify a duration less than 10 minutes'],
    [
      { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'p' } },
      400,
      'to pod running with different serviceaccount name.',
    ],
    [
      { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'x' } },
      409,
      'the UID in the bound object reference (x) does not match',
    ],
    [{ boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: 's' } }, 404, 'secrets "s" not found'],
    [
      { boundObjectRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 's' } },
      400,
      'cannot bind token to object of type apps/v1, Kind=Deployment',
    ],
  ])('%j is refused', async (spec, code, message) => {
    await makePod();
    await expect(token(spec)).rejects.toMatchObject({ code, message: expect.stringContaining(message) as string });
    expect(issued).toEqual([]);
  });
});

describe('conversations', () => {
  const connect = (path: string, query = '', rest = '') =>
    send('connect', path, undefined, {
      options: { query: new URLSearchParams(query) },
      connect: { method: 'GET', path: rest, headers: {} },
    }) as Promise<ConnectResult>;
  const target = (container: string) => expect.objectContaining({ namespace: 'ns', pod: 'p', container }) as unknown;
  const context = { signal: new AbortController().signal };
  const run = (stream: NodeStream) =>
    stream.kind === 'exec' || stream.kind === 'attach' ? stream.run({}, context) : 0;

  test('log, exec, attach and port-forward reach the pod’s node', async () => {
    await makePod({ nodeName: 'n1' });
    await connect('pods/p/log', 'tailLines=5&follow=true');
    const exec = await connect('pods/p/exec', 'command=a&command=b&stdout=true&container=c');
    expect(await run(exec.stream)).toBe(3);
    const attach = await connect('pods/p/attach', 'stdin=1&stderr=1&tty=true');
    expect(await run(attach.stream)).toBe(0);
    await connect('pods/p/portforward');
    expect(asked).toEqual([
      ['connect', 'n1'],
      ['logs', target('c'), expect.objectContaining({ tailLines: 5, follow: true })],
      ['connect', 'n1'],
      ['exec', target('c'), { command: ['a', 'b'], stdin: false, stdout: true, stderr: false, tty: false }],
      ['connect', 'n1'],
      ['attach', target('c'), { stdin: true, stdout: false, stderr: false, tty: true }],
      ['connect', 'n1'],
    ]);
  });

  test.each<[string, string, number, string]>([
    [
      'pods/p/log',
      '',
      400,
      'a container name must be specified for pod p, choose one of: [c d] or one of the init containers: [i]',
    ],
    ['pods/p/log', 'container=x', 400, 'container x is not valid for pod p'],
    ['pods/p/log', 'container=c&tailLines=-1', 422, 'tailLines: Invalid value: -1: must be greater than or equal to 0'],
    ['pods/p/log', 'container=c&tailLines=x', 400, 'strconv.ParseInt: parsing "x": invalid syntax'],
    ['pods/p/exec', 'container=c&command=x', 400, 'pod p does not have a host assigned'],
    ['pods/p/portforward', '', 400, 'pod p does not have a host assigned'],
    ['pods/q/exec', '', 404, 'pods "q" not found'],
    ['pods/p/nonsense', '', 404, 'the server could not find the requested resource'],
  ])('%s?%s is refused', async (path, query, code, message) => {
    const container = (name: string) => ({ name, image: 'i' });
    await makePod({ containers: [container('c'), container('d')], initContainers: [container('i')] });
    await expect(connect(path, query)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
  });

  test('a pod without node has an empty log', async () => {
    await makePod();
    const { stream } = await connect('pods/p/log');
    const chunks = [];
    if (stream.kind === 'logs') for await (const chunk of stream.source) chunks.push(chunk);
    expect(chunks).toEqual([]);
    expect(asked).toEqual([]);
  });

  test('proxies', async () => {
    await makePod({ containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 8080 }] }] });
    await expect(connect('pods/p/proxy')).rejects.toMatchObject({ message: 'address not allowed' });
    await setStatus({ phase: 'Running', podIP: '10.244.0.5', podIPs: [{ ip: '10.244.0.5' }] });
    const to = async (path: string) => (await connect(path, '', '/x')).stream;
    expect(await to('pods/p/proxy')).toEqual({
      kind: 'proxy',
      scheme: 'http',
      host: '10.244.0.5',
      port: 8080,
      path: '/x',
    });
    expect(await to('pods/https:p:9000/proxy')).toMatchObject({ scheme: 'https', port: 9000 });
    await t.client.create(Service, {
      metadata: { name: 's', namespace: 'ns' },
      spec: { ports: [{ port: 80, name: 'web' }] },
    });
    await expect(to('services/s/proxy')).rejects.toMatchObject({
      code: 503,
      message: 'no endpoints available for service "s"',
    });
    await expect(to('services/s:99/proxy')).rejects.toMatchObject({
      message: 'no service port "99" found for service "s"',
    });
    await t.client.create(EndpointSlice, {
      metadata: { name: 's-1', namespace: 'ns', labels: { 'kubernetes.io/service-name': 's' } },
      addressType: 'IPv4',
      ports: [{ name: 'web', port: 8080, protocol: 'TCP' }],
      endpoints: [{ addresses: ['10.244.0.5'], conditions: { ready: true } }],
    });
    for (const path of ['services/s/proxy', 'services/s:80/proxy', 'services/s:web/proxy', 'services/http:s:web/proxy'])
      expect(await to(path)).toMatchObject({ host: '10.244.0.5', port: 8080 });
  });
});

/** PKCS#10, P-256, O=o, CN=u. */
const REQUEST =
  'LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIVE1Ib0NBUUF3R0RFS01BZ0dBMVVFQ2d3QmJ6RUtNQWdHQTFVRUF3d0JkVE' +
  'JaTUJNR0J5cUdTTTQ5QWdFRwpDQ3FHU000OUF3RUhBMElBQkliR0gxd3c4a082TkpZRjJnQWQxV2lXbDdIK1hTbGRuVUU0RFNoUTA1TWQ3a1JP' +
  'CmF1QVZSek5BWUFKRklVL05jVXN6emJKMDA1dUtJeVhJaUsvWkt5U2dBREFLQmdncWhrak9QUVFEQWdOSkFEQkcKQWlFQXdBbWx0Vmw3VW84OW' +
  'htQ3cyak1vb2s3TG1BQjczQW0vdnNrbVJSanhWNVFDSVFDTnNQT0hRYnIrQlhPYQpPWUd2bkRidTQ5WlI3TXk1N1J2TnNocDExSm5OdXc9PQot' +
  'LS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K';

test('certificates are approved once, by who may', async () => {
  const csr = await t.client.create(CertificateSigningRequest, {
    metadata: { name: 'r' },
    spec: { request: REQUEST, signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] },
  } as CertificateSigningRequest);
  const decide = (type: string, status = 'True') =>
    t.client.update(
      CertificateSigningRequest,
      {
        ...csr,
        metadata: { ...csr.metadata, resourceVersion: '' },
        status: { conditions: [{ type, status, reason: 'x', message: '' }] },
      },
      { subresource: 'approval' },
    );
  const approved = await decide('Approved');
  expect(approved.status?.conditions).toMatchObject([{ type: 'Approved', lastUpdateTime: '2026-01-01T00:00:00Z' }]);
  await expect(decide('Denied')).rejects.toMatchObject({ code: 422 });
});
