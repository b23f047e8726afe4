// Who may use a node's own endpoint: the control plane by its certificate, others by certificate or token as far as the
// API server lets them use the node's subresources. What it says is remembered for as long as upstream's kubelet does.
// https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/

import type { UserInfo } from '../api/op.ts';
import { SubjectAccessReview } from '../api/kinds/authorization/subject-access-review.ts';
import { TokenReview } from '../api/kinds/authentication/token-review.ts';
import type { Draft } from '../api/object.ts';
import type { Env } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import type { HttpExchange } from '../server/http-exchange.ts';

/** Why a request may not be answered. */
export interface Denial {
  readonly status: 401 | 403 | 500;
  readonly text: string;
}

/** Undefined for a request that may be answered. */
export type NodeAccess = (exchange: HttpExchange) => Promise<Denial | undefined>;

export interface NodeAccessOptions {
  readonly env: Pick<Env, 'clock' | 'log'>;
  readonly nodeName: string;
  /** The kubelet's. Without it only the control plane gets in. */
  readonly client?: Pick<Client, 'create'>;
}

/** Groups that may do everything: asking would be asking the asker. */
const CONTROL_PLANE = new Set(['system:masters', 'kubeadm:cluster-admins']);
const MINUTE = 60_000;
/** Milliseconds. */
const TOKEN_LIFE = 2 * MINUTE;
export const ALLOWED_LIFE = 5 * MINUTE;
export const DENIED_LIFE = MINUTE / 2;
const UNAUTHORIZED: Denial = { status: 401, text: 'Unauthorized' };

/** Answers of the API server by what was asked; the oldest go first when there are many. */
export class Remembered<T> {
  readonly #clock: Env['clock'];
  readonly #values = new Map<string, { readonly value: T; readonly until: number }>();

  constructor(clock: Env['clock']) {
    this.#clock = clock;
  }

  async get(key: string, ask: () => Promise<{ readonly value: T; readonly life: number }>): Promise<T> {
    const known = this.#values.get(key);
    if (known && known.until > this.#clock.monotonic()) return known.value;
    const { value, life } = await ask();
    this.#values.delete(key);
    this.#values.set(key, { value, until: this.#clock.monotonic() + life });
    if (this.#values.size > 1000) this.#values.delete(this.#values.keys().next().value!);
    return value;
  }
}

export function nodeAccess(options: NodeAccessOptions): NodeAccess {
  const { client, env, nodeName } = options;
  const users = new Remembered<UserInfo | undefined>(env.clock);
  const decisions = new Remembered<boolean>(env.clock);
  return async (exchange) => {
    try {
      const user = await userOf(exchange, client, users);
      if (!user) return UNAUTHORIZED;
      if (user.groups.some((group) => CONTROL_PLANE.has(group))) return undefined;
      const verb = VERBS[exchange.method] ?? exchange.method.toLowerCase();
      const subresource = subresourceOf(exchange.path);
      const allowed = client && (await mayUse(client, decisions, { user, verb, nodeName, subresource }));
      if (allowed) return undefined;
      const about = `user=${user.name}, verb=${verb}, resource=nodes, subresource(s)=[${subresource}]`;
      return { status: 403, text: `Forbidden (${about})\n` };
    } catch (error) {
      env.log.error('the API server could not be asked about a request', { error: (error as Error).message });
      return { status: 500, text: 'Internal Error\n' };
    }
  };
}

/** Who a request comes from, by its certificate or, as the API server says, its token; undefined for nobody. */
export async function userOf(
  exchange: HttpExchange,
  client: NodeAccessOptions['client'],
  users: Remembered<UserInfo | undefined>,
): Promise<UserInfo | undefined> {
  const { certificate } = exchange.peer;
  if (certificate === 'unverified' || certificate === 'outdated') return undefined;
  if (certificate)
    return { name: certificate.commonName, groups: [...certificate.organizations, 'system:authenticated'] };
  const token = /^bearer +(\S+)$/i.exec(exchange.headers['authorization']?.trim() ?? '')?.[1];
  if (!token || !client) return undefined;
  return users.get(token, async () => {
    const review = await client.create(TokenReview, { metadata: {}, spec: { token } } as Draft<TokenReview>);
    const { authenticated, user } = review.status ?? {};
    const value = authenticated && user?.username ? infoOf(user) : undefined;
    return { value, life: TOKEN_LIFE };
  });
}

function infoOf(user: NonNullable<NonNullable<TokenReview['status']>['user']>): UserInfo {
  const { username = '', uid, groups = [], extra } = user;
  return { name: username, groups, ...(uid ? { uid } : {}), ...(extra ? { extra } : {}) };
}

const VERBS: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

function subresourceOf(path: string): string {
  const first = path.split('/')[1] ?? '';
  if (first === 'stats' || first === 'metrics' || first === 'healthz' || first === 'configz') return first;
  if (first === 'logs') return 'log';
  return first === 'pods' || first === 'runningpods' ? 'pods' : 'proxy';
}

interface Attributes {
  readonly user: UserInfo;
  readonly verb: string;
  readonly nodeName: string;
  readonly subresource: string;
}

async function mayUse(
  client: Pick<Client, 'create'>,
  decisions: Remembered<boolean>,
  attributes: Attributes,
): Promise<boolean> {
  const { user, verb, nodeName, subresource } = attributes;
  const ask = (part: string) =>
    decisions.get(JSON.stringify([user, verb, part]), async () => {
      const resourceAttributes = { verb, version: 'v1', resource: 'nodes', subresource: part, name: nodeName };
      const { name, uid, groups, extra } = user;
      const spec = { user: name, uid, groups, extra, resourceAttributes };
      const review = await client.create(SubjectAccessReview, {
        metadata: {},
        spec,
      } as unknown as Draft<SubjectAccessReview>);
      const value = review.status?.allowed === true;
      return { value, life: value ? ALLOWED_LIFE : DENIED_LIFE };
    });
  if (await ask(subresource)) return true;
  // Permission for everything covers the parts that have been given names of their own.
  return FINE_GRAINED.has(subresource) && ask('proxy');
}

const FINE_GRAINED = new Set(['healthz', 'configz', 'pods']);
