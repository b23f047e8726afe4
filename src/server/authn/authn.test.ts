import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createTestServer } from '../../cluster/test-server.ts';
import { tokenSigner } from '../../host/token-signer.ts';
import type { KubeObject } from '../../api/object.ts';
import type { ObjectResult } from '../../api/op.ts';
import { silentLogger } from '../../base/log.ts';
import { seededRandom, VirtualClock } from '../../base/virtual-clock.ts';
import { ServiceAccount } from '../../api/kinds/core/service-account.ts';
import { Secret } from '../../api/kinds/core/secret.ts';
import type { Handler } from '../call.ts';
import { serviceAccountToken } from '../subresources/service-account-token.ts';
import { TestExchange, type TestRequest } from '../test-exchange.ts';
import { Authenticator } from './authenticator.ts';
import { fromBase64url, toBase64url } from './base64url.ts';
import { boundObjects } from './bound-objects.ts';
import { peekClaims, signJwt, type JwtClaims } from './jwt.ts';
import { authenticationHandlers } from './reviews.ts';
import { parseTokenFile } from './token-file.ts';
import { fixedTokens, serviceAccountTokens } from './token-authenticator.ts';
import { createTokenIssuer, legacyToken } from './token-issuer.ts';

const ISSUER = 'https://kubernetes.default.svc.cluster.local';
const key = (type: 'ec' | 'rsa') =>
  type === 'ec'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
const signer = tokenSigner(key('ec').privateKey);

/** Objects as a map from `resource namespace/name`. */
function world(signers = [signer], issuers = [ISSUER]) {
  const clock = new VirtualClock();
  const env = { clock, random: seededRandom(1), log: silentLogger };
  const objects = new Map<string, KubeObject>();
  const put = (resource: string, namespace: string | undefined, name: string, more: object = {}) => {
    const metadata = { name, namespace, uid: `uid-${name}`, ...(more as { metadata?: object }).metadata };
    objects.set(`${resource} ${namespace ?? ''}/${name}`, { ...more, metadata } as KubeObject);
  };
  put('serviceaccounts', 'ns', 'sa');
  const lookup = (resource: string, namespace: string | undefined, name: string) =>
    Promise.resolve(objects.get(`${resource} ${namespace ?? ''}/${name}`));
  const check = serviceAccountTokens({ clock, issuers, keys: signers, objects: lookup });
  const issuer = createTokenIssuer({ env, issuer: ISSUER, audiences: ['api'], signer: signers[0]! });
  const issue = async (more: Partial<Parameters<typeof issuer.issue>[0]> = {}) =>
    (
      await issuer.issue({
        namespace: 'ns',
        serviceAccount: { name: 'sa', uid: 'uid-sa' },
        audiences: [],
        expirationSeconds: 3600,
        ...more,
      })
    ).token;
  return { clock, put, objects, check, issue };
}

describe('ServiceAccount tokens', () => {
  test.each(['ec', 'rsa'] as const)('with %s keys say what upstream says', async (type) => {
    const own = tokenSigner(key(type).privateKey);
    const { issue, check, put } = world([own]);
    put('pods', 'ns', 'p');
    const token = await issue({ pod: { name: 'p', uid: 'uid-p' }, node: { name: 'n', uid: 'uid-n' } });
    const now = Date.UTC(2026, 0, 1) / 1000;
    expect(peekClaims(token)).toEqual({
      aud: ['api'],
      exp: now + 3600,
      iat: now,
      iss: ISSUER,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      'kubernetes.io': {
        namespace: 'ns',
        node: { name: 'n', uid: 'uid-n' },
        pod: { name: 'p', uid: 'uid-p' },
        serviceaccount: { name: 'sa', uid: 'uid-sa' },
      },
      nbf: now,
      sub: 'system:serviceaccount:ns:sa',
    });
    expect(await check(token, ['api'])).toEqual({
      audiences: ['api'],
      user: {
        name: 'system:serviceaccount:ns:sa',
        uid: 'uid-sa',
        groups: ['system:serviceaccounts', 'system:serviceaccounts:ns'],
        extra: {
          'authentication.kubernetes.io/credential-id': [`JTI=${peekClaims(token)!.jti}`],
          'authentication.kubernetes.io/node-name': ['n'],
          'authentication.kubernetes.io/node-uid': ['uid-n'],
          'authentication.kubernetes.io/pod-name': ['p'],
          'authentication.kubernetes.io/pod-uid': ['uid-p'],
        },
      },
    });
  });

  test('of pods that ask for 3607 seconds live a year and warn', async () => {
    const { issue } = world();
    const claims = peekClaims(await issue({ expirationSeconds: 3607, pod: { name: 'p', uid: 'u' } }))!;
    expect(claims.exp! - claims.iat!).toBe(365 * 24 * 3600);
    expect(claims['kubernetes.io']).toMatchObject({ warnafter: claims.iat! + 3607 });
    const other = peekClaims(
      await issue({ expirationSeconds: 3607, pod: { name: 'p', uid: 'u' }, audiences: ['vault'] }),
    )!;
    expect(other.exp! - other.iat!).toBe(3607);
  });

  test('end with time and with what they are bound to', async () => {
    const { clock, issue, check, put, objects } = world();
    put('pods', 'ns', 'p');
    put('nodes', undefined, 'n');
    const plain = await issue();
    const podToken = await issue({ pod: { name: 'p', uid: 'uid-p' } });
    const nodeToken = await issue({ node: { name: 'n', uid: 'uid-n' } });
    const works = async (token: string) => (await check(token, ['api'])) !== undefined;
    expect([await works(plain), await works(podToken), await works(nodeToken)]).toEqual([true, true, true]);
    await expect(check(plain, ['other'])).rejects.toThrow('audiences');
    put('pods', 'ns', 'p', { metadata: { uid: 'another' } });
    await expect(works(podToken)).rejects.toThrow(
      'Pod UID (another) does not match service account pod ref claim (uid-p)',
    );
    objects.delete('nodes /n');
    await expect(works(nodeToken)).rejects.toThrow('has been invalidated');
    put('pods', 'ns', 'p', { metadata: { deletionTimestamp: new Date(clock.now()).toISOString() } });
    expect(await works(podToken)).toBe(true);
    await clock.advance(61_000);
    await expect(works(podToken)).rejects.toThrow('has been invalidated');
    await clock.advance(3_600_000);
    await expect(works(plain)).rejects.toThrow('expired');
    const early = await issue();
    clock.jump(-3_600_000);
    expect(await works(early)).toBe(true);
    clock.jump(-48 * 3_600_000);
    await expect(works(early)).rejects.toThrow('not valid yet');
    clock.jump(49 * 3_600_000);
    objects.clear();
    await expect(works(plain)).rejects.toThrow();
  });

  test('forged or strange ones are refused', async () => {
    const { check, issue } = world();
    const token = await issue();
    const [head, body, signature] = token.split('.') as [string, string, string];
    const claims = peekClaims(token)!;
    const forge = (more: JwtClaims) => toBase64url(new TextEncoder().encode(JSON.stringify({ ...claims, ...more })));
    await expect(
      check(`${head}.${forge({ sub: 'system:serviceaccount:kube-system:x' })}.${signature}`, ['api']),
    ).rejects.toThrow('invalid signature');
    const none = toBase64url(new TextEncoder().encode('{"alg":"none"}'));
    await expect(check(`${none}.${body}.`, ['api'])).rejects.toThrow('invalid signature');
    await expect(check(signJwt(claims, tokenSigner(key('ec').privateKey)), ['api'])).rejects.toThrow(
      'invalid signature',
    );
    await expect(check(signJwt({ ...claims, sub: 'admin' }, signer), ['api'])).rejects.toThrow('subject');
    await expect(check(signJwt({ ...claims, 'kubernetes.io': 3 }, signer), ['api'])).rejects.toThrow('private claim');
    await expect(check(signJwt({ ...claims, exp: undefined as never }, signer), ['api'])).rejects.toThrow('expired');
    expect(await check(signJwt({ ...claims, iss: 'https://elsewhere' }, signer), ['api'])).toBeUndefined();
    for (const text of ['', 'a', 'a.b', 'a.b.c', '..', `${head}.${body}`])
      expect(await check(text, ['api'])).toBeUndefined();
  });

  test('kept in a Secret end with it', async () => {
    const { check, put, objects } = world();
    const token = legacyToken(objects.get('serviceaccounts ns/sa')!, 's', signer);
    await expect(check(token, ['api'])).rejects.toThrow('invalidated');
    put('secrets', 'ns', 's', { data: { token: btoa(token) } });
    expect((await check(token, ['api']))!.user.name).toBe('system:serviceaccount:ns:sa');
    put('secrets', 'ns', 's', { data: { token: btoa('other') } });
    await expect(check(token, ['api'])).rejects.toThrow("does not match server's copy");
  });
});

describe('requests', () => {
  const users = parseTokenFile('t1,alice,u1,"dev, ops"\n# nobody\nt2,bob,\n');
  const authenticator = (anonymous = true) =>
    new Authenticator({ log: silentLogger, tokens: [fixedTokens(users)], audiences: ['api'], anonymous });
  const who = async (request: Partial<TestRequest>, anonymous?: boolean) =>
    authenticator(anonymous).authenticate(new TestExchange({ url: '/', ...request }));
  const certificate = { commonName: 'n1', organizations: ['system:nodes'], fingerprint: 'abcd', notAfter: Infinity };

  test('by token', async () => {
    const alice = { name: 'alice', uid: 'u1', groups: ['dev', 'ops', 'system:authenticated'] };
    expect(await who({ headers: { authorization: 'bearer  t1' } })).toEqual(alice);
    const protocol = `base64url.bearer.authorization.k8s.io.${toBase64url(new TextEncoder().encode('t1'))}`;
    expect(await who({ headers: { 'sec-websocket-protocol': `v5.channel.k8s.io, ${protocol}` } })).toEqual(alice);
    await expect(who({ headers: { authorization: 'Bearer nope' } })).rejects.toMatchObject({ code: 401 });
  });

  test('by certificate, which goes before the token', async () => {
    const user = {
      name: 'n1',
      groups: ['system:nodes', 'system:authenticated'],
      extra: { 'authentication.kubernetes.io/credential-id': ['X509SHA256=abcd'] },
    };
    const peer = { address: '', certificate };
    expect(await who({ peer, headers: { authorization: 'Bearer nope' } })).toEqual(user);
    const bad = { address: '', certificate: 'unverified' } as const;
    await expect(who({ peer: bad })).rejects.toMatchObject({ code: 401 });
    expect((await who({ peer: bad, headers: { authorization: 'Bearer t2' } })).name).toBe('bob');
  });

  test('a certificate that is out of date is told so, on a connection that outlived it as well', async () => {
    const over = { address: '', certificate: 'outdated' } as const;
    await expect(who({ peer: over })).rejects.toMatchObject({
      code: 401,
      message: 'Unauthorized: the client certificate has expired or is not yet valid; get a new kubeconfig',
    });
    expect((await who({ peer: over, headers: { authorization: 'Bearer t2' } })).name).toBe('bob');
    const clock = new VirtualClock(Date.UTC(2026, 0, 1));
    const timed = new Authenticator({ log: silentLogger, tokens: [], audiences: [], clock });
    const request = new TestExchange({
      url: '/',
      peer: { address: '', certificate: { ...certificate, notAfter: clock.now() + 1000 } },
    });
    expect((await timed.authenticate(request)).name).toBe('n1');
    await clock.advance(1001);
    await expect(timed.authenticate(request)).rejects.toMatchObject({
      code: 401,
      message: 'Unauthorized: the client certificate expired on 2026-01-01T00:00:01Z; get a new kubeconfig',
    });
  });

  test('without anything', async () => {
    expect(await who({})).toEqual({ name: 'system:anonymous', groups: ['system:unauthenticated'] });
    expect((await who({ headers: { authorization: 'Basic eDp5' } })).name).toBe('system:anonymous');
    await expect(who({}, false)).rejects.toMatchObject({ code: 401 });
  });

  test('a token file with a fault says where', () => {
    expect(() => parseTokenFile('a,b,c\nd\n')).toThrow('token file line 2');
  });
});

test('tokens from request to review on a real server', async () => {
  const { server, env, client, close } = createTestServer();
  const objects = boundObjects(server.caches);
  const tokens = serviceAccountTokens({ clock: env.clock, issuers: [ISSUER], keys: [signer], objects });
  const authenticator = new Authenticator({ log: silentLogger, audiences: ['api'], tokens: [tokens] });
  const issuer = createTokenIssuer({ env, issuer: ISSUER, audiences: ['api'], signer });
  const handlers = server.handlers as Map<string, Handler>;
  for (const [name, handler] of authenticationHandlers(authenticator)) handlers.set(name, handler);
  handlers.set('serviceaccounts/token', serviceAccountToken(issuer));
  await client.create(ServiceAccount, { metadata: { namespace: 'ns', name: 'sa' } });
  await client.create(Secret, { metadata: { namespace: 'ns', name: 's' } });
  const ask = async (resource: string, body: unknown, more: object = {}, group = 'authentication.k8s.io') =>
    (
      (await client.do({ verb: 'create', group, version: 'v1', resource, options: {}, body, ...more })) as ObjectResult<
        KubeObject & { status: Record<string, unknown> }
      >
    ).object;
  const spec = { boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: 's' } };
  const request = await ask('serviceaccounts', { spec }, { namespace: 'ns', name: 'sa', subresource: 'token' }, '');
  expect(request).toMatchObject({ kind: 'TokenRequest', spec: { audiences: ['api'], expirationSeconds: 3600 } });
  const token = request.status['token'] as string;
  const review = async (asked: object) => (await ask('tokenreviews', { spec: { token, ...asked } })).status;
  expect(await review({})).toMatchObject({
    authenticated: true,
    audiences: ['api'],
    user: {
      username: 'system:serviceaccount:ns:sa',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:ns', 'system:authenticated'],
    },
  });
  expect(await review({ audiences: ['vault'] })).toMatchObject({
    authenticated: false,
    error: expect.stringContaining('audiences'),
  });
  await client.delete(Secret, { namespace: 'ns', name: 's' });
  expect(await review({})).toMatchObject({
    authenticated: false,
    error: '[invalid bearer token, service account token has been invalidated]',
  });
  const me = await ask('selfsubjectreviews', {});
  expect(me).toMatchObject({
    kind: 'SelfSubjectReview',
    status: { userInfo: { username: 'admin', groups: ['system:masters', 'system:authenticated'] } },
  });
  close();
});

test('base64url', () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  expect(fromBase64url(toBase64url(bytes))).toEqual(bytes);
  for (const bad of ['a', 'a+b', 'ab=']) expect(fromBase64url(bad)).toBeUndefined();
});
