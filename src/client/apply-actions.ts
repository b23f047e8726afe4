// Carries out a plan's actions: one after the other, those of an inner array at the same time. Creates inside an array
// start slowly, in batches of 1, 2, 4, ... and stop at the first batch with a failure: a thousand pods that a quota
// refuses cost a few requests, not a thousand.

import { isReason, StatusError } from '../api/errors.ts';
import type { KubeObject } from '../api/object.ts';
import type { Client, WriteOptions } from './client.ts';
import type { Action, EventNote } from './controller.ts';
import type { Writes } from './write-barrier.ts';

export interface ApplyContext {
  readonly client: Client;
  /** Collects what was written. */
  readonly writes: Writes;
  /** Gives up requests under way. */
  readonly signal?: AbortSignal;
  record(note: EventNote): void;
}

/** The action that failed, and why. */
export class ActionFailure extends Error {
  readonly action: Action;
  override readonly cause: Error;
  constructor(action: Action, cause: Error) {
    super(cause.message);
    this.action = action;
    this.cause = cause;
  }
}

/** Resolves to false when a `confirm` dropped the rest. Throws an ActionFailure when an action failed. */
export async function applyActions(
  actions: readonly (Action | readonly Action[])[],
  context: ApplyContext,
): Promise<boolean> {
  for (const step of actions) {
    if (isList(step)) await together(step, context);
    else if (step.do === 'confirm') {
      if (!(await confirmed(step, context))) return false;
    } else await applyOne(step, context);
  }
  return true;
}

const isList = (step: Action | readonly Action[]): step is readonly Action[] => Array.isArray(step);

async function together(actions: readonly Action[], context: ApplyContext): Promise<void> {
  const creates = actions.filter((a) => a.do === 'create');
  const others = actions.filter((a) => a.do !== 'create');
  const results = await Promise.allSettled([
    slowStart(creates, context),
    ...others.map((action) => applyOne(action, context)),
  ]);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

async function slowStart(creates: readonly Action[], context: ApplyContext): Promise<void> {
  for (let at = 0, size = 1; at < creates.length; at += size, size *= 2) {
    if (at > 0 && size > creates.length - at) size = creates.length - at;
    const batch = creates.slice(at, at + size);
    const results = await Promise.allSettled(batch.map((action) => applyOne(action, context)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }
}

async function applyOne(action: Action, context: ApplyContext): Promise<void> {
  if (action.do === 'event') return context.record(action.event);
  let result: KubeObject | undefined;
  try {
    result = await send(action, context);
  } catch (cause) {
    const error = cause as Error;
    if (action.ignore && error instanceof StatusError && action.ignore.includes(error.reason)) return;
    // Nothing can be made in a namespace that is on its way out, and nothing needs to be.
    if (action.do === 'create' && isNamespaceTerminating(error)) return;
    if (action.do === 'create' && isReason(error, 'AlreadyExists')) await expectExisting(action, context);
    const note = action.failed?.(error);
    if (note) context.record(note);
    throw new ActionFailure(action, error);
  }
  const note = action.done?.(result);
  if (note) context.record(note);
}

/**
 * The cache did not have what is there: somebody made it just now, or we did, and the answer was lost. Nothing is planned anew
 * before the cache has it.
 */
async function expectExisting({ kind, object }: Action & { do: 'create' }, context: ApplyContext): Promise<void> {
  const { name, namespace } = object.metadata;
  if (!name) return;
  try {
    const ref = namespace ? { namespace, name } : { name };
    context.writes.wrote(kind, await context.client.get(kind, ref, optionsOf({}, context)));
  } catch {
    // It is gone again, not ours to read, or nobody answers: what is told is why the create failed, and it is tried again.
  }
}

async function send(action: Exclude<Action, { do: 'event' }>, context: ApplyContext): Promise<KubeObject | undefined> {
  const { client, writes } = context;
  switch (action.do) {
    case 'create': {
      const result = await client.create(action.kind, action.object, optionsOf(action, context));
      if (!action.subresource) writes.wrote(action.kind, result);
      return result;
    }
    case 'update': {
      const result = await client.update(action.kind, action.object, optionsOf(action, context));
      writes.wrote(action.kind, result);
      return result;
    }
    case 'patch': {
      const { kind, ref, type, patch } = action;
      const result = await client.patch(kind, ref, type, patch, optionsOf(action, context));
      writes.wrote(kind, result);
      return result;
    }
    case 'delete': {
      const result = await client.delete(action.kind, action.ref, { ...action.options, ...optionsOf({}, context) });
      writes.deleted(action.kind, action.ref);
      return result;
    }
    case 'confirm':
      throw new Error('confirm stands between other actions, not inside an array');
  }
}

function optionsOf({ subresource }: { readonly subresource?: string }, { signal }: ApplyContext): WriteOptions {
  return { ...(subresource ? { subresource } : {}), ...(signal ? { signal } : {}) };
}

async function confirmed(action: Action & { do: 'confirm' }, context: ApplyContext): Promise<boolean> {
  try {
    const { metadata } = await context.client.get(action.kind, action.ref, optionsOf({}, context));
    return metadata.uid === action.uid && metadata.deletionTimestamp === undefined;
  } catch (error) {
    if (isReason(error, 'NotFound')) return false;
    throw new ActionFailure(action, error as Error);
  }
}

/** A create was refused because its namespace is being deleted. */
export function isNamespaceTerminating(error: unknown): boolean {
  return (
    error instanceof StatusError &&
    (error.details?.causes ?? []).some((cause) => cause.reason === 'NamespaceTerminating')
  );
}
