// Query parameters and DeleteOptions bodies -> OpOptions, with upstream's checks and texts.

import { badRequest, field, invalid, type FieldError } from '../api/errors.ts';
import type { OpOptions, PatchType, Propagation, Verb } from '../api/op.ts';
import { isTrue } from './route.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Draft = Mutable<OpOptions>;

const NONE: OpOptions = {};
const PROPAGATIONS: readonly string[] = ['Foreground', 'Background', 'Orphan'];
const VALIDATIONS: readonly string[] = ['', 'Ignore', 'Strict', 'Warn'];
const META = 'meta.k8s.io';

/** The options of a verb from its query. Throws BadRequest for values that do not parse, Invalid for those that make no sense. */
export function queryOptions(verb: Verb, query: URLSearchParams | undefined, patchType?: PatchType): OpOptions {
  if (verb === 'connect') return { query: query ?? new URLSearchParams() };
  if (verb === 'patch') return writeOptions(query ?? new URLSearchParams(), 'PatchOptions', patchType);
  if (!query) return NONE;
  switch (verb) {
    case 'get':
      return textsOf(query, ['resourceVersion']);
    case 'list':
    case 'watch':
      return listOptions(query, verb === 'watch');
    case 'create':
      return writeOptions(query, 'CreateOptions');
    case 'update':
      return writeOptions(query, 'UpdateOptions');
    case 'delete':
      return deleteOptions(query);
    case 'deletecollection':
      return { ...listOptions(query, false), ...deleteOptions(query) };
  }
}

type TextOption = 'labelSelector' | 'fieldSelector' | 'continue' | 'resourceVersion' | 'fieldManager';

function textsOf(query: URLSearchParams, names: readonly TextOption[]): Draft {
  const out: Draft = {};
  for (const name of names) {
    const value = query.get(name);
    if (value) out[name] = value;
  }
  return out;
}

function listOptions(query: URLSearchParams, watch: boolean): OpOptions {
  const out = textsOf(query, ['labelSelector', 'fieldSelector', 'continue', 'resourceVersion']);
  const limit = integer(query, 'limit');
  if (limit) out.limit = limit;
  const timeout = integer(query, 'timeoutSeconds');
  if (timeout !== undefined) out.timeoutSeconds = timeout;
  if (isTrue(query.get('allowWatchBookmarks'))) out.allowWatchBookmarks = true;
  const initial = query.get('sendInitialEvents');
  if (initial !== null) out.sendInitialEvents = isTrue(initial);
  const match = query.get('resourceVersionMatch');
  if (match) out.resourceVersionMatch = match as 'Exact';
  check('ListOptions', watch ? watchFaults(out) : listFaults(out));
  return out;
}

function listFaults(o: OpOptions): FieldError[] {
  const faults: FieldError[] = [];
  const path = 'resourceVersionMatch';
  const match = o.resourceVersionMatch as string | undefined;
  if (match) {
    if (!o.resourceVersion)
      faults.push(field.forbidden(path, `${path} is forbidden unless resourceVersion is provided`));
    if (o.continue) faults.push(field.forbidden(path, `${path} is forbidden when continue is provided`));
    if (match !== 'Exact' && match !== 'NotOlderThan')
      faults.push(field.notSupported(path, match, ['Exact', 'NotOlderThan', '']));
    if (match === 'Exact' && o.resourceVersion === '0')
      faults.push(field.forbidden(path, `${path} "exact" is forbidden for resourceVersion "0"`));
  }
  if (o.sendInitialEvents !== undefined)
    faults.push(field.forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  return faults;
}

function watchFaults(o: OpOptions): FieldError[] {
  const faults: FieldError[] = [];
  const path = 'resourceVersionMatch';
  const match = o.resourceVersionMatch as string | undefined;
  if (o.sendInitialEvents !== undefined && match !== 'NotOlderThan')
    faults.push(field.forbidden(path, `sendInitialEvents requires setting ${path} to NotOlderThan`));
  if (!match) return faults;
  if (o.sendInitialEvents === undefined)
    faults.push(field.forbidden(path, `${path} is forbidden for watch unless sendInitialEvents is provided`));
  if (match !== 'NotOlderThan') faults.push(field.notSupported(path, match, ['NotOlderThan']));
  if (o.continue) faults.push(field.forbidden(path, `${path} is forbidden when continue is provided`));
  return faults;
}

function writeOptions(query: URLSearchParams, kind: string, patchType?: PatchType): OpOptions {
  const out = textsOf(query, ['fieldManager']);
  const faults = dryRunInto(out, query.getAll('dryRun'));
  const validation = query.get('fieldValidation');
  if (validation && !VALIDATIONS.includes(validation))
    faults.push(field.notSupported('fieldValidation', validation, VALIDATIONS));
  else if (validation) out.fieldValidation = validation as 'Strict';
  if (patchType) {
    const force = query.get('force');
    if (force !== null) out.force = isTrue(force);
    if (patchType === 'apply' && !out.fieldManager)
      faults.push(field.required('fieldManager', 'is required for apply patch'));
    if (patchType !== 'apply' && out.force !== undefined)
      faults.push(field.forbidden('force', 'may not be specified for non-apply patch'));
  }
  faults.push(...managerFaults(out.fieldManager));
  check(kind, faults);
  return out;
}

function managerFaults(manager: string | undefined): FieldError[] {
  if (!manager) return [];
  if (manager.length > 128) return [field.tooLong('fieldManager', 128)];
  const faults: FieldError[] = [];
  let at = 0;
  for (const c of manager) {
    if (!/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(c)) {
      const point = c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
      faults.push(field.invalid('fieldManager', manager, `invalid character U+${point} (at position ${at})`));
    }
    at += c.length;
  }
  return faults;
}

function deleteOptions(query: URLSearchParams): OpOptions {
  const out: Draft = {};
  const grace = integer(query, 'gracePeriodSeconds');
  if (grace !== undefined) out.gracePeriodSeconds = grace;
  const uid = query.get('uid');
  if (uid) out.preconditions = { uid };
  const orphan = query.get('orphanDependents');
  const faults = dryRunInto(out, query.getAll('dryRun'));
  faults.push(
    ...propagationInto(out, query.get('propagationPolicy') ?? undefined, orphan === null ? undefined : isTrue(orphan)),
  );
  check('DeleteOptions', faults);
  return out;
}

/** The options of a `DeleteOptions` body; they replace those of the query. */
export function deleteOptionsOf(body: unknown): OpOptions {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw badRequest('decoded object cannot be converted to DeleteOptions');
  const b = body as Record<string, unknown>;
  if (b['kind'] !== undefined && b['kind'] !== '' && b['kind'] !== 'DeleteOptions')
    throw badRequest('decoded object cannot be converted to DeleteOptions');
  const out: Draft = {};
  const grace = typed<number>(b, 'gracePeriodSeconds', 'number');
  if (grace !== undefined) out.gracePeriodSeconds = grace;
  const preconditions = typed<{ uid?: string; resourceVersion?: string }>(b, 'preconditions', 'object');
  if (preconditions) {
    const uid = typed<string>(preconditions, 'uid', 'string');
    const resourceVersion = typed<string>(preconditions, 'resourceVersion', 'string');
    out.preconditions = {
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
    };
  }
  const dryRun = b['dryRun'] ?? [];
  if (!Array.isArray(dryRun)) throw unmarshal(typeof dryRun, 'dryRun', '[]string');
  const faults = dryRunInto(out, dryRun as string[]);
  faults.push(
    ...propagationInto(
      out,
      typed<string>(b, 'propagationPolicy', 'string'),
      typed<boolean>(b, 'orphanDependents', 'boolean'),
    ),
  );
  check('DeleteOptions', faults);
  return out;
}

function dryRunInto(out: Draft, values: readonly string[]): FieldError[] {
  if (values.length === 0 || (values.length === 1 && values[0] === '')) return [];
  if (!values.every((v) => v === 'All')) return [field.notSupported('dryRun', values, ['All'])];
  out.dryRun = true;
  return [];
}

function propagationInto(out: Draft, policy: string | undefined, orphan: boolean | undefined): FieldError[] {
  const faults: FieldError[] = [];
  if (policy !== undefined && orphan !== undefined)
    faults.push(
      field.invalid('propagationPolicy', policy, 'orphanDependents and deletionPropagation cannot be both set'),
    );
  if (policy !== undefined && !PROPAGATIONS.includes(policy))
    faults.push(field.notSupported('propagationPolicy', policy, [...PROPAGATIONS, 'nil']));
  if (policy !== undefined) out.propagationPolicy = policy as Propagation;
  else if (orphan !== undefined) out.propagationPolicy = orphan ? 'Orphan' : 'Background';
  return faults;
}

function typed<T>(from: object, name: string, type: string): T | undefined {
  const value = (from as Record<string, unknown>)[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== type || (type === 'number' && !Number.isInteger(value))) {
    const got = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
    throw unmarshal(got, name, type === 'number' ? 'int64' : type === 'boolean' ? 'bool' : type);
  }
  return value as T;
}

function unmarshal(got: string, name: string, want: string): Error {
  return badRequest(`json: cannot unmarshal ${got} into Go struct field DeleteOptions.${name} of type ${want}`);
}

function check(kind: string, faults: readonly FieldError[]): void {
  if (faults.length > 0) throw invalid(META, kind, '', faults);
}

/** An int64 query parameter; Go's parse error as BadRequest. */
function integer(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^[+-]?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  const value = Number(text);
  if (Math.abs(value) >= 2 ** 63)
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  return value;
}
