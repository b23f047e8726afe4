// Deployment: declares pods by template and moves from one template to the next through ReplicaSets.
// https://kubernetes.io/docs/concepts/workloads/controllers/deployment/

import { isReason } from '../api/errors.ts';
import type { DeploymentCondition, DeploymentStatus } from '../api/generated/apps-v1.ts';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { ReplicaSet } from '../api/kinds/apps/replica-set.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { controllerOf, keyOf, type Draft, type KubeObject } from '../api/object.ts';
import { selectorOf, SelectorError, type Selector } from '../api/selectors.ts';
import { defineController, NOTHING, watch, type Action, type Plan, type View } from '../client/controller.ts';
import { controllerKey } from '../client/controller-runtime.ts';
import { BY_CONTROLLER } from '../client/informer.ts';
import { claim } from './claims.ts';
import { currentSize, growCurrent, isRolling, limitsOf, resize, shrinkOld, type Sizes } from './deployment-scale.ts';
import * as sets from './deployment-sets.ts';
import * as status from './deployment-status.ts';
import { claimKeys, isTerminal, ORPHANS, orphanIndex } from './pod-state.ts';
import { sameValue } from './same-value.ts';

export const deploymentController = defineController({
  name: 'deployment-controller',
  primary: Deployment,
  watches: [
    watch({ kind: Deployment, keys: 'self' }),
    watch({ kind: ReplicaSet, keys: claimKeys(Deployment, selectorOfDeployment), indexes: orphanIndex }),
    watch({ kind: Pod, keys: podKeys }),
  ],
  grants: [
    { groups: ['apps'], resources: ['deployments'], verbs: ['get', 'list', 'update', 'watch'] },
    { groups: ['apps'], resources: ['deployments/status'], verbs: ['update'] },
    { groups: ['apps'], resources: ['deployments/finalizers'], verbs: ['update'] },
    {
      groups: ['apps'],
      resources: ['replicasets'],
      verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
    },
    { groups: [''], resources: ['pods'], verbs: ['get', 'list', 'update', 'watch'] },
  ],
  plan: planDeployment,
});

/** Only the end of a pod matters here, and only to a Recreate that waits for it. */
function podKeys(object: Pod | undefined, old: Pod | undefined, view: View): readonly string[] {
  const set = !object && old && controllerKey(old, ReplicaSet);
  const owner = set ? view.of(ReplicaSet).get(set) : undefined;
  const key = owner && controllerKey(owner, Deployment);
  const deployment = key ? view.of(Deployment).get(key) : undefined;
  return deployment?.spec.strategy?.type === 'Recreate' ? [key!] : [];
}

function selectorOfDeployment(deployment: Deployment): Selector | undefined {
  try {
    return selectorOf(deployment.spec.selector);
  } catch (error) {
    if (error instanceof SelectorError) return undefined;
    throw error;
  }
}

function planDeployment(key: string, view: View, now: number): Plan {
  const deployment = view.of(Deployment).get(key);
  const selector = deployment && selectorOfDeployment(deployment);
  if (!deployment || !selector) return NOTHING;
  if (selector.isEmpty) return selectsAll(deployment);
  const { uid, namespace } = deployment.metadata;
  const replicaSets = view.of(ReplicaSet);
  const candidates = [...replicaSets.byIndex(BY_CONTROLLER, uid), ...replicaSets.byIndex(ORPHANS, namespace ?? '')];
  const { claimed, actions } = claim(deployment, Deployment, ReplicaSet, selector, candidates);
  // What has just changed hands is planned for once the cache shows it.
  if (actions.length) return { actions };
  return new Rollout(deployment, claimed, view, now).plan();
}

function selectsAll(deployment: Deployment): Plan {
  const { generation } = deployment.metadata;
  const message = 'This deployment is selecting all pods. A non-empty selector is required.';
  const event: Action = { do: 'event', event: { type: 'Warning', reason: 'SelectingAll', message } };
  if ((deployment.status?.observedGeneration ?? 0) >= (generation ?? 0)) return { actions: [event] };
  const status = { ...deployment.status, ...(generation ? { observedGeneration: generation } : {}) };
  const observed: Deployment = { ...deployment, status };
  return { actions: [event, { do: 'update', kind: Deployment, object: observed, subresource: 'status' }] };
}

/** One look at a Deployment and its sets. The fields gather what is to be written; `plan` turns them into actions. */
class Rollout {
  readonly #deployment: Deployment;
  /** The set of the present template, from the cache or about to be created. */
  #current: ReplicaSet | undefined;
  #creates = false;
  readonly #old: readonly ReplicaSet[];
  readonly #view: View;
  readonly #now: number;
  #conditions: readonly DeploymentCondition[];
  #currentAnnotations: Readonly<Record<string, string>> = {};
  #sizes: Sizes = new Map();
  #deletes: readonly ReplicaSet[] = [];

  constructor(deployment: Deployment, claimed: readonly ReplicaSet[], view: View, now: number) {
    this.#deployment = deployment;
    this.#current = sets.currentSet(deployment, claimed);
    this.#old = claimed.filter((set) => set !== this.#current);
    this.#view = view;
    this.#now = now;
    this.#conditions = deployment.status?.conditions ?? [];
  }

  get #all(): readonly ReplicaSet[] {
    return this.#current ? [...this.#old, this.#current] : this.#old;
  }

  plan(): Plan {
    const deployment = this.#deployment;
    if (deployment.metadata.deletionTimestamp !== undefined) return this.#result(this.#counted());
    this.#conditions = status.pauseConditions(deployment, this.#now);
    this.#syncCurrent();
    if (deployment.spec.paused || this.#resized()) {
      this.#sizes = resize(deployment, this.#old, this.#current);
      if (deployment.spec.paused) this.#cleanUp();
      // Of a Recreate several sets may live, left from a rolling update or adopted: there is nothing to share out, and
      // who stopped here, as upstream does, would stop for ever.
      if (deployment.spec.paused || isRolling(deployment) || this.#sizes.size > 0) return this.#result(this.#counted());
    }
    if (isRolling(deployment)) this.#rollOn();
    else this.#recreate();
    const counted = this.#counted();
    return this.#result(status.rolloutStatus(deployment, counted, this.#all, this.#current, this.#now));
  }

  #counted(): DeploymentStatus {
    return status.countStatus(this.#deployment, this.#all, this.#current, this.#conditions, this.#now);
  }

  /** A living set was sized for another number of replicas than is wanted now. */
  #resized(): boolean {
    const { replicas = 1 } = this.#deployment.spec;
    return this.#all.some((set) => {
      if (set === this.#current && this.#creates) return false;
      const desired = sets.scaleAnnotation(set, sets.DESIRED_REPLICAS);
      return sets.sizeOf(set) > 0 && desired !== undefined && desired !== replicas;
    });
  }

  #rollOn(): void {
    const deployment = this.#deployment;
    const current = this.#current ?? this.#create();
    this.#sizes = growCurrent(deployment, this.#all, current);
    if (this.#sizes.size) return;
    this.#sizes = shrinkOld(deployment, this.#old, current);
    if (this.#sizes.size === 0 && this.#complete()) this.#cleanUp();
  }

  #recreate(): void {
    const { replicas = 1 } = this.#deployment.spec;
    const living = this.#old.filter((set) => sets.sizeOf(set) > 0);
    if (living.length) {
      this.#sizes = new Map(living.map((set) => [set, 0]));
      return;
    }
    if (this.#oldPodsRun()) return;
    const current = this.#current ?? this.#create();
    if (sets.sizeOf(current) !== replicas) this.#sizes = new Map([[current, replicas]]);
    if (this.#complete()) this.#cleanUp();
  }

  #oldPodsRun(): boolean {
    if (this.#old.some((set) => (set.status?.replicas ?? 0) > 0)) return true;
    const pods = this.#view.of(Pod);
    return this.#old.some((set) => pods.byIndex(BY_CONTROLLER, set.metadata.uid).some((pod) => !isTerminal(pod)));
  }

  #complete(): boolean {
    return status.isComplete(this.#deployment, this.#deployment.status ?? {});
  }

  /** Brings the current set's revision and annotations up to date. */
  #syncCurrent(): void {
    const current = this.#current;
    if (!current) return;
    const annotations = current.metadata.annotations ?? {};
    const revision = sets.maxRevision(this.#old) + 1;
    this.#currentAnnotations = sets.currentAnnotations(this.#deployment, annotations, revision);
    if (!status.hasDeadline(this.#deployment) || status.find(this.#conditions, 'Progressing')) return;
    const text = `Found new replica set ${JSON.stringify(current.metadata.name)}`;
    this.#progress('True', 'FoundNewReplicaSet', text);
  }

  #create(): ReplicaSet {
    const deployment = this.#deployment;
    const { replicas = 1 } = deployment.spec;
    const annotations = sets.currentAnnotations(deployment, {}, sets.maxRevision(this.#old) + 1);
    const fresh = sets.newSet(deployment, annotations);
    const size = currentSize(deployment, [...this.#old, fresh], fresh);
    this.#creates = true;
    this.#currentAnnotations = sets.scaleAnnotations(annotations, replicas, replicas + limitsOf(deployment).maxSurge);
    this.#current = {
      ...fresh,
      metadata: { ...fresh.metadata, annotations: this.#currentAnnotations },
      spec: { ...fresh.spec, replicas: size },
    };
    if (status.hasDeadline(deployment))
      this.#progress('True', 'NewReplicaSetCreated', `Created new replica set ${JSON.stringify(fresh.metadata.name)}`);
    return this.#current;
  }

  #progress(value: 'True' | 'False', reason: string, message: string): void {
    const fresh = status.condition('Progressing', value, reason, message, this.#now);
    this.#conditions = status.withCondition(this.#conditions, fresh);
  }

  /** Old sets beyond the history limit, once they have no pods. */
  #cleanUp(): void {
    const limit = this.#deployment.spec.revisionHistoryLimit;
    if (limit === undefined || limit === 2 ** 31 - 1) return;
    const dead = this.#old.filter((set) => set.metadata.deletionTimestamp === undefined);
    if (dead.length <= limit) return;
    const oldest = [...dead].sort((a, b) => sets.revisionOf(a) - sets.revisionOf(b) || sets.byAge(a, b));
    this.#deletes = oldest
      .slice(0, dead.length - limit)
      .filter(
        (set) =>
          sets.sizeOf(set) === 0 &&
          (set.status?.replicas ?? 0) === 0 &&
          (set.metadata.generation ?? 0) <= (set.status?.observedGeneration ?? 0),
      );
  }

  #result(fresh: DeploymentStatus): Plan {
    const actions: Action[] = [];
    if (this.#creates) actions.push(this.#createAction(this.#current!));
    for (const set of this.#all) {
      if (set === this.#current && this.#creates) continue;
      const update = this.#updateAction(set);
      if (update) actions.push(update);
    }
    for (const { metadata } of this.#deletes)
      actions.push({ do: 'delete', kind: ReplicaSet, ref: metadata, ignore: ['NotFound'] });
    actions.push(...this.#statusActions(fresh));
    const again = status.untilDeadline(this.#deployment, fresh, this.#now);
    return {
      actions,
      failed: (error, action) => (this.#creates && action === actions[0] ? this.#createFailed(error) : []),
      ...(again === undefined ? {} : { again, idle: true }),
    };
  }

  #createAction(set: ReplicaSet): Action {
    const { name } = set.metadata;
    const size = sets.sizeOf(set);
    return {
      do: 'create',
      kind: ReplicaSet,
      object: set as Draft<KubeObject>,
      done: () => (size > 0 ? scaled('up', name, 0, size) : undefined),
      failed: (error) =>
        isReason(error, 'AlreadyExists')
          ? undefined
          : { type: 'Warning', reason: 'ReplicaSetCreateError', message: createFailure(name, error) },
    };
  }

  /** A name taken by a set that is not ours is a hash collision: the next try hashes with a higher count. */
  #createFailed(error: Error): readonly Action[] {
    const deployment = this.#deployment;
    const { name } = this.#current!.metadata;
    if (isReason(error, 'AlreadyExists')) {
      const other = this.#view.of(ReplicaSet).get(keyOf(this.#current!));
      if (!other) return [];
      const ours = controllerOf(other)?.uid === deployment.metadata.uid;
      if (ours && other.spec.template && sets.sameTemplate(other.spec.template, deployment.spec.template)) return [];
      const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
      return this.#statusActions({ ...deployment.status, collisionCount }, false);
    }
    if (!status.hasDeadline(deployment)) return [];
    this.#conditions = deployment.status?.conditions ?? [];
    this.#progress('False', 'ReplicaSetCreateError', createFailure(name, error));
    return this.#statusActions({ ...deployment.status, conditions: [...this.#conditions] }, false);
  }

  #updateAction(set: ReplicaSet): Action | undefined {
    const { replicas = 1, minReadySeconds = 0 } = this.#deployment.spec;
    const had = set.metadata.annotations ?? {};
    const isCurrent = set === this.#current;
    const size = this.#sizes.get(set) ?? sets.sizeOf(set);
    let annotations = isCurrent ? this.#currentAnnotations : had;
    if (this.#sizes.has(set))
      annotations = sets.scaleAnnotations(annotations, replicas, replicas + limitsOf(this.#deployment).maxSurge);
    const sameReady = !isCurrent || (set.spec.minReadySeconds ?? 0) === minReadySeconds;
    if (size === sets.sizeOf(set) && annotations === had && sameReady) return undefined;
    const { minReadySeconds: _, ...spec } = set.spec;
    const ready = isCurrent ? minReadySeconds : (set.spec.minReadySeconds ?? 0);
    const object: ReplicaSet = {
      ...set,
      metadata: { ...set.metadata, annotations: { ...annotations } },
      spec: { ...spec, replicas: size, ...(ready ? { minReadySeconds: ready } : {}) },
    };
    const before = sets.sizeOf(set);
    const done = () =>
      size === before ? undefined : scaled(size > before ? 'up' : 'down', set.metadata.name, before, size);
    return { do: 'update', kind: ReplicaSet, object, done };
  }

  /** The Deployment carries its current set's revision as its own. */
  #statusActions(fresh: DeploymentStatus, withRevision = true): readonly Action[] {
    const deployment = this.#deployment;
    const had = deployment.metadata.annotations?.[sets.REVISION];
    const revision = (withRevision && this.#current ? this.#currentAnnotations[sets.REVISION] : undefined) ?? had;
    if (revision === had && sameValue(deployment.status, fresh)) return [];
    const metadata =
      revision === had || revision === undefined
        ? deployment.metadata
        : { ...deployment.metadata, annotations: { ...deployment.metadata.annotations, [sets.REVISION]: revision } };
    const object: Deployment = { ...deployment, metadata, status: fresh };
    return [{ do: 'update', kind: Deployment, object, subresource: 'status' }];
  }
}

const scaled = (way: 'up' | 'down', name: string, from: number, to: number) => ({
  type: 'Normal' as const,
  reason: 'ScalingReplicaSet',
  message: `Scaled ${way} replica set ${name} from ${from} to ${to}`,
});

const createFailure = (name: string, error: Error) =>
  `Failed to create new replica set ${JSON.stringify(name)}: ${error.message}`;
