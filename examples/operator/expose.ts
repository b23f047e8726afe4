// A small operator: a Deployment annotated with `expose.example.com/port` gets a Service of its name on that port, which
// follows the annotation and goes with the Deployment.

import { Deployment, refOfKey, Service } from 'coracle';
import { controllerRef, defineController, NOTHING, watch, type Plan } from 'coracle/controller';

export const PORT = 'expose.example.com/port';

export const exposeOperator = defineController({
  name: 'expose-operator',
  primary: Deployment,
  watches: [watch({ kind: Deployment, keys: 'self' }), watch({ kind: Service, keys: 'controller' })],
  grants: [
    { groups: [''], resources: ['services'], verbs: ['create', 'patch', 'delete'] },
    { groups: [''], resources: ['events'], verbs: ['create', 'patch'] },
  ],
  /** What the cluster shows goes in, what is to be done comes out: nothing here waits, calls or remembers. */
  plan(key, view): Plan {
    const deployment = view.of(Deployment).get(key);
    if (!deployment || deployment.metadata.deletionTimestamp) return NOTHING;
    const { metadata, spec } = deployment;
    const service = view.of(Service).get(key);
    const own = service?.metadata.ownerReferences?.some((owner) => owner.uid === metadata.uid) ?? false;
    const wanted = metadata.annotations?.[PORT];

    if (wanted === undefined) {
      if (!own) return NOTHING;
      return { actions: [{ do: 'delete', kind: Service, ref: refOfKey(key), ignore: ['NotFound'] }] };
    }
    const port = Number(wanted);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      const message = `${PORT} is no port: ${wanted}`;
      return { actions: [{ do: 'event', event: { type: 'Warning', reason: 'InvalidPort', message } }] };
    }
    const ports = [{ port, protocol: 'TCP', targetPort: port }];
    if (!service) {
      const object = {
        metadata: {
          name: metadata.name,
          namespace: metadata.namespace!,
          ownerReferences: [controllerRef(deployment, Deployment)],
        },
        spec: { selector: spec.selector.matchLabels ?? {}, ports },
      };
      const message = `Exposed on port ${port}`;
      const done = () => ({ type: 'Normal', reason: 'Exposed', message, about: deployment }) as const;
      return { actions: [{ do: 'create', kind: Service, object, done }] };
    }
    if (!own || service.spec.ports?.[0]?.port === port) return NOTHING;
    return { actions: [{ do: 'patch', kind: Service, ref: refOfKey(key), type: 'merge', patch: { spec: { ports } } }] };
  },
});
