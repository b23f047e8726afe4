// What resourceVersion, resourceVersionMatch and sendInitialEvents of a read may be, and waiting for a version.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions

import { field, invalid, StatusError, type FieldError } from '../../api/errors.ts';
import type { OpOptions } from '../../api/op.ts';
import { sleep } from '../../base/env.ts';
import type { Call } from '../call.ts';
import type { Storage } from '../caches.ts';

/** How long a read waits for a version the cache has not seen. */
const WAIT_MS = 3_000;

/** The number of a resourceVersion; 0 for '' and '0'. Throws Invalid in upstream's words. */
export function versionNumber(text: string | undefined): number {
  if (!text) return 0;
  if (!/^[0-9]{1,16}$/.test(text)) {
    const cause = field.invalid(
      'resourceVersion',
      text,
      `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
    throw invalid('', '', '', [cause]);
  }
  return Number(text);
}

/** Throws Invalid for combinations that make no sense. */
export function checkReadOptions(options: OpOptions, verb: 'list' | 'watch'): void {
  const causes = verb === 'watch' ? watchFaults(options) : listFaults(options);
  if (causes.length) throw invalid('meta.k8s.io', 'ListOptions', '', causes);
}

function watchFaults(options: OpOptions): FieldError[] {
  const { resourceVersionMatch: match, sendInitialEvents } = options;
  if (sendInitialEvents === undefined) {
    if (!match) return [];
    return [
      field.forbidden(
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      ),
    ];
  }
  const out: FieldError[] = [];
  if (match !== 'NotOlderThan') {
    const text = 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan';
    out.push(field.forbidden('resourceVersionMatch', text));
    if (match) out.push(field.notSupported('resourceVersionMatch', match, ['NotOlderThan']));
  }
  return out;
}

function listFaults(options: OpOptions): FieldError[] {
  const { resourceVersionMatch: match, resourceVersion, sendInitialEvents } = options;
  const out: FieldError[] = [];
  if (sendInitialEvents !== undefined) {
    out.push(field.forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  }
  if (!match) return out;
  const path = 'resourceVersionMatch';
  if (options.continue) out.push(field.forbidden(path, 'resourceVersionMatch is forbidden for continue'));
  if (!resourceVersion) {
    out.push(field.forbidden(path, 'resourceVersionMatch is forbidden unless resourceVersion is provided'));
  }
  if (match !== 'Exact' && match !== 'NotOlderThan') {
    out.push(field.notSupported(path, match, ['Exact', 'NotOlderThan', '']));
  }
  if (match === 'Exact' && resourceVersion === '0') {
    out.push(field.forbidden(path, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
  }
  return out;
}

/** Waits until the cache is current at `version`. Rejects with Timeout when that version is not in sight. */
export async function waitForVersion(call: Call, storage: Storage, version: string): Promise<void> {
  const revision = versionNumber(version);
  if (storage.cache.revision >= revision) return;
  const limit = new AbortController();
  const late = sleep(call.server.env, WAIT_MS, { signal: limit.signal }).then(() => {
    throw tooLarge(revision, storage.cache.revision);
  });
  try {
    await Promise.race([storage.cache.waitFor(revision), late]);
  } finally {
    limit.abort(new Error('done'));
    late.catch(() => {});
  }
}

function tooLarge(revision: number, current: number): StatusError {
  const message = `Too large resource version: ${revision}, current: ${current}`;
  return new StatusError('Timeout', `Timeout: ${message}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}
