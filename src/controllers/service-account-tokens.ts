// Secrets of type kubernetes.io/service-account-token: filled with a token for the account they name, gone with it.
// https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets

import { Secret } from '../api/kinds/core/secret.ts';
import { ServiceAccount } from '../api/kinds/core/service-account.ts';
import { keyOf } from '../api/object.ts';
import { defineController, NOTHING, watch, type ControllerDefinition, type View } from '../client/controller.ts';

const TYPE = 'kubernetes.io/service-account-token';
const ACCOUNT_NAME = 'kubernetes.io/service-account.name';
const ACCOUNT_UID = 'kubernetes.io/service-account.uid';
const BY_ACCOUNT = 'service-account';

export interface SecretTokens {
  /** A token that is good as long as the Secret of this name exists. */
  token(account: ServiceAccount, secretName: string): string;
  /** The CA bundle in PEM. */
  readonly rootCa: string;
}

const accountOf = ({ type, metadata }: Secret): string | undefined => {
  const name = type === TYPE ? metadata.annotations?.[ACCOUNT_NAME] : undefined;
  return name ? `${metadata.namespace ?? ''}/${name}` : undefined;
};

export function serviceAccountTokens(tokens: SecretTokens): ControllerDefinition {
  return defineController({
    name: 'tokens-controller',
    watches: [
      watch({
        kind: Secret,
        keys: (secret) => (secret && accountOf(secret) ? [keyOf(secret)] : []),
        indexes: { [BY_ACCOUNT]: (secret) => [accountOf(secret) ?? []].flat() },
      }),
      watch({
        kind: ServiceAccount,
        keys: (account, old, view) => secretsOf(view, keyOf((account ?? old)!)),
      }),
    ],
    grants: [{ groups: [''], resources: ['secrets'], verbs: ['update', 'delete'] }],
    plan(key, view) {
      const secret = view.of(Secret).get(key);
      const accountKey = secret && accountOf(secret);
      if (!secret || !accountKey || secret.metadata.deletionTimestamp) return NOTHING;
      const account = view.of(ServiceAccount).get(accountKey);
      const { uid, resourceVersion } = secret.metadata;
      const claimed = secret.metadata.annotations?.[ACCOUNT_UID];
      if (!account || (claimed && claimed !== account.metadata.uid)) {
        const { namespace, name } = secret.metadata;
        const preconditions = { ...(uid ? { uid } : {}), ...(resourceVersion ? { resourceVersion } : {}) };
        const options = { preconditions };
        return {
          actions: [
            { do: 'delete', kind: Secret, ref: { namespace, name }, options, ignore: ['NotFound', 'Conflict'] },
          ],
        };
      }
      const filled = fill(secret, account, tokens);
      return filled ? { actions: [{ do: 'update', kind: Secret, object: filled }] } : NOTHING;
    },
  });
}

const secretsOf = (view: View, account: string): string[] => view.of(Secret).byIndex(BY_ACCOUNT, account).map(keyOf);

/** The Secret with what it lacks; undefined when it lacks nothing. */
function fill(secret: Secret, account: ServiceAccount, { token, rootCa }: SecretTokens): Secret | undefined {
  const { data = {}, metadata } = secret;
  const ca = btoa(rootCa);
  const namespace = btoa(metadata.namespace ?? '');
  const uid = account.metadata.uid;
  const same = data['ca.crt'] === ca && data['namespace'] === namespace && data['token'];
  if (same && metadata.annotations?.[ACCOUNT_UID] === uid) return undefined;
  return {
    ...secret,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [ACCOUNT_UID]: uid } },
    data: { ...data, 'ca.crt': ca, namespace, token: data['token'] || btoa(token(account, metadata.name)) },
  };
}
