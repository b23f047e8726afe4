import { describe, expect, test } from 'vitest';
import { CertificateSigningRequest as Csr } from '../api/kinds/certificates/certificate-signing-request.ts';
import { Node } from '../api/kinds/core/node.ts';
import { Secret } from '../api/kinds/core/secret.ts';
import { ServiceAccount } from '../api/kinds/core/service-account.ts';
import type { Draft } from '../api/object.ts';
import type { UserInfo } from '../api/op.ts';
import { startControllers } from '../cluster/test-controllers.ts';
import { alwaysAllow } from '../server/authz/rbac.ts';
import { subresourceHandlers } from '../server/subresources/index.ts';
import { reviewHandlers } from '../server/authz/reviews.ts';
import { certificateSigning, type CertificateSigner } from './certificate-signing.ts';
import { serviceAccountTokens } from './service-account-tokens.ts';

const CLIENT = 'kubernetes.io/kube-apiserver-client-kubelet';
const SERVING = 'kubernetes.io/kubelet-serving';
const PEM = btoa('-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n');
const NODE: UserInfo = { name: 'system:node:n1', groups: ['system:nodes'] };

const signer: CertificateSigner = {
  names: [CLIENT, SERVING],
  kubeletServing: (spec) =>
    spec.signerName === SERVING && spec.username === NODE.name ? { node: 'n1', names: ['n1', '10.0.0.1'] } : undefined,
  kubeletClient: (spec) => (spec.signerName === CLIENT && spec.username === NODE.name ? 'own' : undefined),
  sign(spec) {
    if (spec.signerName === CLIENT && spec.usages?.includes('server auth')) throw new Error('usages did not match');
    return `-----BEGIN CERTIFICATE-----\n${btoa(spec.username ?? '')}\n-----END CERTIFICATE-----\n`;
  },
};

describe('certificate requests', () => {
  const start = () =>
    startControllers([certificateSigning(signer)], {
      authorizer: alwaysAllow,
      handlers: [...subresourceHandlers, ...reviewHandlers(undefined)],
    });
  const csr = (name: string, signerName = CLIENT, usages = ['client auth']): Draft<Csr> =>
    ({ metadata: { name }, spec: { request: PEM, signerName, usages } }) as Draft<Csr>;
  const conditions = (c: Csr) => c.status?.conditions?.map((x) => `${x.type} ${x.reason} ${x.message}`) ?? [];

  test("a node's own is approved and signed", async () => {
    const { clientFor, client, clock, stop } = await start();
    await clientFor(NODE).create(Csr, csr('own'));
    await clock.advance(5000);
    const done = await client.get(Csr, { name: 'own' });
    expect(conditions(done)).toEqual([
      'Approved AutoApproved Auto approving self kubelet client certificate after SubjectAccessReview.',
    ]);
    expect(atob(done.status!.certificate!)).toContain(btoa('system:node:n1'));
    await stop();
  });

  test("a node's endpoint gets one for the addresses that the node tells, once it does", async () => {
    const { clientFor, client, clock, stop } = await start();
    const addresses = [{ type: 'Hostname', address: 'n1' }];
    const node = await client.create(Node, { metadata: { name: 'n1' }, status: { addresses } } as Draft<Node>);
    await clientFor(NODE).create(Csr, csr('endpoint', SERVING, ['server auth']));
    await client.create(Csr, csr('foreign', SERVING, ['server auth']));
    await clock.advance(60_000);
    expect(conditions(await client.get(Csr, { name: 'endpoint' }))).toEqual([]);
    const more = [...addresses, { type: 'InternalIP', address: '10.0.0.1' }];
    await client.update(Node, { ...node, status: { ...node.status, addresses: more } }, { subresource: 'status' });
    await clock.advance(1000);
    const done = await client.get(Csr, { name: 'endpoint' });
    expect(conditions(done)).toEqual([
      'Approved AutoApproved Auto approving kubelet server certificate: its names are addresses of the node.',
    ]);
    expect(done.status?.certificate).toBeDefined();
    expect(conditions(await client.get(Csr, { name: 'foreign' }))).toEqual([]);
    await stop();
  });

  test('others wait for a person, failures are told, strangers are left alone', async () => {
    const { client, clock, stop } = await start();
    for (const [name, signerName, usages] of [
      ['waits', CLIENT, ['client auth']],
      ['fails', CLIENT, ['server auth']],
      ['foreign', 'example.com/mine', ['client auth']],
    ] as const)
      await client.create(Csr, csr(name, signerName, [...usages]));
    await clock.advance(5000);
    expect(conditions(await client.get(Csr, { name: 'waits' }))).toEqual([]);
    const approve = async (name: string) => {
      const asked = await client.get(Csr, { name });
      const status = { conditions: [{ type: 'Approved', status: 'True', reason: 'Person', message: 'ok' }] };
      await client.update(Csr, { ...asked, status } as Csr, { subresource: 'approval' });
    };
    for (const name of ['waits', 'fails', 'foreign']) await approve(name);
    await clock.advance(5000);
    expect((await client.get(Csr, { name: 'waits' })).status?.certificate).toBeDefined();
    expect(conditions(await client.get(Csr, { name: 'fails' }))).toContain(
      'Failed SignerValidationFailure usages did not match',
    );
    expect((await client.get(Csr, { name: 'foreign' })).status?.certificate).toBeUndefined();
    await clock.advance(2 * 3_600_000);
    expect((await client.list(Csr)).items.map((c) => c.metadata.name)).toEqual(['foreign']);
    await clock.advance(24 * 3_600_000);
    expect((await client.list(Csr)).items).toEqual([]);
    await stop();
  });
});

describe('token Secrets', () => {
  const secret = (name: string, account: string): Draft<Secret> =>
    ({
      metadata: { namespace: 'default', name, annotations: { 'kubernetes.io/service-account.name': account } },
      type: 'kubernetes.io/service-account-token',
    }) as Draft<Secret>;

  test('are filled, and go with their account', async () => {
    const controller = serviceAccountTokens({
      rootCa: 'CA',
      token: (account, name) => `${account.metadata.name}/${name}`,
    });
    const { client, settle, stop } = await startControllers([controller]);
    const account = await client.create(ServiceAccount, { metadata: { namespace: 'default', name: 'bot' } });
    await client.create(Secret, secret('t', 'bot'));
    await client.create(Secret, { metadata: { namespace: 'default', name: 'other' } });
    await settle();
    const filled = await client.get(Secret, { namespace: 'default', name: 't' });
    expect(filled.data).toEqual({ 'ca.crt': btoa('CA'), namespace: btoa('default'), token: btoa('bot/t') });
    expect(filled.metadata.annotations?.['kubernetes.io/service-account.uid']).toBe(account.metadata.uid);
    await client.delete(ServiceAccount, { namespace: 'default', name: 'bot' });
    await settle();
    expect((await client.list(Secret)).items.map((s) => s.metadata.name)).toEqual(['other']);
    await stop();
  });
});
