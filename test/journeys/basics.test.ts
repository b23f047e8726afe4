// What everybody does in the first hour: run, look, read logs, execute, copy, forward, change, delete.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  canRunClusters,
  eventually,
  IMAGE,
  podManifest,
  startTestCluster,
  until,
  webManifest,
  type TestCluster,
} from '../support/cluster.ts';

const SERVE =
  'mkdir -p /tmp/w; echo "I am $HOSTNAME" > /tmp/w/index.html; echo serving; exec httpd -f -p 8080 -h /tmp/w';

/** The body of an HTTP answer; rejects when there is none. */
function fetchText(port: number, path = '/'): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, path, agent: false, timeout: 5000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve(text));
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer')));
    sent.on('error', reject);
    sent.end();
  });
}

describe.skipIf(!canRunClusters)('basics', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startTestCluster('basic');
  });
  afterAll(async () => {
    expect((await cluster?.delete()) ?? []).toEqual([]);
  });

  test('run, get in every form, describe, delete', async () => {
    const kubectl = await cluster.namespace('run');
    expect(await kubectl.ok(`run web --image=${IMAGE} --port=8080 --command -- sh -c '${SERVE}'`)).toBe(
      'pod/web created\n',
    );
    await kubectl.ok('wait --for=condition=Ready pod/web --timeout=30s');
    expect(await kubectl.ok('get pods --no-headers')).toMatch(/^web +1\/1 +Running +0 +\d+s\n$/);
    expect(await kubectl.ok('get pods -o wide')).toMatch(
      /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\nweb .* 10\.\d+\.0\.\d+ +\S+ +<none> +<none>\n$/,
    );
    expect(await kubectl.ok('get pods -o name')).toBe('pod/web\n');
    expect(await kubectl.ok('get pod web --show-labels --no-headers')).toMatch(/ run=web\n$/);
    const json = JSON.parse(await kubectl.ok('get pod web -o json')) as { status: { podIP: string; hostIP: string } };
    expect(await kubectl.ok(`get pod web -o jsonpath='{.status.podIP}'`)).toBe(json.status.podIP);
    expect(await kubectl.ok('get pod web -o yaml')).toContain(`hostIP: ${json.status.hostIP}\n`);
    expect(await kubectl.ok('get all')).toMatch(/^NAME .*\npod\/web /);
    const described = await kubectl.ok('describe pod web');
    for (const line of [/^Status: +Running$/m, /^ {4}State: +Running$/m, /^QoS Class: +BestEffort$/m])
      expect(described).toMatch(line);
    const events = [...described.slice(described.indexOf('Events:')).matchAll(/^ {2}Normal +(\S+)/gm)].map((m) => m[1]);
    expect(events).toEqual(['Scheduled', 'Pulled', 'Created', 'Started']);
    expect(await kubectl.ok('get events --field-selector involvedObject.name=web,reason=Started -o name')).toMatch(
      /^event\/web\.[0-9a-f]+\n$/,
    );
    await kubectl.ok('delete pod web --grace-period=1');
    expect(await kubectl.fails('get pod web')).toBe('Error from server (NotFound): pods "web" not found');
  });

  test('logs: all, following, previous, by time, the tail', async () => {
    const kubectl = await cluster.namespace('logs');
    const script =
      'if [ -e /keep/second ]; then echo second life; sleep 1000; fi; touch /keep/second; for i in 1 2 3; do echo line $i; done; echo oops >&2; exit 3';
    const volume = { spec: { volumes: [{ name: 'keep', emptyDir: {} }] } };
    await kubectl.ok(
      'apply -f -',
      podManifest('twice', script, { ...volume, container: { volumeMounts: [{ name: 'keep', mountPath: '/keep' }] } }),
    );
    await eventually(
      () => kubectl.ok(`get pod twice -o jsonpath='{.status.containerStatuses[0].restartCount}'`),
      (count) => count === '1',
    );
    await kubectl.ok('wait --for=condition=Ready pod/twice --timeout=30s');
    expect(await kubectl.ok('logs twice')).toBe('second life\n');
    expect((await kubectl.ok('logs twice -p')).split('\n').toSorted()).toEqual([
      '',
      'line 1',
      'line 2',
      'line 3',
      'oops',
    ]);
    expect(await kubectl.ok('logs twice -p --tail=1')).toMatch(/^(oops|line 3)\n$/);
    expect(await kubectl.ok('logs twice --timestamps')).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z second life\n$/);
    expect(await kubectl.ok('logs twice --since=1h')).toBe('second life\n');
    expect(await kubectl.ok('logs twice --since-time=2100-01-01T00:00:00Z')).toBe('');
    expect(await kubectl.fails('logs twice -c other')).toBe('error: container other is not valid for pod twice');
    const following = kubectl.start('logs -f twice');
    expect(await following.line()).toBe('second life');
    await kubectl.ok(`exec twice -- sh -c 'echo from outside > /proc/1/fd/1'`);
    expect(await following.line()).toBe('from outside');
    following.stop();
    await kubectl.ok('delete pod twice');
  });

  test('exec: streams, exit codes, a terminal', async () => {
    const kubectl = await cluster.namespace('exec');
    await kubectl.ok('apply -f -', podManifest('box', 'sleep 1000'));
    await kubectl.ok('wait --for=condition=Ready pod/box --timeout=30s');
    expect(await kubectl.run(['exec', 'box', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7'])).toEqual({
      code: 7,
      out: 'out\n',
      err: 'err\ncommand terminated with exit code 7\n',
    });
    expect(await kubectl.ok('exec -i box -- sha256sum', 'x'.repeat(300_000))).toMatch(/^[0-9a-f]{64} {2}-\n$/);
    const typed = await kubectl.typed('exec -it box -- sh', 'stty size; tty; echo $((6*7)); exit 4\n', {
      rows: 31,
      columns: 99,
    });
    expect(typed.out).toContain('31 99');
    expect(typed.out).toContain('/dev/pts/0');
    expect(typed.out).toContain('\r\n42\r\n');
    expect(typed.code).toBe(4);
    expect(await kubectl.fails('exec box -- no-such-program')).toMatch(/no-such-program.*not found/s);
    expect(await kubectl.fails('exec box -c other -- true')).toBe(
      'Error from server (BadRequest): container other is not valid for pod box',
    );
    expect(await kubectl.fails('exec other -- true')).toBe('Error from server (NotFound): pods "other" not found');
    await kubectl.ok('delete pod box');
  });

  test('cp both ways', async () => {
    const kubectl = await cluster.namespace('cp');
    await kubectl.ok('apply -f -', podManifest('box', 'sleep 1000'));
    const [from, back] = [join(cluster.dir, 'copied'), join(cluster.dir, 'back')];
    mkdirSync(join(from, 'deep'), { recursive: true });
    const big = randomBytes(2_000_000);
    writeFileSync(join(from, 'deep', 'big'), big);
    writeFileSync(join(from, 'a file'), 'hello\n');
    await kubectl.ok('wait --for=condition=Ready pod/box --timeout=30s');
    await kubectl.ok(`cp ${from} box:/tmp/there`);
    expect(await kubectl.ok(`exec box -- cat '/tmp/there/a file'`)).toBe('hello\n');
    await kubectl.ok(`cp box:/tmp/there ${back}`);
    expect(readFileSync(join(back, 'deep', 'big')).equals(big)).toBe(true);
    await kubectl.ok('delete pod box');
  });

  test('port-forward and proxy', async () => {
    const kubectl = await cluster.namespace('forward');
    await kubectl.ok('apply -f -', webManifest('web', { replicas: 1 }));
    await kubectl.ok('expose deployment web --port 80 --target-port http');
    await kubectl.ok('rollout status deployment web --timeout=30s');
    const forward = kubectl.start('port-forward service/web 0:80');
    const port = Number(/127\.0\.0\.1:(\d+) -> 8080/.exec(await forward.line())?.[1]);
    expect(await Promise.all([fetchText(port), fetchText(port)])).toEqual([
      expect.stringMatching(/^web-\S+ 1\n$/),
      expect.stringMatching(/^web-\S+ 1\n$/),
    ]);
    forward.stop();
    const proxy = kubectl.start('proxy --port=0');
    const proxyPort = Number(/127\.0\.0\.1:(\d+)/.exec(await proxy.line())?.[1]);
    const namespace = (await kubectl.ok(`get pods -o jsonpath='{.items[0].metadata.namespace}'`)).trim();
    expect(JSON.parse(await fetchText(proxyPort, '/version'))).toMatchObject({ major: '1', minor: '36' });
    expect(await fetchText(proxyPort, `/api/v1/namespaces/${namespace}/services/web/proxy/`)).toMatch(/^web-\S+ 1\n$/);
    proxy.stop();
    await kubectl.ok('delete deployment web');
  });

  test('labels and annotations come and go; a pod that loses its label is replaced', async () => {
    const kubectl = await cluster.namespace('label');
    await kubectl.ok('apply -f -', webManifest('web', { replicas: 1 }));
    await kubectl.ok('rollout status deployment web --timeout=30s');
    const pod = (await kubectl.ok('get pods -o name')).trim();
    expect(await kubectl.ok(`label ${pod} tier=front`)).toBe(`${pod} labeled\n`);
    expect(await kubectl.fails(`label ${pod} tier=back`)).toBe(
      `error: 'tier' already has a value (front), and --overwrite is false`,
    );
    expect(await kubectl.ok('get pods -l tier=front -o name')).toBe(`${pod}\n`);
    expect(await kubectl.ok('get pods -l tier!=front,app=web -o name')).toBe('');
    expect(await kubectl.ok(`label ${pod} tier-`)).toBe(`${pod} unlabeled\n`);
    expect(await kubectl.ok(`annotate ${pod} note=hello`)).toBe(`${pod} annotated\n`);
    await kubectl.ok(`label ${pod} app-`);
    await eventually(
      () => kubectl.ok('get pods -l app=web -o name'),
      (names) => names !== '' && !names.includes(pod),
    );
    expect(await kubectl.ok('get pods -o name')).toContain(pod);
    expect(await kubectl.ok(`get ${pod} -o jsonpath='{.metadata.ownerReferences}'`)).toBe('');
    await kubectl.ok(`delete deployment/web ${pod}`);
  });

  test('apply, diff, edit, dry runs, scale, server-side apply', async () => {
    const kubectl = await cluster.namespace('apply');
    const at = (replicas: number) => webManifest('web', { replicas });
    expect(await kubectl.ok('apply --dry-run=client -f -', at(0))).toBe('deployment.apps/web created (dry run)\n');
    expect(await kubectl.ok('apply --dry-run=server -f -', at(0))).toBe(
      'deployment.apps/web created (server dry run)\n',
    );
    expect(await kubectl.fails('get deployment web')).toMatch(/NotFound/);
    expect(await kubectl.ok('apply -f -', at(0))).toBe('deployment.apps/web created\n');
    expect(await kubectl.ok('apply -f -', at(0))).toBe('deployment.apps/web unchanged\n');
    expect(await kubectl.ok('diff -f -', at(0))).toBe('');
    const diff = await kubectl.run(['diff', '-f', '-'], at(2));
    expect(diff.code).toBe(1);
    expect(diff.out).toContain('-  replicas: 0\n+  replicas: 2\n');
    expect(await kubectl.ok('apply -f -', at(1))).toBe('deployment.apps/web configured\n');
    const editor = join(cluster.dir, 'editor');
    writeFileSync(editor, `#!/bin/sh\nsed -i 's/replicas: 1/replicas: 2/' "$1"\n`, { mode: 0o755 });
    expect(await kubectl.with([], { KUBE_EDITOR: editor }).ok('edit deployment web')).toBe(
      'deployment.apps/web edited\n',
    );
    expect((await kubectl.with([], { KUBE_EDITOR: 'true' }).run(['edit', 'deployment', 'web'])).err).toBe(
      'Edit cancelled, no changes made.\n',
    );
    await kubectl.ok('rollout status deployment web --timeout=30s');
    expect(await kubectl.ok('get deployment web --no-headers')).toMatch(/^web +2\/2 +2 +2 /);
    expect(await kubectl.ok('scale deployment web --replicas=0')).toBe('deployment.apps/web scaled\n');
    expect(await kubectl.fails('scale deployment web --current-replicas=5 --replicas=1')).toBe(
      'error: Expected replicas to be 5, was 0',
    );
    expect(await kubectl.fails('apply --server-side --field-manager=other -f -', at(1))).toMatch(
      /^error: Apply failed with 1 conflict: conflict with "kubectl[.\d]*" with subresource "scale" using apps\/v1: \.spec\.replicas\n/,
    );
    expect(await kubectl.ok('apply --server-side --force-conflicts -f -', at(0))).toBe(
      'deployment.apps/web serverside-applied\n',
    );
    await kubectl.ok('delete deployment web');
  });

  test('every generator of create', async () => {
    const kubectl = await cluster.namespace('create');
    const file = join(cluster.dir, 'some.properties');
    writeFileSync(file, 'color=blue\n');
    const [certificate, key] = certificateIn(cluster);
    const created: [command: string, said: string][] = [
      [`deployment d --image=${IMAGE} --replicas=0`, 'deployment.apps/d'],
      ['service clusterip c --tcp=80:8080', 'service/c'],
      ['service clusterip h --clusterip=None', 'service/h'],
      ['service nodeport n --tcp=80:8080', 'service/n'],
      ['service loadbalancer l --tcp=80:8080', 'service/l'],
      ['service externalname e --external-name=example.com', 'service/e'],
      [`configmap cm --from-literal=a=b --from-file=${file}`, 'configmap/cm'],
      ['secret generic s --from-literal=user=me', 'secret/s'],
      ['secret docker-registry r --docker-server=x.example --docker-username=u --docker-password=p', 'secret/r'],
      [`secret tls t --cert=${certificate} --key=${key}`, 'secret/t'],
      ['serviceaccount bob', 'serviceaccount/bob'],
      ['role reader --verb=get,list --resource=pods', 'role.rbac.authorization.k8s.io/reader'],
      ['rolebinding rb --role=reader --serviceaccount=x:bob', 'rolebinding.rbac.authorization.k8s.io/rb'],
      [
        `clusterrole ${cluster.name} --verb=get --resource=nodes`,
        `clusterrole.rbac.authorization.k8s.io/${cluster.name}`,
      ],
      [
        `clusterrolebinding ${cluster.name} --clusterrole=${cluster.name} --user=eve`,
        `clusterrolebinding.rbac.authorization.k8s.io/${cluster.name}`,
      ],
      ['quota q --hard=pods=5', 'resourcequota/q'],
      ['priorityclass high --value=100', 'priorityclass.scheduling.k8s.io/high'],
      ['poddisruptionbudget pdb --selector=a=b --min-available=1', 'poddisruptionbudget.policy/pdb'],
      [`job j --image=${IMAGE} -- echo hi`, 'job.batch/j'],
      [`cronjob cj --image=${IMAGE} --schedule='*/5 * * * *' -- echo hi`, 'cronjob.batch/cj'],
      [`ingress ing --rule='a.example/=svc:80'`, 'ingress.networking.k8s.io/ing'],
    ];
    for (const [command, said] of created) expect(await kubectl.ok(`create ${command}`)).toBe(`${said} created\n`);
    expect(await kubectl.ok(`get configmap cm -o jsonpath='{.data.some\\.properties}{.data.a}'`)).toBe('color=blue\nb');
    expect(await kubectl.ok(`get secret s -o jsonpath='{.data.user}'`)).toBe('bWU=');
    expect(await kubectl.ok('create token bob')).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\s*$/);
    expect(await kubectl.fails('create serviceaccount bob')).toBe(
      'error: failed to create serviceaccount: serviceaccounts "bob" already exists',
    );
    await kubectl.ok(`delete clusterrole,clusterrolebinding ${cluster.name}`);
    await kubectl.ok('delete priorityclass high');
    const namespace = (await kubectl.ok(`get serviceaccount bob -o jsonpath='{.metadata.namespace}'`)).trim();
    await kubectl.ok(`delete namespace ${namespace}`);
    expect(await cluster.kubectl.fails(`get namespace ${namespace}`)).toMatch(/NotFound/);
  });

  test('deletion with grace is seen as Terminating; force does not wait', async () => {
    const kubectl = await cluster.namespace('delete');
    const stubborn = (name: string) =>
      podManifest(name, `trap '' TERM; while :; do sleep 1; done`, { spec: { terminationGracePeriodSeconds: 60 } });
    await kubectl.ok('apply -f -', stubborn('stubborn'));
    await kubectl.ok('wait --for=condition=Ready pod/stubborn --timeout=30s');
    await kubectl.ok('delete pod stubborn --wait=false');
    await eventually(
      () => kubectl.ok('get pod stubborn --no-headers'),
      (row) => / Terminating /.test(row),
    );
    expect(await kubectl.ok('describe pod stubborn')).toMatch(
      /^Status: +Terminating \(lasts .*\)\nTermination Grace Period: +60s$/m,
    );
    const force = await kubectl.run(['delete', 'pod', 'stubborn', '--force', '--grace-period=0']);
    expect(force.out).toMatch(/^pod "stubborn" force deleted/);
    expect(force.err).toBe(
      'Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.\n',
    );
    expect(await kubectl.ok('get pods')).toBe('');
    await kubectl.ok('apply -f -', stubborn('short'));
    await kubectl.ok('wait --for=condition=Ready pod/short --timeout=30s');
    const began = performance.now();
    await kubectl.ok('delete pod short --grace-period=1');
    expect(performance.now() - began).toBeGreaterThan(900);
  });

  test('contexts and namespaces', async () => {
    const context = `coracle-${cluster.name}`;
    const { kubectl } = cluster;
    expect(await kubectl.ok('config current-context')).toBe(`${context}\n`);
    await kubectl.ok('create namespace elsewhere');
    await kubectl.ok(`config set-context other --cluster=${context} --user=${context} --namespace=elsewhere`);
    await kubectl.ok('--context other create configmap here');
    expect(
      await kubectl.ok(
        'get configmap -A --field-selector metadata.name=here -o jsonpath={.items[*].metadata.namespace}',
      ),
    ).toBe('elsewhere');
    await kubectl.ok('config delete-context other');
    await kubectl.ok('delete namespace elsewhere');
    await until(
      'the namespace is gone',
      async () => !(await kubectl.ok('get namespaces -o name')).includes('elsewhere'),
    );
    expect(await kubectl.ok('cluster-info')).toContain('Kubernetes control plane');
    expect(await kubectl.ok('get --raw /readyz')).toBe('ok');
    expect(await kubectl.ok('auth whoami')).toMatch(/^Username +\S+$/m);
  });
});

/** Paths of a certificate and its key: the administrator's. */
function certificateIn(cluster: TestCluster): [certificate: string, key: string] {
  const config = readFileSync(cluster.paths.adminKubeconfig, 'utf8');
  return (['client-certificate-data', 'client-key-data'] as const).map((field) => {
    const path = join(cluster.dir, `${field}.pem`);
    writeFileSync(path, Buffer.from(new RegExp(`${field}: "?([^\\s"]+)`).exec(config)![1]!, 'base64'));
    return path;
  }) as [string, string];
}
