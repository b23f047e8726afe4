// LIST: a consistent picture of the selected objects, whole or page by page.

import { badRequest, StatusError } from '../../api/errors.ts';
import type { AnyKind } from '../../api/kind.ts';
import type { KubeObject } from '../../api/object.ts';
import type { ListMeta, ListResult } from '../../api/op.ts';
import { StoreError } from '../../store/store.ts';
import type { Call } from '../call.ts';
import type { Storage } from '../caches.ts';
import { formOf } from '../forms.ts';
import { selectionOf, type Selection } from '../selection.ts';
import { decodeToken, encodeToken } from './continue-token.ts';
import { checkReadOptions, versionNumber, waitForVersion } from './resource-version.ts';

export async function list(call: Call): Promise<ListResult> {
  const { op, kind, server } = call;
  const { options } = op;
  checkReadOptions(options, 'list');
  const storage = await (options.resourceVersion ? server.caches.current(kind) : server.caches.latest(kind));
  const selection = selectionOf(op, kind, storage);
  if (options.continue) return nextPage(call, storage, selection);
  const wanted = versionNumber(options.resourceVersion);
  if (wanted) await waitForVersion(call, storage, options.resourceVersion!);
  if (options.resourceVersionMatch === 'Exact') return page(call, storage, selection, wanted, undefined);
  return page(call, storage, selection, storage.cache.revision, undefined);
}

function nextPage(call: Call, storage: Storage, selection: Selection): ListResult {
  const { options } = call.op;
  const token = decodeToken(options.continue!);
  if (options.resourceVersion && options.resourceVersion !== '0') {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  const after = storage.prefix + token.start;
  if (token.revision < 0) return page(call, storage, selection, storage.cache.revision, after);
  try {
    return page(call, storage, selection, token.revision, after);
  } catch (error) {
    if (error instanceof StatusError && error.reason === 'Expired') throw tooOld(token.start);
    throw error;
  }
}

function page(
  call: Call,
  storage: Storage,
  selection: Selection,
  revision: number,
  after: string | undefined,
): ListResult {
  const { kind } = call;
  const limit = call.op.options.limit || Infinity;
  const { matches, scope, indexed } = selection;
  const range = { ...(indexed ? { indexed } : {}), ...(after ? { after } : {}) };
  // Without a predicate the cache counts and cuts; with one, all candidates have to be looked at in turn.
  const candidates = listAt(
    storage,
    scope,
    revision,
    matches || limit === Infinity ? range : { ...range, limit: limit + 1 },
  );
  const items: KubeObject[] = [];
  let last: KubeObject | undefined;
  let more = false;
  for (const stored of candidates) {
    if (matches && !matches(stored)) continue;
    if (items.length === limit) {
      more = true;
      break;
    }
    last = stored;
    items.push(formOf(kind, stored));
  }
  const metadata: ListMeta = { resourceVersion: String(revision) };
  if (!more || !last) return result(kind, metadata, items);
  const start = storage.key(last.metadata.namespace, last.metadata.name).slice(storage.prefix.length);
  return result(
    kind,
    {
      ...metadata,
      continue: encodeToken({ revision, start }),
      ...(matches ? {} : { remainingItemCount: remaining(storage, selection, revision, after, items.length) }),
    },
    items,
  );
}

const result = (kind: AnyKind, metadata: ListMeta, items: KubeObject[]): ListResult => ({
  type: 'list',
  apiVersion: kind.apiVersion,
  kind: kind.listKind,
  metadata,
  items,
});

function listAt(
  storage: Storage,
  scope: string,
  revision: number,
  range: { readonly indexed?: string; readonly after?: string; readonly limit?: number },
): KubeObject[] {
  if (revision === storage.cache.revision) return storage.cache.list(scope, range);
  try {
    return storage.cache.listAt(scope, revision, range);
  } catch (error) {
    if (error instanceof StoreError && error.fault === 'compacted') {
      throw new StatusError('Expired', 'The resourceVersion for the provided list is too old.');
    }
    throw error;
  }
}

function remaining(
  storage: Storage,
  { scope, indexed }: Selection,
  revision: number,
  after: string | undefined,
  taken: number,
): number {
  const range = { ...(indexed ? { indexed } : {}), ...(after ? { after } : {}) };
  const all =
    revision === storage.cache.revision
      ? storage.cache.count(scope, range)
      : listAt(storage, scope, revision, range).length;
  return all - taken;
}

/** 410 with a token that goes on with the latest state, for clients that can live with that. */
function tooOld(start: string): StatusError {
  const error = new ExpiredPage(
    'Expired',
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
      'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
      'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or ' +
      'deleted between the time the first chunk was returned and now may show up in the list.',
  );
  error.token = encodeToken({ revision: -1, start });
  return error;
}

class ExpiredPage extends StatusError {
  token = '';

  override toStatus() {
    return { ...super.toStatus(), metadata: { continue: this.token } };
  }
}
