// Exec and attach, whatever carries them: run, then tell the outcome.

import type { NodeStream, StdStreams } from '../../api/node-api.ts';
import type { Status } from '../../api/generated/meta-v1.ts';
import { exitStatus, failureStatus } from '../../api/streams/exit-status.ts';
import type { Env } from '../../base/env.ts';

export type CommandStream = Extract<NodeStream, { kind: 'exec' | 'attach' }>;

const DOING = { exec: 'executing command in', attach: 'attaching to' } as const;

/** Runs to the end; what goes wrong becomes the status. */
export async function commandOutcome(
  stream: CommandStream,
  streams: StdStreams,
  context: { readonly env: Env; readonly signal: AbortSignal },
): Promise<Status> {
  const { env, signal } = context;
  try {
    return exitStatus(await stream.run(streams, { signal }));
  } catch (error) {
    if (!signal.aborted) env.log.warn(`${stream.kind} failed`, { error: (error as Error).message });
    return failureStatus(DOING[stream.kind], error);
  }
}

/** What goes on the error stream: JSON, or in older protocols the bare message. */
export function encodeStatus(status: Status, json: boolean): Uint8Array {
  const text = json ? JSON.stringify(status) : status.status === 'Success' ? '' : (status.message ?? '');
  return new TextEncoder().encode(text);
}
