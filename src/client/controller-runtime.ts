// Runs controllers: feeds their queue from informers, plans one key at a time per key and several keys side by side,
// carries the plans out, retries what fails with growing pauses, and holds a key until the caches show its own writes.

import { isReason } from '../api/errors.ts';
import { controllerOf, keyOf, splitApiVersion, type KubeObject } from '../api/object.ts';
import type { AnyKind, Kind } from '../api/kind.ts';
import { sleep, type Env } from '../base/env.ts';
import { onAbort } from '../base/on-abort.ts';
import { ActionFailure, applyActions } from './apply-actions.ts';
import type { Client } from './client.ts';
import {
  NOTHING,
  type ControllerContext,
  type ControllerDefinition,
  type Plan,
  type View,
  type Watch,
} from './controller.ts';
import { createEventRecorder, type EventRecorder } from './event-recorder.ts';
import type { Informer, InformerFactory, Lister } from './informer.ts';
import { isOwnWrite, LookSpan } from './look-span.ts';
import { WorkQueue, type QueueMetrics } from './work-queue.ts';
import { WriteBarrier, Writes } from './write-barrier.ts';

export interface RuntimeContext {
  /** Writes with the controller's own identity. */
  readonly client: Client;
  readonly env: Env;
  /** Shared by all controllers of the process. */
  readonly informers: InformerFactory;
  readonly metrics?: QueueMetrics;
}

const WORKERS = 5;
/** Planning gives way to other work after this long, in milliseconds. */
const SLICE = 10;
/** A write that does not show up in the cache for this long holds the key no further, in milliseconds (upstream's value). */
const BARRIER_TIMEOUT = 300_000;

/** Runs one controller until the signal aborts; resolves once its last action has ended. */
export async function runController(
  definition: ControllerDefinition,
  context: RuntimeContext,
  options: { signal: AbortSignal },
): Promise<void> {
  const { signal } = options;
  const log = context.env.log.child(definition.name);
  const informers = new Map<AnyKind, Informer<KubeObject>>();
  for (const watch of definition.watches) {
    const informer = context.informers.informer(watch.kind);
    for (const [name, values] of Object.entries(watch.indexes ?? {})) informer.addIndex(name, values);
    informers.set(watch.kind, informer);
  }
  const runtime = new ControllerRuntime(definition, { ...context, env: { ...context.env, log } }, informers, signal);
  try {
    await Promise.all([...informers.values()].map((informer) => informer.synced));
  } catch (error) {
    runtime.stop();
    if (signal.aborted) return;
    throw error;
  }
  await runtime.run();
}

/** Runs many controllers side by side; `contextOf` gives each its own identity. Rejects when one of them fails. */
export async function runControllers(
  definitions: readonly ControllerDefinition[],
  contextOf: (definition: ControllerDefinition) => RuntimeContext,
  options: { signal: AbortSignal },
): Promise<void> {
  await Promise.all(definitions.map((definition) => runController(definition, contextOf(definition), options)));
}

class ControllerRuntime {
  readonly #definition: ControllerDefinition;
  readonly #context: RuntimeContext;
  readonly #signal: AbortSignal;
  readonly #queue: WorkQueue;
  readonly #barrier: WriteBarrier;
  readonly #recorder: EventRecorder;
  readonly #view: View;
  readonly #reading: ControllerContext;
  readonly #unsubscribe: (() => void)[] = [];
  readonly #memory = new Map<string, unknown>();
  #running = false;
  #pumping = false;
  #active = 0;
  #ended: (() => void) | undefined;

  constructor(
    definition: ControllerDefinition,
    context: RuntimeContext,
    informers: ReadonlyMap<AnyKind, Informer<KubeObject>>,
    signal: AbortSignal,
  ) {
    const { env, client } = context;
    this.#definition = definition;
    this.#context = context;
    this.#signal = signal;
    this.#queue = new WorkQueue({
      clock: env.clock,
      ready: () => this.#schedule(),
      ...(context.metrics ? { metrics: context.metrics } : {}),
    });
    this.#barrier = new WriteBarrier(informers);
    this.#recorder = createEventRecorder({ client, env, component: definition.component ?? definition.name, signal });
    this.#view = viewOf(informers);
    this.#reading = {
      client,
      env,
      view: this.#view,
      signal,
      enqueue: (key) => this.#queue.add(key),
      event: (note) => this.#recorder.record(note),
    };
    for (const watch of definition.watches) {
      const keys = keysOf(watch, definition.primary, this.#view);
      if (!keys) continue;
      const informer = informers.get(watch.kind)!;
      this.#unsubscribe.push(
        informer.on((object, old) => {
          for (const key of keys(object, old)) this.#queue.add(key, this.#newsOf(key, informer.revision));
        }),
      );
    }
  }

  /** Begins planning; resolves after the signal aborted and all work has ended. */
  async run(): Promise<void> {
    const aborted = new Promise<void>((resolve) => {
      if (this.#signal.aborted) resolve();
      else onAbort(this.#signal, resolve);
    });
    this.#running = true;
    this.#schedule();
    try {
      if (this.#definition.run) await this.#definition.run(this.#reading);
      await aborted;
    } catch (error) {
      if (!this.#signal.aborted) throw error;
    } finally {
      this.stop();
    }
    if (this.#active > 0) await new Promise<void>((resolve) => (this.#ended = resolve));
    await this.#recorder.flush();
  }

  stop(): void {
    this.#running = false;
    this.#queue.close();
    this.#barrier.close();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  /** Negative for a revision that is no news. */
  #newsOf(key: string, revision: number): number {
    const { tracer } = this.#context.env;
    return tracer && isOwnWrite(tracer, this.#definition, key, revision) ? -revision : revision;
  }

  #schedule(): void {
    if (this.#pumping || !this.#running) return;
    this.#pumping = true;
    // Behind the events being delivered now: their keys then count once.
    queueMicrotask(() => this.#pump());
  }

  #pump(): void {
    const { clock } = this.#context.env;
    const began = clock.monotonic();
    const workers = this.#definition.workers ?? WORKERS;
    while (this.#running && this.#active < workers) {
      if (clock.monotonic() - began > SLICE) {
        clock.setTimer(0, () => this.#pump());
        return;
      }
      const key = this.#queue.take();
      if (key === undefined) break;
      this.#begin(key, this.#queue.cause);
    }
    this.#pumping = false;
  }

  /** Most plans find nothing to do: those end here, without a promise. */
  #begin(key: string, cause: number): void {
    const { plan, reconcile } = this.#definition;
    const { tracer, clock } = this.#context.env;
    const began = clock.monotonic();
    const lookOf = () => tracer && new LookSpan(tracer, this.#definition, { key, cause, began });
    if (plan && !reconcile) {
      let planned: Plan;
      try {
        const memory = this.#memory.get(key);
        planned = plan.call(this.#definition, key, this.#view, clock.now(), memory, began);
      } catch (error) {
        this.#retry(key, error as Error);
        this.#queue.done(key);
        return;
      }
      if (planned.actions.length === 0) {
        this.#settle(key, planned);
        this.#finish(key, planned, undefined);
        return;
      }
      this.#spawn(key, () => planned, lookOf());
    } else if (reconcile) {
      const look = lookOf();
      const client = this.#reading.client.within(look && (() => look.begin()));
      const reading = look ? { ...this.#reading, client } : this.#reading;
      this.#spawn(key, () => reconcile.call(this.#definition, key, reading), look);
    } else {
      this.#queue.done(key);
    }
  }

  #spawn(key: string, decide: () => Plan | Promise<Plan>, look: LookSpan | undefined): void {
    this.#active++;
    void this.#work(key, decide, look).then(() => {
      this.#active--;
      if (this.#running) this.#schedule();
      else if (this.#active === 0) this.#ended?.();
    });
  }

  /** Never rejects. The key is done, and its worker free, when the caches have caught up with what was written. */
  async #work(key: string, decide: () => Plan | Promise<Plan>, look: LookSpan | undefined): Promise<void> {
    const writes = new Writes();
    let plan = NOTHING;
    try {
      plan = await decide();
      await this.#apply(key, plan, writes, look);
      this.#settle(key, plan);
      look?.finish();
    } catch (error) {
      if (error instanceof ActionFailure) await this.#applyFailed(key, plan, error, writes, look);
      look?.fail(error);
      this.#remember(key, plan);
      this.#retry(key, error instanceof ActionFailure ? error.cause : (error as Error));
    }
    this.#finish(key, plan, this.#barrier.passed(writes));
  }

  /** The worker moves on to other keys while this one waits. */
  #finish(key: string, plan: Plan, passed: Promise<unknown> | undefined): void {
    if (!passed && !plan.rest) return this.#queue.done(key);
    const { env } = this.#context;
    const rested = plan.rest ? sleep(env, plan.rest, { signal: this.#signal }).catch(() => {}) : undefined;
    void Promise.all([rested, passed && this.#shown(key, passed)]).then(() => this.#queue.done(key));
  }

  /** Resolves when the caches show what was written, or when waiting for that has lost its sense. */
  async #shown(key: string, passed: Promise<unknown>): Promise<void> {
    const timeout = new AbortController();
    const end = AbortSignal.any([timeout.signal, this.#signal]);
    const late = sleep(this.#context.env, BARRIER_TIMEOUT, { signal: end, unref: true }).then(
      () => this.#context.env.log.warn('own writes do not show up in the cache', { key }),
      () => {},
    );
    await Promise.race([passed, late]);
    timeout.abort();
  }

  async #apply(key: string, plan: Plan, writes: Writes, look: LookSpan | undefined): Promise<void> {
    if (plan.actions.length === 0) return;
    await applyActions(plan.actions, {
      client: this.#context.client.within(look?.begin()),
      writes,
      signal: this.#signal,
      record: (note) => {
        const about = note.about ?? this.#planned(key);
        if (about) this.#recorder.record({ ...note, about });
      },
    });
  }

  async #applyFailed(
    key: string,
    plan: Plan,
    failure: ActionFailure,
    writes: Writes,
    look: LookSpan | undefined,
  ): Promise<void> {
    const actions = plan.failed?.(failure.cause, failure.action) ?? [];
    if (actions.length === 0) return;
    try {
      await this.#apply(key, { actions }, writes, look);
    } catch (error) {
      this.#report(key, error instanceof ActionFailure ? error.cause : (error as Error));
    }
  }

  #planned(key: string): KubeObject | undefined {
    const { primary } = this.#definition;
    return primary && this.#view.of(primary).get(key);
  }

  #settle(key: string, plan: Plan): void {
    this.#queue.forget(key);
    this.#remember(key, plan);
    if (plan.again !== undefined) this.#queue.addAfter(key, plan.again, { idle: plan.idle ?? false });
  }

  #remember(key: string, plan: Plan): void {
    if (plan.memory !== undefined) this.#memory.set(key, plan.memory);
    else this.#memory.delete(key);
  }

  #retry(key: string, error: Error): void {
    if (this.#signal.aborted) return;
    this.#report(key, error);
    this.#queue.addRateLimited(key);
  }

  /** Losing a race against another writer is everyday business. */
  #report(key: string, error: Error): void {
    const { log } = this.#context.env;
    if (isReason(error, 'Conflict', 'NotFound')) log.debug('outdated, planning again', { key, error });
    else log.warn('failed, trying again', { key, error });
  }
}

function viewOf(informers: ReadonlyMap<AnyKind, Informer<KubeObject>>): View {
  return {
    of<T extends KubeObject>(kind: Kind<T>): Lister<T> {
      const informer = informers.get(kind);
      if (!informer) throw new Error(`${kind.kind} is not watched by this controller`);
      return informer as unknown as Lister<T>;
    },
  };
}

type KeysOf = (object: KubeObject | undefined, old: KubeObject | undefined) => readonly string[];

function keysOf(watch: Watch, primary: AnyKind | undefined, view: View): KeysOf | undefined {
  const { keys } = watch;
  if (keys === 'none') return undefined;
  if (keys === 'self') return (object, old) => [keyOf((object ?? old)!)];
  if (keys !== 'controller') return (object, old) => keys(object, old, view);
  if (!primary) throw new Error(`watching ${watch.kind.kind} by controller needs a primary kind`);
  return (object, old) => {
    const now = object && controllerKey(object, primary);
    const before = old && controllerKey(old, primary);
    if (now === undefined) return before === undefined ? [] : [before];
    return before === undefined || before === now ? [now] : [before, now];
  };
}

/** The key of the object's controller, when that is of the given kind. */
export function controllerKey(object: KubeObject, kind: AnyKind): string | undefined {
  const owner = controllerOf(object);
  if (!owner || owner.kind !== kind.kind || splitApiVersion(owner.apiVersion)[0] !== kind.group) return undefined;
  const { namespace } = object.metadata;
  return kind.namespaced && namespace ? `${namespace}/${owner.name}` : owner.name;
}
