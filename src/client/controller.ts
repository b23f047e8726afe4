// The controller contract. A controller says what it watches and writes, and decides purely: `plan(key, view, now)`
// reads caches and returns actions. The runtime (controller-runtime.ts) owns informers, the keyed queue, backoff,
// concurrency, events, and holds a key back until the caches have seen the controller's own last write for it.

import type { AnyKind, Kind } from '../api/kind.ts';
import type { Draft, KubeObject, ObjectRef } from '../api/object.ts';
import type { PatchType } from '../api/op.ts';
import type { CallOptions, Client } from './client.ts';
import type { Lister } from './informer.ts';
import type { Env } from '../base/env.ts';

export interface EventNote {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** What the event is about; the planned object unless told. */
  readonly about?: KubeObject;
  /** The part it is about, e.g. `spec.containers{web}`. */
  readonly fieldPath?: string;
  /** The second object of an events.k8s.io event. */
  readonly related?: KubeObject;
  /** events.k8s.io `action`. */
  readonly action?: string;
}

/**
 * One write. Actions of a plan run in order; an array inside runs in parallel. `done` and `failed` yield the event to
 * record. A failed action ends the plan and retries the key with backoff, unless `ignore` names the error's reason.
 */
export type Action = (
  | {
      readonly do: 'create';
      readonly kind: AnyKind;
      readonly object: Draft<KubeObject>;
      readonly subresource?: string;
    }
  | { readonly do: 'update'; readonly kind: AnyKind; readonly object: KubeObject; readonly subresource?: string }
  | {
      readonly do: 'patch';
      readonly kind: AnyKind;
      readonly ref: ObjectRef;
      readonly type: PatchType;
      readonly patch: unknown;
      readonly subresource?: string;
    }
  | { readonly do: 'delete'; readonly kind: AnyKind; readonly ref: ObjectRef; readonly options?: CallOptions }
  | { readonly do: 'event'; readonly event: EventNote }
  /**
   * Asks the server itself, not a cache, whether the object still is this one and is not being deleted; the rest of the
   * plan is dropped when it is not. Wanted before adopting orphans: their owner's death must not be outrun.
   */
  | { readonly do: 'confirm'; readonly kind: AnyKind; readonly ref: ObjectRef; readonly uid: string }
) & {
  readonly done?: (result: KubeObject | undefined) => EventNote | undefined;
  readonly failed?: (error: Error) => EventNote | undefined;
  readonly ignore?: readonly string[];
};

export interface Plan {
  readonly actions: readonly (Action | readonly Action[])[];
  /** Milliseconds after which to plan again without any change. */
  readonly again?: number;
  /** `again` is a distant look (a deadline, a schedule): the system counts as settled meanwhile. */
  readonly idle?: boolean;
  /**
   * Milliseconds before this key is planned again, whatever changes meanwhile. For keys whose plan looks at thousands of
   * objects: changes gather instead of each costing a look at them all.
   */
  readonly rest?: number;
  /** What to write when an action failed, before the key is retried: a condition in the status, say. */
  failed?(error: Error, action: Action): readonly Action[];
  /** Handed to the next plan of this key, and forgotten when that plan does not hand it on. Lost at a restart. */
  readonly memory?: unknown;
}
export const NOTHING: Plan = { actions: [] };

/** The caches of the watched kinds. Asking for a kind that is not watched throws. */
export interface View {
  of<T extends KubeObject>(kind: Kind<T>): Lister<T>;
}

export interface Watch<T extends KubeObject = KubeObject> {
  readonly kind: Kind<T>;
  /**
   * The keys to plan when an object changed: `self` (its own key), `controller` (its controller's, if of the
   * controller's primary kind), or a function. `old` is undefined on addition, `object` on deletion.
   */
  readonly keys:
    | 'self'
    | 'controller'
    | 'none'
    | ((object: T | undefined, old: T | undefined, view: View) => readonly string[]);
  readonly indexes?: Readonly<Record<string, (object: T) => readonly string[]>>;
}
/** Declares a watch with its object type checked. */
export const watch = <T extends KubeObject>(w: Watch<T>): Watch => w as unknown as Watch;

/** An RBAC rule in brief: verbs on resources (`pods`, `pods/status`) of API groups. */
export interface Grant {
  readonly groups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

export interface ControllerDefinition {
  /** The ServiceAccount in kube-system, e.g. `replicaset-controller`; also names the workqueue and the event source. */
  readonly name: string;
  /** The event source, where upstream's differs from the ServiceAccount (`daemonset-controller`). */
  readonly component?: string;
  /** The kind whose keys are planned: the owner looked up for `controller` watches. */
  readonly primary?: AnyKind;
  readonly watches: readonly Watch[];
  /** What it may do besides reading what it watches: yields its bootstrap ClusterRole `system:controller:<name>`. */
  readonly grants: readonly Grant[];
  /** Keys planned at the same time; 5 unless told. */
  readonly workers?: number;
  /**
   * Pure: no clock, no I/O, no mutation. `now` is the wall clock, which jumps when it is set; `uptime` only passes, and
   * counts from anywhere: what has lasted for so long is measured with it. `memory` is that of the key's previous plan.
   * Absent when `run` is given.
   */
  plan?(key: string, view: View, now: number, memory?: unknown, uptime?: number): Plan;
  /** For controllers that are no keyed reconcilers (garbage collector): the whole loop. */
  run?(context: ControllerContext): Promise<void>;
  /** For reconcilers that must call the API to decide (namespace finalisation). Runs as `plan` would, and may wait. */
  reconcile?(key: string, context: ControllerContext): Promise<Plan>;
}

export interface ControllerContext {
  readonly client: Client;
  readonly env: Env;
  readonly view: View;
  readonly signal: AbortSignal;
  /** Queues a key. */
  enqueue(key: string): void;
  event(note: EventNote & { readonly about: KubeObject }): void;
}

export function defineController(definition: ControllerDefinition): ControllerDefinition {
  return definition;
}
