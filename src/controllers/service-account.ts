// Every namespace has a ServiceAccount `default`.

import { Namespace } from '../api/kinds/core/namespace.ts';
import { ServiceAccount } from '../api/kinds/core/service-account.ts';
import { defineController, NOTHING, watch } from '../client/controller.ts';

export const serviceAccount = defineController({
  name: 'service-account-controller',
  watches: [
    watch({ kind: Namespace, keys: 'self' }),
    watch({ kind: ServiceAccount, keys: (account, old) => (account ? [] : [old!.metadata.namespace!]) }),
  ],
  grants: [{ groups: [''], resources: ['serviceaccounts'], verbs: ['create'] }],
  plan(namespace, view) {
    const found = view.of(Namespace).get(namespace);
    if (found?.status?.phase === 'Terminating' || !found || found.metadata.deletionTimestamp) return NOTHING;
    if (view.of(ServiceAccount).get(`${namespace}/default`)) return NOTHING;
    const object = { metadata: { name: 'default', namespace } };
    return { actions: [{ do: 'create', kind: ServiceAccount, object, ignore: ['AlreadyExists'] }] };
  },
});
