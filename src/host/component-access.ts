// Who may look at a component: anybody at its health, others as far as the API server lets them get the path, as upstream's
// components delegate it. https://kubernetes.io/docs/reference/access-authn-authz/webhook/

import { SubjectAccessReview } from '../api/kinds/authorization/subject-access-review.ts';
import type { Draft } from '../api/object.ts';
import type { UserInfo } from '../api/op.ts';
import type { Env } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import { ALLOWED_LIFE, DENIED_LIFE, Remembered, userOf, type NodeAccess } from './node-access.ts';

const ALWAYS = /^\/(healthz|livez|readyz)(\/|$)/;
const ANONYMOUS: UserInfo = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

/** `client` is the component's own: it asks the API server. */
export function componentAccess(env: Env, client: Pick<Client, 'create'>): NodeAccess {
  const users = new Remembered<UserInfo | undefined>(env.clock);
  const decisions = new Remembered<boolean>(env.clock);
  return async (exchange) => {
    const { path } = exchange;
    if (ALWAYS.test(path)) return undefined;
    try {
      const user = await userOf(exchange, client, users);
      if (!user && (exchange.headers['authorization'] || exchange.peer.certificate))
        return { status: 401, text: 'Unauthorized' };
      const { name, uid, groups, extra } = user ?? ANONYMOUS;
      if (groups.includes('system:masters')) return undefined;
      const verb = exchange.method.toLowerCase();
      const allowed = await decisions.get(JSON.stringify([name, groups, verb, path]), async () => {
        const spec = { user: name, uid, groups, extra, nonResourceAttributes: { verb, path } };
        const draft = { metadata: {}, spec } as unknown as Draft<SubjectAccessReview>;
        const value = (await client.create(SubjectAccessReview, draft)).status?.allowed === true;
        return { value, life: value ? ALLOWED_LIFE : DENIED_LIFE };
      });
      if (allowed) return undefined;
      return {
        status: 403,
        text: `forbidden: User ${JSON.stringify(name)} cannot ${verb} path ${JSON.stringify(path)}\n`,
      };
    } catch (error) {
      env.log.error('the API server could not be asked about a request', { error: (error as Error).message });
      return { status: 500, text: 'Internal Error\n' };
    }
  };
}
