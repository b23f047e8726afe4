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

const PATH = 'resourceVersionMatch';

function watchFaults(options: OpOptions): FieldError[] {
  const { resourceVersionMatch: match, sendInitialEvents } = options;
  const out: FieldError[] = [];
  const refuse = (text: string) => out.push(field.forbidden(PATH, text));
  if (sendInitialEvents !== undefined && match !== 'NotOlderThan') {
    refuse('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
  }
  if (!match) return out;
  if (sendInitialEvents === undefined) {
    refuse('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided');
  }
  if (match !== 'NotOlderThan') out.push(field.notSupported(PATH, match, ['NotOlderThan']));
  if (options.continue) refuse('resourceVersionMatch is forbidden when continue is provided');
  return out;
}

function listFaults(options: OpOptions): FieldError[] {
  const { resourceVersionMatch: match, resourceVersion, sendInitialEvents } = options;
  const out: FieldError[] = [];
  const refuse = (text: string) => out.push(field.forbidden(PATH, text));
  if (match) {
    if (!resourceVersion) refuse('resourceVersionMatch is forbidden unless resourceVersion is provided');
    if (options.continue) refuse('resourceVersionMatch is forbidden when continue is provided');
    if (match !== 'Exact' && match !== 'NotOlderThan') {
      out.push(field.notSupported(PATH, match, ['Exact', 'NotOlderThan', '']));
    }
    if (match === 'Exact' && resourceVersion === '0') {
      refuse('resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
    }
  }
  if (sendInitialEvents !== undefined) {
    out.push(field.forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
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
