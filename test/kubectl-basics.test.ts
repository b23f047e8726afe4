// Every installed kubectl against a real server over HTTPS: discovery, reading, writing, applying, patching, watching.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningServer } from '../src/cluster/server.ts';
import { kubeconfigText } from '../src/host/kubeconfig.ts';
import { keyPem, makeRequest, newKey } from '../src/host/x509.ts';
import { startApiServer } from './support/api-server.ts';
import { Kubectl, kubectls } from './support/kubectl.ts';

const versions = kubectls();
const newest = [...versions.keys()].at(-1)!;
const stop = new AbortController();
let dir: string;
let server: RunningServer;
const clients: Kubectl[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'coracle-kubectl-'));
  ({ server } = await startApiServer(dir, stop.signal));
});

afterAll(async () => {
  for (const client of clients) client.stop();
  stop.abort();
  await server?.ended;
  rmSync(dir, { recursive: true, force: true });
});

function kubectl(version: string): Kubectl {
  const client = new Kubectl(versions.get(version)!, join(dir, 'kubeconfig'), join(dir, `cache-${version}`));
  clients.push(client);
  return client;
}

test('kubectl is installed', () => expect(versions.size).toBeGreaterThan(0));

const manifest = (ns: string, more: string) => `apiVersion: v1
kind: ConfigMap
metadata:
  name: applied
  namespace: ${ns}
data:
${more}---
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: ${ns}
spec:
  selector:
    app: web
  ports:
  - port: 80
    targetPort: 8080
`;

describe.each([...versions.keys()])('kubectl %s', (version) => {
  const ns = `v${version.replace('.', '-')}`;
  let k: Kubectl;
  beforeAll(() => {
    k = kubectl(version);
  });

  test('creates, reads and deletes', async () => {
    expect(await k.ok(`create namespace ${ns}`)).toBe(`namespace/${ns} created\n`);
    expect(await k.ok(`-n ${ns} create configmap made --from-literal=a=1 --from-literal=b=2`)).toBe(
      'configmap/made created\n',
    );
    expect(await k.ok(`-n ${ns} get configmap made -o 'jsonpath={.data}'`)).toBe('{"a":"1","b":"2"}');
    expect(await k.ok(`-n ${ns} get cm made`)).toMatch(/^NAME +DATA +AGE\nmade +2 +\d+s\n$/);
    expect(await k.ok(`-n ${ns} create secret generic hidden --from-literal=p=q`)).toBe('secret/hidden created\n');
    expect(await k.ok(`-n ${ns} create serviceaccount robot`)).toBe('serviceaccount/robot created\n');
    expect(await k.fails(`-n ${ns} create configmap made`)).toMatch(/configmaps "made" already exists$/);
    expect(await k.fails(`-n ${ns} get configmap missing`)).toBe(
      'Error from server (NotFound): configmaps "missing" not found',
    );
    expect(await k.fails(`get unicorns`)).toContain(`the server doesn't have a resource type "unicorns"`);
    expect(await k.ok(`-n ${ns} delete configmap made`)).toMatch(/^configmap "made" deleted/);
  });

  test('applies, again and server-side', async () => {
    const first = await k.ok('apply -f -', manifest(ns, '  a: "1"\n  b: "2"\n'));
    expect(first).toBe('configmap/applied created\nservice/web created\n');
    expect(await k.ok('apply -f -', manifest(ns, '  a: "1"\n  b: "2"\n'))).toBe(
      'configmap/applied unchanged\nservice/web unchanged\n',
    );
    expect(await k.ok('apply -f -', manifest(ns, '  a: "3"\n'))).toBe(
      'configmap/applied configured\nservice/web unchanged\n',
    );
    expect(await k.ok(`-n ${ns} get cm applied -o 'jsonpath={.data}'`)).toBe('{"a":"3"}');
    const other = manifest(ns, '  a: "1"\n').replaceAll('name: applied', 'name: ssa').split('---')[0]!;
    expect(await k.ok('apply --server-side -f -', other)).toBe('configmap/ssa serverside-applied\n');
    const conflict = await k.fails('apply --server-side --field-manager=other -f -', other.replace('"1"', '"2"'));
    expect(conflict).toContain('conflict with "kubectl"');
    expect(await k.fails('apply -f -', manifest(ns, '  a: 1\n').split('---')[0]!)).toContain('ConfigMap');
    const unknown = manifest(ns, '  a: "1"\nextra: 1\n').split('---')[0]!;
    expect(await k.fails('apply -f -', unknown)).toMatch(/unknown field "extra"/);
  });

  test('patches, edits and labels', async () => {
    await k.ok(`-n ${ns} create configmap p --from-literal=a=1`);
    expect(await k.ok(`-n ${ns} patch cm p --type=merge -p '{"data":{"b":"2"}}'`)).toBe('configmap/p patched\n');
    expect(await k.ok(`-n ${ns} patch cm p --type=json -p '[{"op":"remove","path":"/data/a"}]'`)).toBe(
      'configmap/p patched\n',
    );
    expect(await k.ok(`-n ${ns} patch cm p -p '{"metadata":{"labels":{"x":"y"}}}'`)).toBe('configmap/p patched\n');
    expect(await k.ok(`-n ${ns} label cm p tier=web`)).toBe('configmap/p labeled\n');
    expect(await k.ok(`-n ${ns} annotate cm p note=hello`)).toMatch(/^configmap\/p annotated?\n$/);
    expect(await k.ok(`-n ${ns} get cm -l tier=web,x=y -o name`)).toBe('configmap/p\n');
    expect(await k.ok(`-n ${ns} get cm --field-selector metadata.name=p -o name`)).toBe('configmap/p\n');
    expect(await k.ok(`-n ${ns} get cm p -o 'jsonpath={.data}'`)).toBe('{"b":"2"}');
  });

  test('watches', async () => {
    const watch = k.start(`-n ${ns} get configmap -l watched=yes -w --output-watch-events --no-headers`);
    // The watch may begin before or after what follows: both ways it tells of it.
    await k.ok(`-n ${ns} create configmap w`);
    await k.ok(`-n ${ns} label cm w watched=yes`);
    expect(await watch.line()).toMatch(/^ADDED +w /);
    await k.ok(`-n ${ns} delete cm w`);
    expect(await watch.line()).toMatch(/^DELETED +w /);
    watch.stop();
  });

  test('asks about itself and the server', async () => {
    expect(await k.ok('version -o json')).toMatch(/"minor": "36"/);
    expect(await k.ok('api-resources -o name')).toMatch(/^configmaps$/m);
    expect(await k.ok('auth can-i create deployments')).toBe('yes\n');
    expect(await k.ok('get --raw /readyz')).toBe('ok');
    expect(await k.ok('cluster-info')).toContain('is running at');
    expect(await k.ok('explain configmap.data')).toMatch(/KIND: +ConfigMap/);
  });
});

describe(`kubectl ${newest}, further`, () => {
  let k: Kubectl;
  beforeAll(async () => {
    k = kubectl(newest);
    await k.ok('create namespace more');
  });

  test('who am I, and who may I be', async () => {
    expect(await k.ok('auth whoami -o json')).toContain('"username": "kubernetes-admin"');
    expect(await k.ok('auth can-i get secrets --as nobody').catch((e: Error) => e.message)).toContain('no');
    expect(await k.fails('-n more get secrets --as nobody --as-group dev')).toBe(
      'Error from server (Forbidden): secrets is forbidden: User "nobody" cannot list resource "secrets" in API group "" in the namespace "more"',
    );
    await k.ok('-n more create serviceaccount bot');
    await k.ok('-n more create rolebinding bots-view --clusterrole=view --serviceaccount=more:bot');
    const token = (await k.ok('-n more create token bot --duration=10m')).trim();
    expect(await k.ok(`--token=${token} -n more get configmaps -o name`).catch((e: Error) => e.message)).toContain(
      'kube-root-ca.crt',
    );
  });

  test('certificates and tokens are issued on request', async () => {
    const { publicKey, privateKey } = newKey();
    const request = makeRequest(
      { subject: { commonName: 'carol', organizations: ['dev'] } },
      { publicKey, privateKey },
    );
    const csr = {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name: 'carol' },
      spec: {
        request: Buffer.from(request).toString('base64'),
        signerName: 'kubernetes.io/kube-apiserver-client',
        usages: ['client auth'],
      },
    };
    await k.ok('create -f -', JSON.stringify(csr));
    expect(await k.ok('get csr carol --no-headers')).toMatch(/ kubernetes-admin +<none> +Pending$/m);
    await k.ok('certificate approve carol');
    await k.ok('wait --for=jsonpath={.status.certificate} csr/carol --timeout=20s');
    const cert = Buffer.from(await k.ok('get csr carol -o jsonpath={.status.certificate}'), 'base64').toString();
    const access = { name: 'carol', server: `https://127.0.0.1:${server.listener.port}`, ca: server.pki.ca };
    writeFileSync(join(dir, 'carol'), kubeconfigText({ ...access, cert, key: keyPem(privateKey) }), { mode: 0o600 });
    expect(
      await k.ok(
        `--kubeconfig=${join(dir, 'carol')} auth whoami -o 'jsonpath={.status.userInfo.username} {.status.userInfo.groups}'`,
      ),
    ).toBe('carol ["dev","system:authenticated"]');
    const secret = `apiVersion: v1
kind: Secret
type: kubernetes.io/service-account-token
metadata: {name: old-token, namespace: more, annotations: {kubernetes.io/service-account.name: default}}
`;
    await k.ok('create -f -', secret);
    await k.ok('-n more wait --for=jsonpath={.data.token} secret/old-token --timeout=20s');
    const token = Buffer.from(
      await k.ok('-n more get secret old-token -o jsonpath={.data.token}'),
      'base64',
    ).toString();
    writeFileSync(join(dir, 'old'), kubeconfigText({ ...access, token }), { mode: 0o600 });
    expect(await k.ok(`--kubeconfig=${join(dir, 'old')} auth whoami -o jsonpath={.status.userInfo.username}`)).toBe(
      'system:serviceaccount:more:default',
    );
  });

  test('pages through lists', async () => {
    const many = Array.from(
      { length: 30 },
      (_, i) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m${i}, namespace: more}\n`,
    );
    await k.ok('create -f -', many.join('---\n'));
    const names = (await k.ok('-n more get cm --chunk-size=7 -o name'))
      .split('\n')
      .filter((n) => n.startsWith('configmap/m'));
    expect(names).toHaveLength(30);
    expect(await k.ok('-n more delete cm --all')).toContain('"m29" deleted');
  });

  test('a deployment comes to life in the API', async () => {
    await k.ok('-n more create deployment web --image=nginx --replicas=2');
    await k.ok('-n more wait --for=jsonpath={.status.replicas}=2 deployment/web --timeout=30s');
    expect(await k.ok('-n more get deployment web')).toMatch(
      /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +0\/2 +2 +0 /,
    );
    expect(await k.ok('-n more scale deployment web --replicas=3')).toBe('deployment.apps/web scaled\n');
    await k.ok('-n more wait --for=jsonpath={.status.replicas}=3 deployment/web --timeout=30s');
    expect((await k.ok('-n more get pods -o name')).trim().split('\n')).toHaveLength(3);
    expect(await k.ok('-n more describe deployment web')).toMatch(/Replicas: +3 desired/);
    await k.ok('-n more delete deployment web --cascade=foreground --timeout=30s');
    expect(await k.ok('-n more get pods,replicasets')).toBe('');
  });

  test('a namespace goes with all that is in it', async () => {
    await k.ok('create namespace doomed');
    await k.ok('-n doomed create configmap x');
    expect(await k.ok('delete namespace doomed --timeout=30s')).toMatch(/^namespace "doomed" deleted/);
    expect(await k.fails('get namespace doomed')).toContain('not found');
  });
});
