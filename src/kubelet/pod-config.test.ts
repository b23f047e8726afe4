// From a pod's spec to what the runtime and the machine are told.

import { describe, expect, it } from 'vitest';
import type { Container, PodSpec } from '../api/generated/core-v1.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import { podDns } from './dns.ts';
import { fieldValue, resourceValue } from './downward.ts';
import { expand, expandStrictly } from './expansion.ts';
import { hostsFile, nodeName, podHostname } from './hostname.ts';
import { credentialsFor } from './image-credentials.ts';
import { repositoryOf, withDefaultTag } from './image-reference.ts';
import { goMilliseconds } from './images.ts';
import { cgroupParent, cpuQuota, cpuShares, linuxResources, podCgroupLimits } from './resources.ts';
import type { Image } from './runtime.ts';
import { containerSecurity, sandboxSecurity, verifyNonRoot } from './security.ts';

const c = (more: Partial<Container> = {}): Container => ({ name: 'c', image: 'i', ...more });
const pod = (spec: Partial<PodSpec> = {}, meta: object = {}): Pod =>
  ({
    metadata: { name: 'p', namespace: 'ns', uid: 'u-1', ...meta },
    spec: { containers: [c()], ...spec },
  }) as Pod;
const image = (uid?: number, username = ''): Image => ({ id: '', tags: [], digests: [], size: 0, uid, username });

describe('expansion', () => {
  const lookup = (name: string) => ({ A: '1', B: '$(A)' })[name];
  it.each([
    ['$(A)-$(B)', '1-$(A)'],
    ['$$(A)', '$(A)'],
    ['$(NOPE) $', '$(NOPE) $'],
    ['$(A', '$(A'],
    ['$x $$$(A)', '$x $1'],
  ])('%s', (text, expected) => {
    expect(expand(text, lookup)).toBe(expected);
  });
  it('strictly: unknown names are errors', () => {
    expect(() => expandStrictly('$(X)/$(A)', lookup)).toThrow('missing value for "X"');
  });
});

describe('the downward API', () => {
  const at = { podIPs: ['10.0.0.1', 'fd::1'], hostIPs: ['1.2.3.4'] };
  const p = pod(
    {
      nodeName: 'n',
      serviceAccountName: 'sa',
      containers: [c({ resources: { requests: { cpu: '1500m' }, limits: { memory: '1536Ki' } } })],
    },
    { labels: { b: '2', a: 'x"y' }, annotations: { 'k/z': 'multi\nline' } },
  );
  it.each([
    ['metadata.name', 'p'],
    ["metadata.labels['b']", '2'],
    ["metadata.labels['none']", ''],
    ["metadata.annotations['k/z']", 'multi\nline'],
    ['metadata.labels', 'a="x\\"y"\nb="2"'],
    ['spec.serviceAccountName', 'sa'],
    ['status.podIPs', '10.0.0.1,fd::1'],
    ['status.hostIP', '1.2.3.4'],
  ])('%s', (path, expected) => {
    expect(fieldValue(p, path, at)).toBe(expected);
  });
  it('refuses other fields', () => {
    expect(() => fieldValue(p, 'spec.hostname', at)).toThrow('unsupported fieldPath');
  });
  it.each([
    ['requests.cpu', undefined, '2'],
    ['requests.cpu', '1m', '1500'],
    ['limits.memory', '1Mi', '2'],
    ['limits.cpu', undefined, '4'],
    ['requests.memory', undefined, '0'],
  ])('%s by %s', (resource, divisor, expected) => {
    expect(resourceValue(p, { resource, divisor }, 'c', { cpu: '3500m', memory: '1Gi' })).toBe(expected);
  });
});

describe('resources', () => {
  it.each([
    [0, 2],
    [1, 2],
    [100, 102],
    [2000, 2048],
    [1_000_000, 262_144],
  ])('%i millicores are %i shares', (milli, shares) => {
    expect(cpuShares(milli)).toBe(shares);
  });
  it('quotas have a floor', () => {
    expect([cpuQuota(0), cpuQuota(1), cpuQuota(250)]).toEqual([undefined, 1000, 25_000]);
  });
  it.each([
    ['guaranteed', { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '1', memory: '1Gi' } }, -997, '/k/podu-1'],
    ['burstable', { requests: { memory: '1Gi' } }, 900, '/k/burstable/podu-1'],
    ['besteffort', {}, 1000, '/k/besteffort/podu-1'],
  ])('%s', (_, resources, oomScoreAdj, parent) => {
    const p = pod({ containers: [c({ resources })] });
    expect(linuxResources(p, p.spec.containers[0]!, 10 * 1024 ** 3).oomScoreAdj).toBe(oomScoreAdj);
    expect(cgroupParent('/k', p)).toBe(parent);
  });
  it('a pod is limited only where all its containers are', () => {
    const limited = c({ resources: { limits: { cpu: '500m', memory: '64Mi' }, requests: { cpu: '100m' } } });
    expect(podCgroupLimits(pod({ containers: [limited, { ...limited, name: 'd' }] }))).toEqual({
      cpuShares: 204,
      cpuQuota: 100_000,
      cpuPeriod: 100_000,
      memoryBytes: 128 << 20,
    });
    expect(podCgroupLimits(pod({ containers: [limited, c({ name: 'd' })] }))).toMatchObject({
      cpuQuota: undefined,
      memoryBytes: undefined,
    });
  });
});

describe('security', () => {
  it('the container wins over the pod, the pod over the image', () => {
    const p = pod({
      securityContext: {
        runAsUser: 5,
        runAsGroup: 6,
        fsGroup: 7,
        supplementalGroups: [8],
        seccompProfile: { type: 'RuntimeDefault' },
      },
    });
    expect(containerSecurity(p, c({ securityContext: { runAsUser: 9 } }), image(1), undefined)).toMatchObject({
      runAsUser: 9,
      runAsGroup: 6,
      supplementalGroups: [8, 7],
      seccomp: 'RuntimeDefault',
      noNewPrivileges: false,
      network: 'pod',
      pid: 'container',
    });
    expect(containerSecurity(pod(), c(), image(undefined, 'www'), undefined)).toMatchObject({
      runAsUsername: 'www',
      seccomp: 'Unconfined',
    });
  });
  it('privileged containers see all of /proc, in a privileged sandbox', () => {
    const privileged = c({ securityContext: { privileged: true } });
    expect(containerSecurity(pod(), privileged, image(), undefined).maskedPaths).toEqual([]);
    expect(containerSecurity(pod(), c(), image(), undefined).maskedPaths).toContain('/proc/kcore');
    expect(sandboxSecurity(pod({ containers: [privileged] })).privileged).toBe(true);
  });
  it('namespaces', () => {
    const p = pod({ hostNetwork: true, hostPID: true, hostIPC: true });
    expect(sandboxSecurity(p)).toMatchObject({ network: 'node', pid: 'node', ipc: 'node' });
    expect(sandboxSecurity(pod({ shareProcessNamespace: true })).pid).toBe('pod');
    expect(containerSecurity(pod(), c(), image(), 'x')).toMatchObject({ pid: 'target', targetId: 'x' });
  });
  it.each([
    [{ runAsUser: 0 }, image(5), "container's runAsUser breaks non-root policy"],
    [{}, image(0), 'image will run as root'],
    [{}, image(), 'image will run as root'],
    [{}, image(undefined, 'www'), 'image has non-numeric user (www)'],
    [{ runAsUser: 5 }, image(0), undefined],
    [{}, image(5), undefined],
  ])('runAsNonRoot with %j and %o', (context, from, message) => {
    const check = () =>
      verifyNonRoot(pod({ securityContext: { runAsNonRoot: true } }), c({ securityContext: context }), from);
    if (message) expect(check).toThrow(message);
    else expect(check).not.toThrow();
  });
});

describe('names', () => {
  it('host names are cut and joined', () => {
    const long = 'a'.repeat(62);
    expect(podHostname(pod({}, { name: `${long}.-rest` }), 'cluster.local').hostname).toBe(long);
    const full = pod({ hostname: 'h', subdomain: 's', setHostnameAsFQDN: true });
    const name = podHostname(full, 'cluster.local');
    expect(nodeName(full, name)).toBe('h.s.ns.svc.cluster.local');
    expect(() => nodeName(full, { hostname: 'h', domain: 'x'.repeat(70) })).toThrow(
      'is too long (64 characters is the max, 72',
    );
  });
  it('the hosts file', () => {
    const p = pod({ hostAliases: [{ ip: '9.9.9.9', hostnames: ['a', 'b'] }] });
    const text = hostsFile(p, { hostname: 'h', domain: '' }, ['10.0.0.1'], undefined);
    expect(text.split('\n').slice(-5)).toEqual([
      '10.0.0.1\th',
      '',
      '# Entries added by HostAliases.',
      '9.9.9.9\ta\tb',
      '',
    ]);
    expect(hostsFile(pod(), { hostname: 'h', domain: '' }, [], '127.0.0.1 localhost\n')).toBe(
      '# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n',
    );
  });
  const cluster = { servers: ['10.96.0.10'], domain: 'cluster.local' };
  const host = { servers: ['8.8.8.8'], searches: ['lan'], options: ['timeout:1'] };
  it.each<[string, Partial<PodSpec>, object]>([
    [
      'ClusterFirst',
      {},
      {
        servers: ['10.96.0.10'],
        searches: ['ns.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'lan'],
        options: ['ndots:5'],
      },
    ],
    ['on the host network', { hostNetwork: true }, host],
    [
      'ClusterFirstWithHostNet',
      { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' },
      { servers: ['10.96.0.10'] },
    ],
    ['Default', { dnsPolicy: 'Default' }, host],
    [
      'None with a configuration',
      {
        dnsPolicy: 'None',
        dnsConfig: {
          nameservers: ['1.1.1.1', '1.1.1.1'],
          searches: ['x'],
          options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }],
        },
      },
      { servers: ['1.1.1.1'], searches: ['x'], options: ['ndots:2', 'edns0'] },
    ],
    [
      'options replace those of the same name',
      { dnsConfig: { options: [{ name: 'ndots', value: '1' }] } },
      { options: ['ndots:1'] },
    ],
  ])('dns: %s', (_, spec, expected) => {
    expect(podDns(pod(spec), cluster, host, () => {})).toMatchObject(expected);
  });
  it('dns: too much is cut, and said', () => {
    const said: string[] = [];
    const dns = podDns(
      pod({ dnsPolicy: 'None', dnsConfig: { nameservers: ['1', '2', '3', '4'] } }),
      cluster,
      host,
      (r, m) => said.push(`${r}: ${m}`),
    );
    expect(dns.servers).toEqual(['1', '2', '3']);
    expect(said[0]).toMatch(/^DNSConfigForming: Nameserver limits were exceeded, .* 1 2 3$/);
  });
});

describe('images', () => {
  it.each([
    ['busybox', 'busybox:latest'],
    ['localhost:5000/a/b', 'localhost:5000/a/b:latest'],
    ['a/b:1', 'a/b:1'],
    [`a@sha256:${'0'.repeat(64)}`, `a@sha256:${'0'.repeat(64)}`],
  ])('%s', (given, expected) => {
    expect(withDefaultTag(given)).toBe(expected);
  });
  it('names that are none', () => {
    expect(() => withDefaultTag('Foo')).toThrow(
      'couldn\'t parse image name "Foo": invalid reference format: repository name (library/Foo) must be lowercase',
    );
    expect(() => withDefaultTag('a b')).toThrow('invalid reference format');
  });
  it('repositories and credentials', () => {
    expect(repositoryOf('nginx:1')).toBe('docker.io/library/nginx');
    expect(repositoryOf('r.io:5000/a@sha256:1')).toBe('r.io:5000/a');
    const secret = (auths: object) =>
      ({ metadata: { name: 's' }, data: { '.dockerconfigjson': btoa(JSON.stringify({ auths })) } }) as never;
    const auth = btoa('user:pa:ss');
    expect(
      credentialsFor('r.io/a/b', [
        secret({ 'r.io': { auth }, 'https://r.io/v2/': { username: 'u' }, 'x.io': { auth } }),
      ]),
    ).toMatchObject([{ username: 'user', password: 'pa:ss' }, { username: 'u' }]);
    expect(
      credentialsFor('r.io/a/b', [secret({ 'r.io/a': { username: 'near' }, 'r.io': { username: 'far' } })])[0]
        ?.username,
    ).toBe('near');
    expect(credentialsFor('nginx', [secret({ 'https://index.docker.io/v1/': { username: 'hub' } })])[0]?.username).toBe(
      'hub',
    );
    expect(credentialsFor('eu.gcr.io/x', [secret({ '*.gcr.io': { username: 'glob' } })])[0]?.username).toBe('glob');
    expect(credentialsFor('r.io/ab', [secret({ 'r.io/a': { username: 'no' } })])).toEqual([]);
  });
  it.each([
    [345.6, '345ms'],
    [1234, '1.234s'],
    [62_500, '1m2.5s'],
    [3_600_000, '1h0m0s'],
  ])('%d ms take %s', (ms, text) => {
    expect(goMilliseconds(ms)).toBe(text);
  });
});
