// Who may do what, what kubectl says to wrong input, and every kubectl from 1.27 on.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kubectls } from '../support/kubectl.ts';
import {
  canRunClusters,
  eventually,
  IMAGE,
  podManifest,
  startTestCluster,
  type TestCluster,
} from '../support/cluster.ts';

const POD = { apiVersion: 'v1', kind: 'Pod' };
const named = (name: string) => ({ metadata: { name } });
const oneContainer = { containers: [{ name: 'c', image: IMAGE }] };

/** A manifest or a command, and the end of what kubectl says. */
const wrong: [what: string, input: object | string, says: string | RegExp][] = [
  [
    'a name in upper case',
    { ...POD, ...named('Upper'), spec: oneContainer },
    `The Pod "Upper" is invalid: metadata.name: Invalid value: "Upper": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
  ],
  [
    'no containers',
    { ...POD, ...named('p'), spec: { containers: [] } },
    'The Pod "p" is invalid: spec.containers: Required value',
  ],
  [
    'no image',
    { ...POD, ...named('p'), spec: { containers: [{ name: 'c' }] } },
    'The Pod "p" is invalid: spec.containers[0].image: Required value',
  ],
  [
    'the same container twice',
    { ...POD, ...named('p'), spec: { containers: [oneContainer.containers[0], oneContainer.containers[0]] } },
    'The Pod "p" is invalid: spec.containers[1].name: Duplicate value: "c"',
  ],
  [
    'an unknown field',
    { ...POD, ...named('p'), spec: { ...oneContainer, colour: 'blue' } },
    /strict decoding error: unknown field "spec\.colour"$/,
  ],
  [
    'a wrong type',
    { apiVersion: 'apps/v1', kind: 'Deployment', ...named('d'), spec: { replicas: 'three' } },
    /cannot unmarshal string into Go struct field DeploymentSpec\.spec\.replicas of type int32$/,
  ],
  [
    'a selector that does not fit',
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      ...named('d'),
      spec: {
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'c' } }, spec: oneContainer },
      },
    },
    'The Deployment "d" is invalid: spec.template.metadata.labels: Invalid value: {"a":"c"}: `selector` does not match template `labels`',
  ],
  [
    'an unknown kind',
    { apiVersion: 'v1', kind: 'Boat', ...named('b') },
    'error: resource mapping not found for name: "b" namespace: "" from "STDIN": no matches for kind "Boat" in version "v1"\nensure CRDs are installed first',
  ],
  [
    'a port out of range',
    { apiVersion: 'v1', kind: 'Service', ...named('s'), spec: { ports: [{ port: 70000 }] } },
    'The Service "s" is invalid: \n* spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive\n',
  ],
  [
    'no ports',
    { apiVersion: 'v1', kind: 'Service', ...named('s'), spec: { selector: { a: 'b' } } },
    'The Service "s" is invalid: spec.ports: Required value',
  ],
  [
    'a wrong label',
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', labels: { 'a b': 'c' } } },
    /^The ConfigMap "c" is invalid: metadata\.labels: Invalid value: "a b": name part must consist of alphanumeric characters/,
  ],
  [
    'a wrong quantity',
    {
      ...POD,
      ...named('p'),
      spec: { containers: [{ name: 'c', image: IMAGE, resources: { limits: { cpu: 'much' } } }] },
    },
    /quantities must match the regular expression '\^\(\[\+-\]\?\[0-9\.\]\+\)\(\[eEinumkKMGTP\]\*\[-\+\]\?\[0-9\]\*\)\$'$/,
  ],
  [
    'requests above limits',
    {
      ...POD,
      ...named('p'),
      spec: { containers: [{ name: 'c', image: IMAGE, resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } }] },
    },
    'The Pod "p" is invalid: spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
  ],
  [
    'an absent namespace',
    '-n absent create configmap c',
    'error: failed to create configmap: namespaces "absent" not found',
  ],
  ['an unknown resource', 'get boats', `error: the server doesn't have a resource type "boats"`],
  ['an absent object', 'get configmap absent', 'Error from server (NotFound): configmaps "absent" not found'],
  [
    'an absent object of a group',
    'delete deployment absent',
    'Error from server (NotFound): deployments.apps "absent" not found',
  ],
  ['a wrong field selector', 'get pods --field-selector spec.colour=blue', /field label not supported: spec\.colour$/],
  [
    'a wrong label selector',
    'get pods -l a=b=c',
    /^Error from server \(BadRequest\): Unable to find "\/v1, Resource=pods" that match label selector "a=b=c", field selector "": (unable to parse requirement|found '=', expected: ',' or 'end of string')/,
  ],
  ['a name and no kind', 'delete', /^error: You must provide one or more resources/],
  [
    'scaling what cannot be scaled',
    'scale configmap kube-root-ca.crt --replicas=2',
    /could not find the requested resource/,
  ],
  ['logs of an absent pod', 'logs absent', 'error: error from server (NotFound): pods "absent" not found in namespace'],
  [
    'an immutable field',
    'patch service fixed -p {"spec":{"clusterIP":"10.0.0.1"}}',
    /The Service "fixed" is invalid: spec\.clusterIPs\[0\]: Invalid value: .*may not change once set$/,
  ],
];

describe.skipIf(!canRunClusters)('access', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startTestCluster('access');
  });
  afterAll(async () => {
    expect((await cluster?.delete()) ?? []).toEqual([]);
  });

  test('a user with a token has the rights that were given, no more', async () => {
    const kubectl = await cluster.namespace('rights');
    const namespace = 'rights-1';
    await kubectl.ok('create serviceaccount guest');
    await kubectl.ok('create role reader --verb=get,list --resource=configmaps');
    await kubectl.ok(`create rolebinding guest --role=reader --serviceaccount=${namespace}:guest`);
    const token = (await kubectl.ok('create token guest')).trim();
    const config = JSON.parse(await cluster.kubectl.ok('config view --raw --minify -o json')) as {
      clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
    };
    const { server, 'certificate-authority-data': authority } = config.clusters[0]!.cluster;
    const ca = join(cluster.dir, 'ca.crt');
    writeFileSync(ca, Buffer.from(authority, 'base64'));
    const kubeconfig = join(cluster.dir, 'nobody');
    writeFileSync(kubeconfig, '');
    const guest = kubectl.with([
      `--kubeconfig=${kubeconfig}`,
      `--server=${server}`,
      `--certificate-authority=${ca}`,
      `--token=${token}`,
    ]);
    await eventually(
      () => guest.run(['get', 'configmaps', '-o', 'name']),
      ({ out }) => out === 'configmap/kube-root-ca.crt\n',
    );
    const user = `User "system:serviceaccount:${namespace}:guest"`;
    expect(await guest.fails('get pods')).toBe(
      `Error from server (Forbidden): pods is forbidden: ${user} cannot list resource "pods" in API group "" in the namespace "${namespace}"`,
    );
    expect(await guest.fails('delete configmap kube-root-ca.crt')).toBe(
      `Error from server (Forbidden): configmaps "kube-root-ca.crt" is forbidden: ${user} cannot delete resource "configmaps" in API group "" in the namespace "${namespace}"`,
    );
    expect(await guest.fails('get nodes')).toBe(
      `Error from server (Forbidden): nodes is forbidden: ${user} cannot list resource "nodes" in API group "" at the cluster scope`,
    );
    expect(await guest.ok('auth can-i list configmaps')).toBe('yes\n');
    expect((await guest.run(['auth', 'can-i', 'create', 'pods'])).out).toBe('no\n');
    expect(await guest.ok('auth whoami')).toMatch(
      new RegExp(`^Username +system:serviceaccount:${namespace}:guest$`, 'm'),
    );
    const stranger = kubectl.with([
      `--kubeconfig=${kubeconfig}`,
      `--server=${server}`,
      `--certificate-authority=${ca}`,
      '--token=wrong',
    ]);
    expect(await stranger.fails('get pods')).toBe('error: You must be logged in to the server (Unauthorized)');
  });

  test('wrong input is answered in upstream words', async () => {
    const kubectl = await cluster.namespace('wrong');
    await kubectl.ok('create service clusterip fixed --tcp=80');
    const differences: string[] = [];
    for (const [what, input, says] of wrong) {
      const { code, out, err } =
        typeof input === 'string'
          ? await kubectl.run(input.split(' '))
          : await kubectl.run(['create', '-f', '-'], JSON.stringify(input));
      const said = err.trim();
      const right = typeof says === 'string' ? said.startsWith(says) : says.test(said);
      if (code === 0 || !right)
        differences.push(`${what}: exit ${code}\n  said:  ${said}${out}\n  wants: ${String(says)}`);
    }
    expect(differences.join('\n')).toBe('');
  });

  test.each([...kubectls().keys()])('kubectl %s: apply, get, exec, logs, delete', async (version) => {
    const namespace = `v${version.replace('.', '-')}`;
    await cluster.kubectl.ok(`create namespace ${namespace}`);
    const kubectl = cluster.kubectlOf(version).with(['-n', namespace]);
    await eventually(
      () => kubectl.run(['get', 'serviceaccount', 'default']),
      ({ code }) => code === 0,
    );
    expect(await kubectl.ok('apply -f -', podManifest('box', 'echo hello; sleep 1000'))).toBe('pod/box created\n');
    await kubectl.ok('wait --for=condition=Ready pod/box --timeout=30s');
    expect(await kubectl.ok('get pods --no-headers')).toMatch(/^box +1\/1 +Running /);
    expect(await kubectl.ok('exec box -- hostname')).toBe('box\n');
    expect(await kubectl.ok('logs box')).toBe('hello\n');
    expect(await kubectl.ok('delete pod box')).toMatch(/^pod "box" deleted/);
  });
});
