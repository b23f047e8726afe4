// How an exec or attach ended, as the metav1.Status that closes the conversation.

import { internalError, StatusError } from '../errors.ts';
import type { Status } from '../generated/meta-v1.ts';

export function exitStatus(code: number): Status {
  if (code === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  };
}

/** `doing`: `executing command in`, `attaching to`. */
export function failureStatus(doing: string, error: unknown): Status {
  const {
    kind: _1,
    apiVersion: _2,
    ...status
  } = internalError(`error ${doing} container: ${(error as Error).message}`).toStatus();
  return status;
}

/** The exit code a status tells. Throws the StatusError that it is when the command did not run to its end. */
export function exitCodeOf(status: Status): number {
  if (status.status === 'Success') return 0;
  if (status.reason === 'NonZeroExitCode') {
    const cause = status.details?.causes?.find((c) => c.reason === 'ExitCode');
    const code = Number(cause?.message);
    if (Number.isInteger(code)) return code;
  }
  throw StatusError.fromStatus(status);
}
