import { describe, expect, it } from 'vitest';
import { ReplicaSet } from '../api/kinds/apps/replica-set.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import type { KubeObject } from '../api/object.ts';
import type { Action, Plan } from '../client/controller.ts';
import { staticView } from '../client/static-view.ts';
import { replicaSetController } from './replica-set.ts';

const NOW = Date.UTC(2026, 0, 2);
const set = (replicas: number, extra: object = {}, status: object = { replicas: 0 }): KubeObject =>
  ({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: 'web', namespace: 'a', uid: 'set', generation: 2, ...extra },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [] } },
    },
    status,
  }) as unknown as KubeObject;
interface Shape {
  app?: string;
  owner?: string | null;
  phase?: string;
  deleted?: boolean;
}
const pod = (name: string, { app = 'web', owner = 'set', phase = 'Running', deleted }: Shape = {}): KubeObject =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'a',
      uid: name,
      labels: { app },
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(owner
        ? {
            ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: owner, controller: true }],
          }
        : {}),
      ...(deleted ? { deletionTimestamp: 'x' } : {}),
    },
    spec: {},
    status: { phase },
  }) as unknown as KubeObject;

const plan = (...objects: KubeObject[]): Plan =>
  replicaSetController.plan!('a/web', staticView(replicaSetController, objects), NOW);
const one = (action: Action): string => {
  if (action.do === 'patch') return `patch ${action.ref.name} ${JSON.stringify((action.patch as KubeObject).metadata)}`;
  if (action.do === 'update') return `status ${JSON.stringify((action.object as ReplicaSet).status)}`;
  return action.do === 'delete' ? `delete ${action.ref.name}` : action.do;
};
const show = ({ actions }: Plan) =>
  actions.flatMap((a) => (Array.isArray(a) ? [`[${a.map(one).join(', ')}]`] : [one(a as Action)]));

describe('the plan of a ReplicaSet', () => {
  it('creates what is missing, in one array for a slow start', () => {
    expect(show(plan(set(3), pod('a')))).toEqual([
      '[create, create]',
      'status {"replicas":1,"fullyLabeledReplicas":1,"terminatingReplicas":0,"observedGeneration":2}',
    ]);
  });

  it('counts neither finished pods nor those on their way out, and replaces them', () => {
    const pods = [pod('a', { phase: 'Failed' }), pod('b', { phase: 'Succeeded' }), pod('c', { deleted: true })];
    const { actions } = plan(set(1), ...pods);
    expect(show({ actions })).toEqual([
      '[create]',
      'status {"replicas":0,"terminatingReplicas":1,"observedGeneration":2}',
    ]);
  });

  it('writes nothing when nothing is to be written', () => {
    const status = { replicas: 1, fullyLabeledReplicas: 1, terminatingReplicas: 0, observedGeneration: 2 };
    expect(plan(set(1, {}, status), pod('a')).actions).toEqual([]);
    expect(plan().actions).toEqual([]);
  });

  it('asks the server about itself before it adopts', () => {
    expect(show(plan(set(1), pod('orphan', { owner: null }))).slice(0, 2)).toEqual([
      'confirm',
      '[patch orphan {"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web","uid":"set",' +
        '"controller":true,"blockOwnerDeletion":true}],"uid":"orphan"}]',
    ]);
  });

  it("adopts nothing that is finished, leaving, labelled otherwise or another's", () => {
    const pods = [
      pod('a', { owner: null, phase: 'Failed' }),
      pod('b', { owner: null, deleted: true }),
      pod('c', { owner: null, app: 'other' }),
      pod('d', { owner: 'somebody' }),
    ];
    expect(show(plan(set(0), ...pods)).filter((a) => !a.startsWith('status'))).toEqual([]);
  });

  it('releases what does not match any more', () => {
    expect(show(plan(set(1), pod('a', { app: 'other' })))[0]).toBe(
      '[patch a {"ownerReferences":[{"$patch":"delete","uid":"set"}],"uid":"a"}]',
    );
  });

  it('deletes the surplus, each pod by its UID', () => {
    const { actions } = plan(set(0), pod('a'), pod('b'));
    expect(show({ actions })[0]).toBe('[delete a, delete b]');
    expect((actions[0] as Action[])[0]).toMatchObject({
      options: { preconditions: { uid: 'a' } },
      ignore: ['NotFound'],
    });
  });

  it('only counts when it is itself on its way out', () => {
    const leaving = set(3, { deletionTimestamp: 'x' });
    expect(show(plan(leaving, pod('a'), pod('o', { owner: null })))).toEqual([
      'status {"replicas":1,"fullyLabeledReplicas":1,"terminatingReplicas":0,"observedGeneration":2}',
    ]);
  });

  it('tells of a failure in a condition, once, and takes it back', () => {
    const status = { replicas: 0, terminatingReplicas: 0, observedGeneration: 2 };
    const failing = plan(set(1, {}, status));
    const create = (failing.actions[0] as Action[])[0]!;
    const told = failing.failed!(new Error('quota'), create);
    const condition = {
      type: 'ReplicaFailure',
      status: 'True',
      lastTransitionTime: '2026-01-02T00:00:00Z',
      reason: 'FailedCreate',
      message: 'quota',
    };
    expect(told).toMatchObject([
      { do: 'update', subresource: 'status', object: { status: { conditions: [condition] } } },
    ]);
    const again = plan(set(1, {}, { ...status, conditions: [condition] }));
    expect(again.failed!(new Error('still'), (again.actions[0] as Action[])[0]!)).toEqual([]);
    expect(show(again)[1]).toBe('status {"replicas":0,"terminatingReplicas":0,"observedGeneration":2}');
  });

  it('makes at most 500 pods at once, and rests when it has thousands', () => {
    expect((plan(set(2000)).actions[0] as Action[]).length).toBe(500);
    expect(plan(set(1), pod('a')).rest).toBeUndefined();
    expect(plan(set(1), ...Array.from({ length: 1000 }, (_, i) => pod(`p${i}`))).rest).toBe(100);
  });

  it('knows which pods concern whom', () => {
    const podWatch = replicaSetController.watches.find((w) => w.kind === Pod)!;
    const view = staticView(replicaSetController, [set(1)]);
    const keys = (object?: KubeObject, old?: KubeObject) =>
      typeof podWatch.keys === 'function' ? podWatch.keys(object, old, view) : [];
    expect(keys(pod('a'))).toEqual(['a/web']);
    expect(keys(undefined, pod('a'))).toEqual(['a/web']);
    expect(keys(pod('a', { owner: null }), pod('a'))).toEqual(['a/web', 'a/web']);
    expect(keys(pod('a', { owner: null }))).toEqual(['a/web']);
    expect(keys(pod('a', { owner: null }), pod('a', { owner: null }))).toEqual([]);
    expect(keys(pod('a', { owner: null, app: 'other' }))).toEqual([]);
  });
});
