// Services and names as pods see them, and nodes from outside.

import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Kubectl } from '../support/kubectl.ts';
import {
  canRunClusters,
  eventually,
  podManifest,
  startTestCluster,
  until,
  webManifest,
  type TestCluster,
} from '../support/cluster.ts';

const service = (name: string, spec: object) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name }, spec });

/** What busybox's wget gets; rejects when there is no answer within seconds. */
function wget(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('busybox', ['wget', '-qO-', url], { timeout: 5000 }, (error, out) =>
      error ? reject(error) : resolve(out),
    );
  });
}

describe.skipIf(!canRunClusters)('network', () => {
  let cluster: TestCluster;
  let kubectl: Kubectl;
  let namespace: string;
  const sh = (script: string) => kubectl.ok(`exec client -- sh -c '${script}'`);
  beforeAll(async () => {
    cluster = await startTestCluster('net');
    kubectl = await cluster.namespace('net');
    namespace = 'net-1';
    await kubectl.ok('apply -f -', podManifest('client', 'sleep 10000'));
    await kubectl.ok('apply -f -', webManifest('web', { replicas: 2 }));
    await kubectl.ok('expose deployment web --port 80 --target-port http');
    await kubectl.ok('rollout status deployment web --timeout=60s');
    await kubectl.ok('wait --for=condition=Ready pod/client --timeout=30s');
  });
  afterAll(async () => {
    expect((await cluster?.delete()) ?? []).toEqual([]);
  });

  test('a ClusterIP is reached by address, names and environment, and spreads', async () => {
    const ip = await kubectl.ok(`get service web -o jsonpath='{.spec.clusterIP}'`);
    const urls = [ip, 'web', `web.${namespace}`, `web.${namespace}.svc`, `web.${namespace}.svc.cluster.local`];
    for (const url of urls) expect(await sh(`wget -qO- http://${url}`)).toMatch(/^web-\S+ 1\n$/);
    const many = await sh('for i in $(seq 40); do wget -qO- http://web; done');
    expect(new Set(many.trim().split('\n')).size).toBe(2);
    expect(await kubectl.ok('exec deployment/web -- sh -c env')).not.toContain('CLIENT');
    expect(await sh('env')).toContain('KUBERNETES_SERVICE_PORT=443');
    // A server reaches itself through its Service, too.
    expect(
      await kubectl.ok(`exec deployment/web -- sh -c 'for i in 1 2 3 4 5 6; do wget -qO- http://web; done'`),
    ).toMatch(/^(web-\S+ 1\n){6}$/);
  });

  test('without ready pods a Service refuses', async () => {
    await kubectl.ok('apply -f -', service('none', { selector: { app: 'none' }, ports: [{ port: 80 }] }));
    const said = await eventually(
      () => kubectl.run(['exec', 'client', '--', 'wget', '-qO-', 'http://none']),
      ({ err }) => !err.includes('bad address'),
    );
    expect(said.err).toContain('Connection refused');
  });

  test('a NodePort answers on the node', async () => {
    await kubectl.ok('expose deployment web --name=np --type=NodePort --port=80 --target-port=http');
    const port = await kubectl.ok(`get service np -o jsonpath='{.spec.ports[0].nodePort}'`);
    const host = await cluster.kubectl.ok(`get nodes -o jsonpath='{.items[0].status.addresses[0].address}'`);
    await until('the port answers', async () => (await wget(`http://${host}:${port}/`)) !== '');
    expect(await wget(`http://${host}:${port}/`)).toMatch(/^web-\S+ 1\n$/);
    expect(await sh(`wget -qO- http://${host}:${port}`)).toMatch(/^web-\S+ 1\n$/);
  });

  test('session affinity stays with one', async () => {
    await kubectl.ok(
      'apply -f -',
      service('sticky', {
        selector: { app: 'web' },
        sessionAffinity: 'ClientIP',
        ports: [{ port: 80, targetPort: 'http' }],
      }),
    );
    await until('it answers', async () => (await sh('wget -qO- http://sticky')) !== '');
    const many = await sh('for i in $(seq 20); do wget -qO- http://sticky; done');
    expect(new Set(many.trim().split('\n')).size).toBe(1);
  });

  test('UDP through the name of a Service', async () => {
    const name = `web.${namespace}.svc.cluster.local`;
    const ip = await kubectl.ok(`get service web -o jsonpath='{.spec.clusterIP}'`);
    expect(await sh(`nslookup ${name} kube-dns.kube-system`)).toContain(`Address: ${ip}`);
  });

  test('names: headless records, SRV, PTR, search path, ExternalName, none', async () => {
    const lookup = async (name: string, type = 'A') =>
      (await kubectl.run(['exec', 'client', '--', 'nslookup', `-type=${type}`, name])).out;
    await kubectl.ok(
      'apply -f -',
      service('peers', { clusterIP: 'None', selector: { app: 'named' }, ports: [{ name: 'http', port: 8080 }] }),
    );
    const named = podManifest('named', 'sleep 10000', { spec: { hostname: 'one', subdomain: 'peers' } });
    await kubectl.ok('apply -f -', named);
    await kubectl.ok(
      'apply -f -',
      service('away', { type: 'ExternalName', externalName: `web.${namespace}.svc.cluster.local` }),
    );
    await kubectl.ok('wait --for=condition=Ready pod/named --timeout=30s');
    const ip = await kubectl.ok(`get pod named -o jsonpath='{.status.podIP}'`);
    const domain = `${namespace}.svc.cluster.local`;
    await eventually(
      () => lookup(`peers.${domain}`),
      (text) => text.includes(ip),
    );
    expect(await lookup(`one.peers.${domain}`)).toContain(`Address: ${ip}`);
    expect(await sh('hostname -f')).toBe('client\n');
    expect(await kubectl.ok(`exec named -- hostname -f`)).toBe(`one.peers.${domain}\n`);
    expect(await lookup(`_http._tcp.peers.${domain}`, 'SRV')).toMatch(
      new RegExp(`service = 0 100 8080 one\\.peers\\.${domain}`),
    );
    expect(await sh(`nslookup ${ip}`)).toContain(`name = one.peers.${domain}`);
    const web = await kubectl.ok(`get service web -o jsonpath='{.spec.clusterIP}'`);
    expect(await sh(`nslookup ${web}`)).toContain(`name = web.${domain}`);
    expect(await lookup(`${ip.replaceAll('.', '-')}.${namespace}.pod.cluster.local`)).toContain(`Address: ${ip}`);
    expect(await lookup(`away.${domain}`, 'CNAME')).toContain(`canonical name = web.${domain}`);
    expect(await sh(`wget -qO- http://away`)).toMatch(/^web-/);
    expect(await lookup(`nothing.${domain}`)).toContain('NXDOMAIN');
    const resolv = await sh('cat /etc/resolv.conf');
    expect(resolv).toContain(`nameserver ${cluster.network.dnsIp}\n`);
    expect(resolv).toContain(`search ${domain} svc.cluster.local cluster.local`);
    expect(resolv).toContain('options ndots:5');
    await kubectl.ok('delete pod named');
  });

  test('the node answers for cluster DNS while its pods are away', async () => {
    const lookup = () => sh(`nslookup web.${namespace}.svc.cluster.local`);
    const dns = cluster.kubectl.with(['-n', 'kube-system']);
    await dns.ok('scale deployment coredns --replicas=0');
    await dns.ok('wait --for=delete pod -l k8s-app=kube-dns --timeout=30s');
    await until('the node answers', async () => (await lookup()).includes('Name:'));
    expect(await sh('wget -qO- http://web')).toMatch(/^web-/);
    await dns.ok('scale deployment coredns --replicas=1');
    await dns.ok('rollout status deployment coredns --timeout=30s');
    expect(await lookup()).toContain('Name:');
  });

  test('a pod that leaves is taken out of the endpoints; host ports and the host network', async () => {
    const pod = (await kubectl.ok('get pods -l app=web -o name')).split('\n')[0]!;
    const ip = await kubectl.ok(`get ${pod} -o jsonpath='{.status.podIP}'`);
    await kubectl.ok(`delete ${pod}`);
    await eventually(
      () =>
        kubectl.ok(
          `get endpointslices -l kubernetes.io/service-name=web -o jsonpath='{.items[*].endpoints[*].addresses[0]}'`,
        ),
      (addresses) => !addresses.split(' ').includes(ip) && addresses.split(' ').length === 2,
    );
    const host = await cluster.kubectl.ok(`get nodes -o jsonpath='{.items[0].status.addresses[0].address}'`);
    await kubectl.ok(
      'apply -f -',
      podManifest('hp', 'mkdir /tmp/w; echo by host port > /tmp/w/index.html; exec httpd -f -p 80 -h /tmp/w', {
        container: { ports: [{ containerPort: 80, hostPort: 28123 }] },
      }),
    );
    await kubectl.ok('apply -f -', podManifest('hn', 'sleep 1000', { spec: { hostNetwork: true } }));
    await kubectl.ok('wait --for=condition=Ready pod/hp pod/hn --timeout=30s');
    await until('the host port answers', async () => (await wget(`http://${host}:28123/`)) === 'by host port\n');
    expect(await kubectl.ok(`get pod hn -o jsonpath='{.status.podIP}'`)).toBe(host);
    await kubectl.ok('delete pod hp hn');
  });
});
