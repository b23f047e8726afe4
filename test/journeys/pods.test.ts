// The life of pods: probes, restarts, deaths from outside, volumes, configuration, resources, what goes wrong and how it is told.

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findProcesses } from '../../src/host/processes.ts';
import type { Kubectl } from '../support/kubectl.ts';
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

const restarts = (kubectl: Kubectl, pod: string) =>
  kubectl.ok(`get pod ${pod} -o jsonpath='{.status.containerStatuses[0].restartCount}'`);
const waiting = (kubectl: Kubectl, pod: string) =>
  kubectl.ok(`get pod ${pod} -o jsonpath='{.status.containerStatuses[0].state.waiting.reason}'`);
const ready = (kubectl: Kubectl, pod: string) => kubectl.ok(`wait --for=condition=Ready pod/${pod} --timeout=60s`);

describe.skipIf(!canRunClusters)('pods', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startTestCluster('pods');
  });
  afterAll(async () => {
    expect((await cluster?.delete()) ?? []).toEqual([]);
  });

  test('a container whose main process is killed from outside comes back, as does a killed sandbox', async () => {
    const kubectl = await cluster.namespace('killed');
    const marker = `killed-${process.pid}`;
    await kubectl.ok('apply -f -', podManifest('victim', `echo ${marker}; exec sleep 7654321`));
    await ready(kubectl, 'victim');
    const mine = () => findProcesses((words) => words[0] === 'sleep' && words[1] === '7654321');
    const [main] = mine();
    process.kill(main!.pid, 'SIGKILL');
    await eventually(
      () => restarts(kubectl, 'victim'),
      (count) => count === '1',
    );
    await ready(kubectl, 'victim');
    expect(
      await kubectl.ok(`get pod victim -o jsonpath='{.status.containerStatuses[0].lastState.terminated.exitCode}'`),
    ).toBe('137');
    const ip = await kubectl.ok(`get pod victim -o jsonpath='{.status.podIP}'`);
    expect(ip).toMatch(/^10\./);
    // The sandbox's pause process shares the network namespace with the container.
    const network = (pid: number) => {
      try {
        return readFileSync(`/proc/${pid}/net/fib_trie`, 'utf8').includes(ip);
      } catch {
        return false;
      }
    };
    const pause = findProcesses((words) => /pause/.test(words[0] ?? '')).find(({ pid }) => network(pid));
    expect(pause).toBeDefined();
    process.kill(pause!.pid, 'SIGKILL');
    await eventually(
      () => kubectl.ok('get events --field-selector reason=SandboxChanged -o name'),
      (names) => names !== '',
    );
    await eventually(
      () => restarts(kubectl, 'victim'),
      (count) => Number(count) >= 2,
    );
    await ready(kubectl, 'victim');
    await until('one process runs', () => mine().length === 1);
    await kubectl.ok('delete pod victim');
  });

  test('liveness restarts, readiness takes out of the Service and back, startup holds the others', async () => {
    const kubectl = await cluster.namespace('probes');
    const probe = (test: string) => ({ exec: { command: ['sh', '-c', test] }, periodSeconds: 1, failureThreshold: 1 });
    await kubectl.ok(
      'apply -f -',
      podManifest('live', 'touch /tmp/alive; sleep 1000', {
        container: { livenessProbe: probe('test -e /tmp/alive') },
      }),
    );
    const web = webManifest('web', { replicas: 1, container: { readinessProbe: probe('test ! -e /tmp/busy') } });
    await kubectl.ok('apply -f -', web);
    await kubectl.ok('expose deployment web --port=80 --target-port=http');
    const startup = {
      startupProbe: { ...probe('test -e /tmp/started'), failureThreshold: 60 },
      livenessProbe: probe('test -e /tmp/started'),
    };
    await kubectl.ok(
      'apply -f -',
      podManifest('slow', 'sleep 2; touch /tmp/started; sleep 1000', { container: startup }),
    );
    await ready(kubectl, 'live');
    await kubectl.ok('exec live -- rm /tmp/alive');
    await eventually(
      () => restarts(kubectl, 'live'),
      (count) => count === '1',
    );
    const events = await kubectl.ok('describe pod live');
    expect(events).toMatch(/Warning +Unhealthy .* Liveness probe failed:/);
    expect(events).toMatch(/Normal +Killing .* Container main failed liveness probe, will be restarted/);
    await kubectl.ok('rollout status deployment web --timeout=30s');
    const endpoints = () => kubectl.ok(`get endpoints web -o jsonpath='{.subsets[*].addresses[*].ip}'`);
    await eventually(endpoints, (ips) => ips !== '');
    await kubectl.ok('exec deployment/web -- touch /tmp/busy');
    await eventually(endpoints, (ips) => ips === '');
    expect(await kubectl.ok('get pods -l app=web --no-headers')).toMatch(/ 0\/1 +Running /);
    await kubectl.ok('exec deployment/web -- rm /tmp/busy');
    await eventually(endpoints, (ips) => ips !== '');
    await ready(kubectl, 'slow');
    expect(await restarts(kubectl, 'slow')).toBe('0');
  });

  test('init containers, a sidecar, two containers with one network and one volume', async () => {
    const kubectl = await cluster.namespace('many');
    const mount = { volumeMounts: [{ name: 'shared', mountPath: '/shared' }] };
    const step = (name: string, script: string, more = {}) => ({
      name,
      image: IMAGE,
      command: ['sh', '-c', script],
      ...mount,
      ...more,
    });
    const spec = {
      volumes: [{ name: 'shared', emptyDir: {} }],
      initContainers: [
        step('first', 'echo one >> /shared/order'),
        step('side', 'echo side >> /shared/order; exec sleep 1000', { restartPolicy: 'Always' }),
        step('second', 'echo two >> /shared/order'),
      ],
      containers: [step('server', 'exec httpd -f -p 127.0.0.1:8080 -h /shared')],
    };
    await kubectl.ok(
      'apply -f -',
      podManifest('many', 'echo main >> /shared/order; sleep 1000', { spec, container: mount }),
    );
    await ready(kubectl, 'many');
    expect(await kubectl.ok('get pod many --no-headers')).toMatch(/^many +3\/3 +Running /);
    expect(await kubectl.ok('exec many -c main -- wget -qO- http://localhost:8080/order')).toBe(
      'one\nside\ntwo\nmain\n',
    );
    expect((await kubectl.run(['exec', 'many', '--', 'true'])).err).toMatch(
      /^Defaulted container "main" out of: main, server, first \(init\), side \(init\), second \(init\)/,
    );
    await kubectl.ok('delete pod many');
  });

  test('configMaps and Secrets as environment and files, updated live; the downward API; tmpfs; hostPath; subPath', async () => {
    const kubectl = await cluster.namespace('config');
    await kubectl.ok('create configmap settings --from-literal=color=blue');
    await kubectl.ok('create secret generic key --from-literal=password=hidden');
    const spec = {
      volumes: [
        { name: 'settings', configMap: { name: 'settings' } },
        { name: 'key', secret: { secretName: 'key', defaultMode: 0o400 } },
        { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '8Mi' } },
        { name: 'host', hostPath: { path: cluster.dir, type: 'Directory' } },
        { name: 'info', downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
      ],
    };
    const container = {
      env: [
        { name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'color' } } },
        { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'key', key: 'password' } } },
        { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        { name: 'LIMIT', valueFrom: { resourceFieldRef: { resource: 'limits.memory' } } },
        { name: 'ALL', value: '$(POD)-$(COLOR)' },
      ],
      resources: { limits: { memory: '32Mi', cpu: '100m' } },
      volumeMounts: ['settings', 'key', 'memory', 'host', 'info'].map((name) => ({ name, mountPath: `/v/${name}` })),
    };
    await kubectl.ok('apply -f -', podManifest('user', 'sleep 1000', { spec, container }));
    await ready(kubectl, 'user');
    const sh = (script: string) => kubectl.ok(`exec user -- sh -c '${script}'`);
    const ip = await kubectl.ok(`get pod user -o jsonpath='{.status.podIP}'`);
    expect(await sh('echo $COLOR $PASSWORD $POD $IP $LIMIT $ALL')).toBe(
      `blue hidden user ${ip} ${32 * 1024 * 1024} user-blue\n`,
    );
    expect(await sh('cat /v/settings/color /v/key/password; stat -Lc %a /v/key/password')).toBe('bluehidden400\n');
    expect(await sh('cat /v/info/labels')).toBe('app="user"');
    expect(await sh('grep " /v/memory " /proc/mounts')).toMatch(/^tmpfs .*size=8192k/);
    expect(await sh('ls /v/host')).toContain('kubeconfig');
    expect(
      await sh('cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d" " -f1 /sys/fs/cgroup/cpu.max'),
    ).toBe('10000\n');
    await kubectl.ok(`patch configmap settings -p '{"data":{"color":"green"}}'`);
    await kubectl.ok('label pod user extra=yes');
    await eventually(
      () => sh('cat /v/settings/color /v/info/labels'),
      (text) => text === 'greenapp="user"\nextra="yes"',
      90,
    );
    expect(await sh('echo $COLOR')).toBe('blue\n');
    await kubectl.ok('delete pod user');
  });

  test("a pod's own token opens the API, as far as its rights go", async () => {
    const kubectl = await cluster.namespace('token');
    const spec = { volumes: [{ name: 'node', hostPath: { path: '/', type: 'Directory' } }] };
    const container = { volumeMounts: [{ name: 'node', mountPath: '/node', readOnly: true }] };
    await kubectl.ok('apply -f -', podManifest('inside', 'sleep 1000', { spec, container }));
    await ready(kubectl, 'inside');
    const inner = (args: string) =>
      kubectl.run(['exec', 'inside', '--', 'sh', '-c', `HOME=/tmp /node${cluster.kubectlPath} ${args}`]);
    const namespace = (
      await kubectl.ok('exec inside -- cat /var/run/secrets/kubernetes.io/serviceaccount/namespace')
    ).trim();
    expect((await inner('get pods')).err).toBe(
      `Error from server (Forbidden): pods is forbidden: User "system:serviceaccount:${namespace}:default" cannot list resource "pods" in API group "" in the namespace "${namespace}"\ncommand terminated with exit code 1\n`,
    );
    await kubectl.ok('create role looker --verb=get,list --resource=pods');
    await kubectl.ok(`create rolebinding looker --role=looker --serviceaccount=${namespace}:default`);
    await eventually(
      () => inner('get pods -o name'),
      ({ out }) => out === 'pod/inside\n',
    );
    await kubectl.ok('delete pod inside');
  });

  test('what goes wrong is told in upstream words', async () => {
    const kubectl = await cluster.namespace('wrong');
    const pod = (name: string, container: object, script = 'sleep 1000', spec = {}) =>
      kubectl.ok('apply -f -', podManifest(name, script, { container, spec }));
    await Promise.all([
      pod('pull', { image: '127.0.0.1:1/x:1' }),
      pod('never', { image: 'coracle.local/absent:1', imagePullPolicy: 'Never' }),
      pod('name', { image: 'team/UPPER' }),
      pod('config', { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'absent', key: 'a' } } }] }),
      pod('crash', {}, 'echo dying; exit 2'),
      pod('command', { command: ['/no/such/program'] }),
      pod('greedy', { resources: { limits: { memory: '16Mi' } } }, 'dd if=/dev/zero of=/dev/null bs=200M count=1'),
      pod('huge', { resources: { requests: { cpu: '1000' } } }),
      pod('ok', {}, 'exit 0', { restartPolicy: 'Never' }),
      pod('bad', {}, 'echo why > /dev/termination-log; exit 4', { restartPolicy: 'Never' }),
    ]);
    const reasons: [pod: string, reason: string][] = [
      ['pull', 'ImagePullBackOff'],
      ['never', 'ErrImageNeverPull'],
      ['name', 'InvalidImageName'],
      ['config', 'CreateContainerConfigError'],
      ['crash', 'CrashLoopBackOff'],
    ];
    for (const [name, reason] of reasons)
      await eventually(
        () => waiting(kubectl, name),
        (now) => now === reason,
      );
    const message = (name: string) =>
      kubectl.ok(`get pod ${name} -o jsonpath='{.status.containerStatuses[0].state.waiting.message}'`);
    expect(await message('never')).toBe(
      'Container image "coracle.local/absent:1" is not present with pull policy of Never',
    );
    expect(await message('config')).toBe('configmap "absent" not found');
    expect(await message('name')).toBe(
      `Failed to apply default image tag "team/UPPER": couldn't parse image name "team/UPPER": invalid reference format: repository name (team/UPPER) must be lowercase`,
    );
    expect(await message('pull')).toMatch(/^Back-off pulling image "127\.0\.0\.1:1\/x:1"/);
    expect(await message('crash')).toMatch(
      /^back-off (10|20)s restarting failed container=main pod=crash_wrong-\d+\([0-9a-f-]{36}\)$/,
    );
    expect(await kubectl.ok('logs crash -p')).toBe('dying\n');
    await eventually(
      () => kubectl.ok(`get pod greedy -o jsonpath='{.status.containerStatuses[0].lastState.terminated.reason}'`),
      (reason) => reason === 'OOMKilled',
    );
    expect(await kubectl.ok('describe pod huge')).toMatch(
      /Warning +FailedScheduling .* default-scheduler +0\/1 nodes are available: 1 Insufficient cpu\./,
    );
    expect(await kubectl.ok('describe pod command')).toMatch(/Reason: +(StartError|RunContainerError)/);
    await kubectl.ok('wait --for=jsonpath={.status.phase}=Succeeded pod/ok --timeout=30s');
    await kubectl.ok('wait --for=jsonpath={.status.phase}=Failed pod/bad --timeout=30s');
    expect(await kubectl.ok('get pod ok bad --no-headers')).toMatch(/^ok +0\/1 +Completed +0 .*\nbad +0\/1 +Error +0 /);
    expect(await kubectl.ok(`get pod bad -o jsonpath='{.status.containerStatuses[0].state.terminated.message}'`)).toBe(
      'why\n',
    );
  });

  test('onFailure starts again until it succeeds', async () => {
    const kubectl = await cluster.namespace('again');
    await kubectl.ok(
      'apply -f -',
      podManifest('again', 'test -e /v/x && exit 0; touch /v/x; exit 1', {
        spec: { restartPolicy: 'OnFailure', volumes: [{ name: 'v', emptyDir: {} }] },
        container: { volumeMounts: [{ name: 'v', mountPath: '/v' }] },
      }),
    );
    await kubectl.ok('wait --for=jsonpath={.status.phase}=Succeeded pod/again --timeout=60s');
    expect(await restarts(kubectl, 'again')).toBe('1');
  });
});
