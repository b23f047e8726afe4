// What has to hold once the storm is over: one value each. A check gives what is wrong, as text; it looks at the truth and
// asks nobody.

import { Deployment } from '../../src/api/kinds/apps/deployment.ts';
import { DaemonSet } from '../../src/api/kinds/apps/daemon-set.ts';
import { ReplicaSet } from '../../src/api/kinds/apps/replica-set.ts';
import { Endpoints } from '../../src/api/kinds/core/endpoints.ts';
import { Namespace } from '../../src/api/kinds/core/namespace.ts';
import { Node } from '../../src/api/kinds/core/node.ts';
import { Pod } from '../../src/api/kinds/core/pod.ts';
import { ReplicationController } from '../../src/api/kinds/core/replication-controller.ts';
import { Service } from '../../src/api/kinds/core/service.ts';
import { ServiceAccount } from '../../src/api/kinds/core/service-account.ts';
import { EndpointSlice } from '../../src/api/kinds/discovery/endpoint-slice.ts';
import type { AnyKind, Kind } from '../../src/api/kind.ts';
import { controllerOf, keyOf, type KubeObject } from '../../src/api/object.ts';
import { selectorFromLabels, selectorOf } from '../../src/api/selectors.ts';
import { nodes } from './components.ts';
import { prefixOf } from './truth.ts';
import { selects } from './watch-audit.ts';
import type { World } from './world.ts';

export interface Invariant {
  readonly name: string;
  check(world: World): readonly string[];
}

export const all = <T extends KubeObject>(world: World, kind: Kind<T>): T[] =>
  world.truth.objects<T>(prefixOf(kind.group, kind.plural));
export const everything = (world: World) =>
  world.truth
    .prefixes()
    .filter((p) => p !== prefixOf('', 'events'))
    .flatMap((p) => world.truth.objects(p));
export const isActive = ({ metadata, status }: Pod) =>
  !metadata.deletionTimestamp && status?.phase !== 'Failed' && status?.phase !== 'Succeeded';
const isReady = ({ metadata, status }: Pod) =>
  !metadata.deletionTimestamp && status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
const podsOf = (world: World, owner: KubeObject) =>
  all<Pod>(world, Pod).filter((pod) => isActive(pod) && controllerOf(pod)?.uid === owner.metadata.uid);

function counted(object: KubeObject, wanted: number, has: Readonly<Record<string, number | undefined>>): string[] {
  return Object.entries(has).flatMap(([name, n = 0]) =>
    n === wanted ? [] : [`${object.kind} ${keyOf(object)}: ${name} is ${n}, wanted ${wanted}`],
  );
}

function observed(object: KubeObject & { status?: { observedGeneration?: number } }): string[] {
  const { generation } = object.metadata;
  return object.status?.observedGeneration === generation
    ? []
    : [`${object.kind} ${keyOf(object)}: its last change was not seen`];
}

const deploymentsConverge: Invariant = {
  name: 'every Deployment is what it was asked to be',
  check: (world) =>
    all<Deployment>(world, Deployment).flatMap((deployment) => {
      const { spec, status = {} } = deployment;
      const { availableReplicas, updatedReplicas, replicas } = status;
      const sets = all<ReplicaSet>(world, ReplicaSet).filter((s) => controllerOf(s)?.uid === deployment.metadata.uid);
      const pods = sets.flatMap((set) => podsOf(world, set)).length;
      const serving = sets.filter((set) => set.spec.replicas !== 0).length;
      const kept = spec.revisionHistoryLimit ?? 10;
      return [
        ...observed(deployment),
        ...counted(deployment, spec.replicas ?? 1, { availableReplicas, updatedReplicas, replicas, pods }),
        ...(serving > 1 ? [`Deployment ${deployment.metadata.name}: ${serving} ReplicaSets have replicas`] : []),
        ...(sets.length > kept + 1
          ? [`Deployment ${deployment.metadata.name}: ${sets.length} ReplicaSets are kept`]
          : []),
      ];
    }),
};

const replicasConverge: Invariant = {
  name: 'every ReplicaSet and ReplicationController has its pods',
  check: (world) =>
    [...all<ReplicaSet>(world, ReplicaSet), ...all<ReplicationController>(world, ReplicationController)].flatMap(
      (set) => {
        const pods = podsOf(world, set);
        const { labels, matches } =
          'matchLabels' in (set.spec.selector ?? {})
            ? { labels: undefined, matches: selectorOf(set.spec.selector as never) }
            : { labels: set.spec.selector, matches: selectorFromLabels(set.spec.selector as never) };
        const stray = pods.filter((pod) => !matches.matches(pod.metadata.labels));
        const { replicas, readyReplicas, availableReplicas } = set.status ?? {};
        return [
          ...observed(set as KubeObject),
          ...counted(set, set.spec.replicas ?? 1, { pods: pods.length, replicas, readyReplicas, availableReplicas }),
          ...stray.map(
            (pod) => `pod ${pod.metadata.name} is owned against ${JSON.stringify(labels ?? set.spec.selector)}`,
          ),
        ];
      },
    ),
};

const daemonsConverge: Invariant = {
  name: 'every DaemonSet has one pod on each node, of its last template',
  check: (world) =>
    all<DaemonSet>(world, DaemonSet).flatMap((set) => {
      const pods = podsOf(world, set);
      const { numberReady, updatedNumberScheduled, desiredNumberScheduled, numberMisscheduled = 0 } = set.status ?? {};
      const on = new Set(pods.map((pod) => pod.spec.nodeName)).size;
      return [
        ...observed(set),
        ...counted(set, nodes.length, {
          pods: pods.length,
          nodes: on,
          numberReady,
          updatedNumberScheduled,
          desiredNumberScheduled,
        }),
        ...counted(set, 0, { numberMisscheduled }),
      ];
    }),
};

const podsRun: Invariant = {
  name: 'every pod runs, is ready, and has an address of its own',
  check(world) {
    const pods = all<Pod>(world, Pod).filter(isActive);
    const there = new Set(all<Node>(world, Node).map((node) => node.metadata.name));
    const addresses = new Map<string, string>();
    return pods.flatMap((pod) => {
      const { name } = pod.metadata;
      const address = pod.status?.podIP ?? '';
      const other = addresses.get(address);
      addresses.set(address, name);
      return [
        ...(isReady(pod)
          ? []
          : [`pod ${name} is not ready: ${pod.status?.phase} on ${pod.spec.nodeName ?? 'no node'}`]),
        ...(there.has(pod.spec.nodeName ?? '') ? [] : [`pod ${name} is on ${pod.spec.nodeName}, which is not there`]),
        ...(other ? [`pods ${name} and ${other} have the same address ${address}`] : []),
      ];
    });
  },
};

const nodesReady: Invariant = {
  name: 'every node is there, ready, untainted, with addresses of its own',
  check(world) {
    const known = all<Node>(world, Node);
    const missing = nodes.filter((name) => !known.some((node) => node.metadata.name === name));
    const blocks = known.map((node) => node.spec?.podCIDR ?? '');
    return [
      ...missing.map((name) => `${name} is not there`),
      ...known.flatMap(({ metadata: { name }, spec, status }) => {
        const ready = status?.conditions?.find((c) => c.type === 'Ready')?.status;
        const taints = (spec?.taints ?? []).map((t) => t.key);
        return [
          ...(ready === 'True' ? [] : [`${name} is not ready: ${ready}`]),
          ...(taints.length ? [`${name} is tainted: ${taints.join()}`] : []),
        ];
      }),
      ...(new Set(blocks).size === blocks.length ? [] : [`nodes share addresses: ${blocks.join()}`]),
    ];
  },
};

const garbageCollected: Invariant = {
  name: 'nothing outlives its owners',
  check(world) {
    const objects = everything(world);
    const uids = new Set(objects.map((object) => object.metadata.uid));
    return objects.flatMap(({ kind, metadata: { name, ownerReferences = [] } }) =>
      ownerReferences.length > 0 && !ownerReferences.some((owner) => uids.has(owner.uid))
        ? [`garbage: ${kind} ${name} outlived its ${ownerReferences[0]!.kind}`]
        : [],
    );
  },
};

const deletionsEnd: Invariant = {
  name: 'what is deleted goes, with its finalizers, and nothing is left in a namespace that is gone',
  check(world) {
    const spaces = new Set(all<Namespace>(world, Namespace).map((space) => space.metadata.name));
    return everything(world).flatMap(({ kind, metadata: { name, namespace, deletionTimestamp, finalizers } }) => [
      ...(deletionTimestamp
        ? [`${kind} ${name} is still being deleted, held by ${finalizers?.join() ?? 'nothing'}`]
        : []),
      ...(namespace === undefined || spaces.has(namespace)
        ? []
        : [`${kind} ${name} is in ${namespace}, which is gone`]),
    ]);
  },
};

const served = (world: World, kind: AnyKind, service: string) => {
  if (kind === (EndpointSlice as AnyKind))
    return all<EndpointSlice>(world, EndpointSlice)
      .filter((s) => s.metadata.labels?.['kubernetes.io/service-name'] === service)
      .flatMap((s) => (s.endpoints ?? []).filter((e) => e.conditions?.ready).flatMap((e) => e.addresses));
  const endpoints = all<Endpoints>(world, Endpoints).find((e) => e.metadata.name === service);
  return (endpoints?.subsets ?? []).flatMap((s) => (s.addresses ?? []).map((a) => a.ip));
};

const endpointsFollow: Invariant = {
  name: 'every Service has exactly its ready pods as endpoints, and an address of its own',
  check(world) {
    const services = all<Service>(world, Service).filter((service) => service.spec.selector);
    const addresses = new Set(services.map((service) => service.spec.clusterIP)).size;
    return [
      ...(addresses === services.length ? [] : ['two Services have the same address']),
      ...services.flatMap(({ metadata: { name }, spec: { selector } }) => {
        const pods = all<Pod>(world, Pod).filter(
          (p) => selectorFromLabels(selector).matches(p.metadata.labels) && isReady(p),
        );
        const ready = pods
          .map((p) => p.status?.podIP ?? '')
          .sort()
          .join();
        return [EndpointSlice, Endpoints].flatMap((kind) => {
          const has = served(world, kind as AnyKind, name)
            .sort()
            .join();
          return has === ready
            ? []
            : [`Service ${name}: ready are ${ready || 'none'}, its ${kind.kind} has ${has || 'none'}`];
        });
      }),
    ];
  },
};

const accountsThere: Invariant = {
  name: 'every namespace has its service account',
  check(world) {
    const accounts = new Set(all<ServiceAccount>(world, ServiceAccount).map(keyOf));
    return all<Namespace>(world, Namespace).flatMap(({ metadata: { name } }) =>
      accounts.has(`${name}/default`) ? [] : [`namespace ${name} has no default service account`],
    );
  },
};

const watchesTold: Invariant = {
  name: 'every watch has told the whole log',
  check: (world) => world.watches.tails(),
};

const cachesCurrent: Invariant = {
  name: 'every informer has exactly what there is of what it selects',
  check(world) {
    const views = world.processes.get('observer')?.views ?? [];
    const versions = (objects: readonly KubeObject[]) =>
      objects.map((o) => `${keyOf(o)} at ${o.metadata.resourceVersion}`).sort();
    return views.flatMap(({ kind, filter, informer }) => {
      const { namespace, ...options } = filter;
      const there = versions(all<KubeObject>(world, kind).filter(selects({ namespace, options })));
      const seen = versions(informer.list());
      const wrong = [...there.filter((v) => !seen.includes(v)), ...seen.filter((v) => !there.includes(v))];
      return wrong.length === 0
        ? []
        : [`an informer of ${kind.plural} ${JSON.stringify(filter)} is wrong about ${wrong[0]}`];
    });
  },
};

export const invariants: readonly Invariant[] = [
  deploymentsConverge,
  replicasConverge,
  daemonsConverge,
  podsRun,
  nodesReady,
  garbageCollected,
  deletionsEnd,
  endpointsFollow,
  accountsThere,
  watchesTold,
  cachesCurrent,
];
