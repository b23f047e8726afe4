// Every namespace has a ConfigMap `kube-root-ca.crt`: what pods check the API server's certificate with.

import { ConfigMap } from '../api/kinds/core/config-map.ts';
import { Namespace } from '../api/kinds/core/namespace.ts';
import { defineController, NOTHING, watch, type ControllerDefinition } from '../client/controller.ts';

const NAME = 'kube-root-ca.crt';
const ANNOTATIONS = {
  'kubernetes.io/description':
    'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.',
};

/** `certificates` is the CA bundle in PEM. */
export function rootCa(certificates: string): ControllerDefinition {
  return defineController({
    name: 'root-ca-cert-publisher',
    watches: [
      watch({ kind: Namespace, keys: 'self' }),
      watch({
        kind: ConfigMap,
        keys: (map, old) => ((map ?? old)!.metadata.name === NAME ? [(map ?? old)!.metadata.namespace!] : []),
      }),
    ],
    grants: [{ groups: [''], resources: ['configmaps'], verbs: ['create', 'update'] }],
    plan(namespace, view) {
      const found = view.of(Namespace).get(namespace);
      if (!found || found.metadata.deletionTimestamp) return NOTHING;
      const existing = view.of(ConfigMap).get(`${namespace}/${NAME}`);
      const data = { 'ca.crt': certificates };
      if (!existing) {
        const object = { metadata: { name: NAME, namespace, annotations: ANNOTATIONS }, data };
        return { actions: [{ do: 'create', kind: ConfigMap, object, ignore: ['AlreadyExists'] }] };
      }
      if (existing.data?.['ca.crt'] === certificates && Object.keys(existing.data).length === 1) return NOTHING;
      const { binaryData: _, ...rest } = existing;
      return { actions: [{ do: 'update', kind: ConfigMap, object: { ...rest, data } as ConfigMap }] };
    },
  });
}
