// A small operator: a ConfigMap annotated `mirror.example.com/to: team-a,team-b` is copied into these namespaces. The copies
// follow it, and go when their namespace is no longer named or the ConfigMap is deleted: owner references do not reach
// into other namespaces, so a finalizer holds the ConfigMap until its copies are gone.

import { ConfigMap, keyOf, Namespace, type Client, type Env } from 'coracle';
import {
  addFinalizer,
  createInformerFactory,
  defineController,
  hasFinalizer,
  NOTHING,
  removeFinalizer,
  runController,
  runLeaderElection,
  watch,
  type Action,
  type Plan,
  type View,
} from 'coracle/controller';

export const TO = 'mirror.example.com/to';
/** On a copy: the key of what it copies. */
export const FROM = 'mirror.example.com/from';
export const FINALIZER = 'mirror.example.com/copies';

/** The namespaces that an object names, without its own. */
function targetsOf({ metadata }: ConfigMap): string[] {
  if (metadata.deletionTimestamp) return [];
  const names = (metadata.annotations?.[TO] ?? '').split(',').map((name) => name.trim());
  return [...new Set(names)].filter((name) => name !== '' && name !== metadata.namespace);
}

const sourceOf = ({ metadata }: ConfigMap) => metadata.annotations?.[FROM];

export const mirrorOperator = defineController({
  name: 'mirror-operator',
  primary: ConfigMap,
  watches: [
    watch({
      kind: ConfigMap,
      // Of a source its own key, of a copy its source's: a copy that somebody changes is put right.
      keys: (object, old) => [object, old].flatMap((o) => (o ? [sourceOf(o) ?? keyOf(o)] : [])),
      indexes: {
        source: (object) => [sourceOf(object)].filter((key) => key !== undefined),
        target: targetsOf,
      },
    }),
    watch({
      kind: Namespace,
      // A namespace that appears may have been waited for.
      keys: (object, old, view) =>
        view
          .of(ConfigMap)
          .byIndex('target', (object ?? old)!.metadata.name)
          .map(keyOf),
    }),
  ],
  grants: [
    { groups: [''], resources: ['configmaps'], verbs: ['create', 'update', 'patch', 'delete'] },
    { groups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
  ],
  /** What the cluster shows goes in, what is to be done comes out: nothing here waits, calls or remembers. */
  plan(key, view): Plan {
    const source = view.of(ConfigMap).get(key);
    const targets = source ? targetsOf(source) : [];
    const copies = view.of(ConfigMap).byIndex('source', key);
    const removals = copies.filter((copy) => !targets.includes(copy.metadata.namespace!)).map(remove);
    const held = source !== undefined && hasFinalizer(source, FINALIZER);
    if (!source || targets.length === 0) {
      if (removals.length === 0 && !held) return NOTHING;
      return { actions: [removals, ...(held ? [removeFinalizer(ConfigMap, source, FINALIZER)] : [])] };
    }
    const writes = targets.flatMap((namespace) => copyTo(namespace, source, view));
    // The finalizer comes first: a copy that nobody would remove must never be.
    return { actions: [...(held ? [] : [addFinalizer(ConfigMap, source, FINALIZER)]), removals, writes] };
  },
});

const remove = ({ metadata: { name, namespace, uid } }: ConfigMap): Action => ({
  do: 'delete',
  kind: ConfigMap,
  ref: { name, namespace },
  options: { preconditions: { uid } },
  ignore: ['NotFound', 'Conflict'],
});

function copyTo(namespace: string, source: ConfigMap, view: View): Action[] {
  const { name } = source.metadata;
  const warn = (reason: string, message: string): Action[] => [
    { do: 'event', event: { type: 'Warning', reason, message, about: source } },
  ];
  if (!view.of(Namespace).get(namespace)) return warn('NoSuchNamespace', `There is no namespace ${namespace}`);
  const { data, binaryData } = source;
  const content = { ...(data ? { data } : {}), ...(binaryData ? { binaryData } : {}) };
  const existing = view.of(ConfigMap).get(`${namespace}/${name}`);
  if (!existing) {
    const metadata = { name, namespace, annotations: { [FROM]: keyOf(source) } };
    const done = () =>
      ({ type: 'Normal', reason: 'Mirrored', message: `Copied to ${namespace}`, about: source }) as const;
    return [{ do: 'create', kind: ConfigMap, object: { metadata, ...content }, done }];
  }
  if (sourceOf(existing) !== keyOf(source)) return warn('Occupied', `${namespace} has a ConfigMap ${name} of its own`);
  if (sameContent(existing, source)) return [];
  const { data: _, binaryData: __, ...rest } = existing;
  return [{ do: 'update', kind: ConfigMap, object: { ...rest, ...content } }];
}

const contentOf = ({ data = {}, binaryData = {} }: ConfigMap) => JSON.stringify([data, binaryData].map(sorted));
const sorted = (map: Record<string, string>) => Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));
const sameContent = (a: ConfigMap, b: ConfigMap) => contentOf(a) === contentOf(b);

/**
 * Runs the operator until the signal aborts: of several copies one works, the others wait for its Lease `mirror-operator` in
 * `default`. The same call serves a real cluster (main.ts) and a test (mirror.test.ts). Rejects with LeadershipLost.
 */
export function runMirrorOperator(
  { client, env, identity }: { readonly client: Client; readonly env: Env; readonly identity: string },
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const lease = { client, env, namespace: 'default', name: mirrorOperator.name, identity, signal };
  return runLeaderElection(lease, (leading) => {
    const informers = createInformerFactory({ client, env }, leading);
    return runController(mirrorOperator, { client, env, informers }, leading);
  });
}
