// What clients do, well or badly, one value each. Refusals are everyday life; what was acknowledged has to hold.

import { Deployment } from '../../src/api/kinds/apps/deployment.ts';
import { DaemonSet } from '../../src/api/kinds/apps/daemon-set.ts';
import { ReplicaSet } from '../../src/api/kinds/apps/replica-set.ts';
import { ConfigMap } from '../../src/api/kinds/core/config-map.ts';
import { Namespace } from '../../src/api/kinds/core/namespace.ts';
import { Node } from '../../src/api/kinds/core/node.ts';
import { Pod } from '../../src/api/kinds/core/pod.ts';
import { ReplicationController } from '../../src/api/kinds/core/replication-controller.ts';
import { Service } from '../../src/api/kinds/core/service.ts';
import type { Draft, KubeObject } from '../../src/api/object.ts';
import type { Propagation } from '../../src/api/op.ts';
import { nodes } from './components.ts';
import type { Deed, DeedKind, Draw } from './history.ts';
import { prefixOf } from './truth.ts';
import type { World } from './world.ts';

export interface Operation extends DeedKind {
  run(world: World, deed: Deed): Promise<unknown>;
}

export const NAMESPACE = 'default';
/** Held by clients, and let go when the storm is over. */
export const FINALIZER = 'example.com/hold';
const APPS = 2;
const appOf = (deed: Deed) => `app-${deed['app'] as number}`;
const refOf = (deed: Deed) => ({ namespace: NAMESPACE, name: appOf(deed) });
const app = (draw: Draw) => ({ app: draw.below(APPS) });
const PROPAGATION: readonly Propagation[] = ['Background', 'Background', 'Foreground', 'Orphan'];

function templateOf(name: string, image: number, cpu: string, late: boolean) {
  const readinessProbe = { httpGet: { path: '/', port: 80 }, initialDelaySeconds: 2 };
  const container = {
    name: 'c',
    image: `app:${image}`,
    resources: { requests: { cpu } },
    ...(late ? { readinessProbe } : {}),
  };
  return { metadata: { labels: { app: name } }, spec: { containers: [container], terminationGracePeriodSeconds: 5 } };
}

/** The n-th of what there is, if there is any: taken from the truth, so that a client always finds something to spoil. */
function nth<T extends KubeObject>(
  world: World,
  prefix: string,
  deed: Deed,
  fits: (object: T) => boolean = () => true,
): T | undefined {
  const all = world.truth
    .objects<T>(prefix)
    .filter((o) => (o.metadata.namespace ?? NAMESPACE) === NAMESPACE && fits(o));
  return all[(deed['n'] as number) % Math.max(1, all.length)];
}
const n = (draw: Draw) => ({ n: draw.below(1000) });
const PODS = prefixOf('', 'pods');
const NODES = prefixOf('', 'nodes');
const refTo = ({ metadata: { namespace, name } }: KubeObject) => ({ namespace, name });

const create: Operation = {
  name: 'create',
  weight: 3,
  draw: (draw) => ({
    ...app(draw),
    replicas: draw.of([0, 1, 2, 2, 3, 5]),
    surge: draw.of(['25%', '1', '0', '100%']),
    unavailable: draw.of(['25%', '1', '2']),
    cpu: draw.of(['100m', '400m', '800m']),
    late: draw.chance(0.3),
    minReady: draw.of([0, 0, 5]),
    recreate: draw.chance(0.15),
  }),
  async run({ user }, deed) {
    const value = (key: string) => (/%/.test(deed[key] as string) ? deed[key] : Number(deed[key]));
    const rollingUpdate = { maxSurge: value('surge'), maxUnavailable: value('unavailable') };
    await user.create(Deployment, {
      metadata: refOf(deed),
      spec: {
        replicas: deed['replicas'] as number,
        selector: { matchLabels: { app: appOf(deed) } },
        minReadySeconds: deed['minReady'] as number,
        strategy: deed['recreate'] ? { type: 'Recreate' } : { type: 'RollingUpdate', rollingUpdate },
        template: templateOf(appOf(deed), 0, deed['cpu'] as string, deed['late'] as boolean),
      },
    } as unknown as Draft<Deployment>);
    const spec = { selector: { app: appOf(deed) }, ports: [{ port: 80 }] };
    await user.create(Service, { metadata: refOf(deed), spec } as Draft<Service>);
  },
};

const scale: Operation = {
  name: 'scale',
  weight: 5,
  draw: (draw) => ({ ...app(draw), replicas: draw.below(6) }),
  run: ({ user }, deed) => user.patch(Deployment, refOf(deed), 'merge', { spec: { replicas: deed['replicas'] } }),
};

const rollout: Operation = {
  name: 'rollout',
  weight: 5,
  draw: (draw) => ({ ...app(draw), image: draw.below(4) }),
  run: ({ user }, deed) => {
    const containers = [{ name: 'c', image: `app:${deed['image'] as number}` }];
    return user.patch(Deployment, refOf(deed), 'strategic', { spec: { template: { spec: { containers } } } });
  },
};

const pauseRollout: Operation = {
  name: 'pauseRollout',
  draw: (draw) => ({ ...app(draw), paused: draw.chance(0.5) }),
  run: ({ user }, deed) => user.patch(Deployment, refOf(deed), 'merge', { spec: { paused: deed['paused'] } }),
};

const remove: Operation = {
  name: 'remove',
  weight: 2,
  draw: (draw) => ({ ...app(draw), propagation: draw.of(PROPAGATION) }),
  run: ({ user }, deed) =>
    user.delete(Deployment, refOf(deed), { propagationPolicy: deed['propagation'] as Propagation }),
};

/** Deleted and made again under the same name, in the middle of whatever is going on. */
const recreate: Operation = {
  name: 'recreate',
  weight: 2,
  draw: (draw) => ({ ...app(draw), propagation: draw.of(PROPAGATION), replicas: draw.below(4) }),
  async run(world, deed) {
    await remove.run(world, deed);
    await create.run(world, {
      ...deed,
      surge: '25%',
      unavailable: '25%',
      cpu: '100m',
      late: false,
      minReady: 0,
      recreate: false,
    });
  },
};

const removePod: Operation = {
  name: 'removePod',
  weight: 3,
  draw: (draw) => ({ ...n(draw), grace: draw.of([-1, 0, 1]) }),
  async run(world, deed) {
    const pod = nth(world, PODS, deed);
    const grace = deed['grace'] as number;
    if (pod) await world.user.delete(Pod, refTo(pod), grace < 0 ? {} : { gracePeriodSeconds: grace });
  },
};

const removeReplicaSet: Operation = {
  name: 'removeReplicaSet',
  draw: (draw) => ({ ...n(draw), propagation: draw.of(PROPAGATION) }),
  async run(world, deed) {
    const set = nth(world, prefixOf('apps', 'replicasets'), deed);
    if (set) await world.user.delete(ReplicaSet, refTo(set), { propagationPolicy: deed['propagation'] as Propagation });
  },
};

/** Takes a pod away from its owner, or gives it back. */
const flipLabel: Operation = {
  name: 'flipLabel',
  weight: 2,
  draw: (draw) => ({ ...n(draw), ...app(draw) }),
  async run(world, deed) {
    const pod = nth(world, PODS, deed);
    const now = pod?.metadata.labels?.['app'];
    const to = now === 'stray' ? appOf(deed) : 'stray';
    if (pod) await world.user.patch(Pod, refTo(pod), 'merge', { metadata: { labels: { app: to } } });
  },
};

const flipService: Operation = {
  name: 'flipService',
  draw: (draw) => ({ ...app(draw), to: draw.below(APPS) }),
  run: ({ user }, deed) =>
    user.patch(Service, refOf(deed), 'merge', { spec: { selector: { app: `app-${deed['to'] as number}` } } }),
};

const hold: Operation = {
  name: 'hold',
  weight: 2,
  draw: (draw) => ({ ...n(draw), kind: draw.of(['pod', 'deployment', 'replicaset']) }),
  async run(world, deed) {
    const patch = { metadata: { finalizers: [FINALIZER] } };
    const kinds = { pod: Pod, deployment: Deployment, replicaset: ReplicaSet } as const;
    const kind = kinds[deed['kind'] as keyof typeof kinds] as typeof Pod;
    const object = nth(world, prefixOf(kind.group, kind.plural), deed);
    if (object) await world.user.patch(kind, refTo(object), 'merge', patch);
  },
};

/** A write from yesterday: it must be refused. */
const staleWrite: Operation = {
  name: 'staleWrite',
  weight: 2,
  draw: (draw) => ({ ...app(draw), ...n(draw), ms: draw.of([0, 100, 3000]) }),
  async run(world, deed) {
    const { user, clock } = world;
    const read = await user.get(Deployment, refOf(deed));
    await new Promise<void>((resolve) => clock.setTimer(deed['ms'] as number, resolve));
    await user.patch(Deployment, refOf(deed), 'merge', {
      metadata: { annotations: { touched: `${clock.now()} ${deed['n'] as number}` } },
    });
    await user.update(Deployment, { ...read, spec: { ...read.spec, replicas: 1 } });
    world.violations.push(`a write of ${appOf(deed)} at ${read.metadata.resourceVersion} was accepted after another`);
  },
};

const note: Operation = {
  name: 'note',
  weight: 2,
  draw: (draw) => ({ ...n(draw), value: draw.below(1000) }),
  run: ({ user }, deed) => {
    const metadata = { namespace: NAMESPACE, name: `note-${(deed['n'] as number) % 3}` };
    return user.apply(ConfigMap, { metadata, data: { value: String(deed['value']) } }, { force: true });
  },
};

/** An object whose owner is there, or never was. */
const dependent: Operation = {
  name: 'dependent',
  weight: 2,
  draw: (draw) => ({ ...app(draw), ...n(draw), owned: draw.chance(0.6) }),
  async run({ user }, deed) {
    const owner = deed['owned'] ? await user.get(Deployment, refOf(deed)) : undefined;
    const uid = owner?.metadata.uid ?? '00000000-0000-4000-8000-000000000000';
    const ownerReferences = [
      { apiVersion: 'apps/v1', kind: 'Deployment', name: appOf(deed), uid, blockOwnerDeletion: true },
    ];
    const metadata = { namespace: NAMESPACE, name: `dependent-${deed['n'] as number}`, ownerReferences };
    await user.create(ConfigMap, { metadata });
  },
};

const cordon: Operation = {
  name: 'cordon',
  draw: (draw) => ({ node: draw.of(nodes), on: draw.chance(0.6) }),
  run: ({ user }, deed) =>
    user.patch(Node, { name: deed['node'] as string }, 'merge', { spec: { unschedulable: deed['on'] } }),
};

const removeNode: Operation = {
  name: 'removeNode',
  draw: n,
  async run(world, deed) {
    const node = nth(world, NODES, deed);
    if (node) await world.user.delete(Node, { name: node.metadata.name });
  },
};

const daemons: Operation = {
  name: 'daemons',
  weight: 2,
  draw: (draw) => ({ what: draw.of(['create', 'create', 'update', 'remove']), image: draw.below(3) }),
  async run({ user }, deed) {
    const ref = { namespace: NAMESPACE, name: 'daemon' };
    const template = templateOf('daemon', deed['image'] as number, '100m', false);
    if (deed['what'] === 'remove') await user.delete(DaemonSet, ref);
    else if (deed['what'] === 'update') await user.patch(DaemonSet, ref, 'merge', { spec: { template } });
    else {
      const spec = { selector: { matchLabels: { app: 'daemon' } }, template };
      await user.create(DaemonSet, { metadata: ref, spec } as unknown as Draft<DaemonSet>);
    }
  },
};

const oldFashioned: Operation = {
  name: 'oldFashioned',
  draw: (draw) => ({ what: draw.of(['create', 'scale', 'remove']), replicas: draw.below(4) }),
  async run({ user }, deed) {
    const ref = { namespace: NAMESPACE, name: 'old' };
    if (deed['what'] === 'remove') await user.delete(ReplicationController, ref);
    else if (deed['what'] === 'scale')
      await user.patch(ReplicationController, ref, 'merge', { spec: { replicas: deed['replicas'] } });
    else {
      const spec = {
        replicas: deed['replicas'],
        selector: { app: 'old' },
        template: templateOf('old', 0, '100m', false),
      };
      await user.create(ReplicationController, { metadata: ref, spec } as unknown as Draft<ReplicationController>);
    }
  },
};

/** A namespace with something in it, and its end. */
const namespaces: Operation = {
  name: 'namespaces',
  draw: (draw) => ({ what: draw.of(['create', 'create', 'remove']) }),
  async run({ user }, deed) {
    const name = 'tenant';
    if (deed['what'] === 'remove') return user.delete(Namespace, { name });
    await user.create(Namespace, { metadata: { name } } as Draft<Namespace>).catch((error: { reason?: string }) => {
      if (error.reason !== 'AlreadyExists') throw error;
    });
    await user.create(ConfigMap, { metadata: { namespace: name, name: 'thing' } });
    const spec = { replicas: 1, selector: { matchLabels: { app: 't' } }, template: templateOf('t', 0, '100m', false) };
    return user.create(Deployment, {
      metadata: { namespace: name, name: 'work' },
      spec,
    } as unknown as Draft<Deployment>);
  },
};

/** Too large, or merely large. */
const hugePatch: Operation = {
  name: 'hugePatch',
  draw: (draw) => ({ ...app(draw), kilobytes: draw.of([100, 300]) }),
  async run(world, deed) {
    const text = 'x'.repeat((deed['kilobytes'] as number) * 1024);
    await world.user.patch(Deployment, refOf(deed), 'merge', { metadata: { annotations: { text } } });
    if ((deed['kilobytes'] as number) > 256) world.violations.push('annotations of more than 256 KiB were accepted');
    await world.user.patch(Deployment, refOf(deed), 'merge', { metadata: { annotations: { text: null } } });
  },
};

const invalid: Operation = {
  name: 'invalid',
  draw: (draw) => ({ ...app(draw), how: draw.below(3) }),
  async run(world, deed) {
    const patches = [
      { spec: { replicas: -1 } },
      { spec: { selector: { matchLabels: { app: 'another' } } } },
      { spec: { template: { metadata: { labels: { app: 'another' } } } } },
    ];
    await world.user.patch(Deployment, refOf(deed), 'merge', patches[deed['how'] as number]);
    world.violations.push(`an invalid patch of ${appOf(deed)} was accepted`);
  },
};

/** The first one begins every history. */
export const operations: readonly Operation[] = [
  create,
  scale,
  rollout,
  pauseRollout,
  remove,
  recreate,
  removePod,
  removeReplicaSet,
  flipLabel,
  flipService,
  hold,
  staleWrite,
  note,
  dependent,
  cordon,
  removeNode,
  daemons,
  oldFashioned,
  namespaces,
  hugePatch,
  invalid,
];
