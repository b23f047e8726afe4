// API errors: one class, one table from reason to HTTP code, and a constructor for each reason upstream uses.
// https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#response-status-kind

import type { Status, StatusCause, StatusDetails } from './generated/meta-v1.ts';

export const CODES = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServerTimeout: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
} as const;

export type Reason = keyof typeof CODES;

export class StatusError extends Error {
  readonly reason: Reason | (string & {});
  readonly code: number;
  readonly details: StatusDetails | undefined;

  constructor(reason: Reason | (string & {}), message: string, details?: StatusDetails, code?: number) {
    super(message);
    this.name = 'StatusError';
    this.reason = reason;
    this.code = code ?? (CODES as Record<string, number>)[reason] ?? 500;
    this.details = details;
  }

  /** The `metav1.Status` that goes on the wire. */
  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      ...(this.reason ? { reason: this.reason } : {}),
      ...(this.details ? { details: this.details } : {}),
      code: this.code,
    };
  }

  static fromStatus(status: Status): StatusError {
    return new StatusError(status.reason ?? '', status.message ?? 'unknown error', status.details, status.code);
  }
}

/** True for a StatusError with one of these reasons. */
export function isReason(error: unknown, ...reasons: Reason[]): error is StatusError {
  return error instanceof StatusError && (reasons as string[]).includes(error.reason);
}

/** What a message is about; `resource` is the plural name. */
export interface Subject {
  readonly group?: string;
  readonly resource: string;
}
const qualified = (s: Subject) => (s.group ? `${s.resource}.${s.group}` : s.resource);
const detailsOf = (s: Subject, name: string): StatusDetails => ({
  name,
  ...(s.group ? { group: s.group } : {}),
  kind: s.resource,
});

export const notFound = (s: Subject, name: string) =>
  new StatusError('NotFound', `${qualified(s)} "${name}" not found`, detailsOf(s, name));

export const alreadyExists = (s: Subject, name: string) =>
  new StatusError('AlreadyExists', `${qualified(s)} "${name}" already exists`, detailsOf(s, name));

export const conflict = (s: Subject, name: string, why: string) =>
  new StatusError('Conflict', `Operation cannot be fulfilled on ${qualified(s)} "${name}": ${why}`, detailsOf(s, name));

export const MODIFIED = 'the object has been modified; please apply your changes to the latest version and try again';

export const forbidden = (s: Subject, name: string, why: string) =>
  new StatusError(
    'Forbidden',
    name ? `${qualified(s)} "${name}" is forbidden: ${why}` : `${qualified(s)} is forbidden: ${why}`,
    detailsOf(s, name),
  );

export const badRequest = (message: string) => new StatusError('BadRequest', message);
export const unauthorized = (message = 'Unauthorized') => new StatusError('Unauthorized', message);
export const internalError = (message: string) =>
  new StatusError('InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] });
export const methodNotSupported = (s: Subject, verb: string) =>
  new StatusError('MethodNotAllowed', `${verb} is not supported on resources of kind "${qualified(s)}"`, {
    ...(s.group ? { group: s.group } : {}),
    kind: s.resource,
  });
export const expired = (message: string) => new StatusError('Expired', message);
export const gone = (message: string) => new StatusError('Gone', message);
export const tooManyRequests = (message: string, retryAfterSeconds: number) =>
  new StatusError('TooManyRequests', message, { retryAfterSeconds });

/** 422; `kind` is the qualified kind, e.g. `Deployment.apps`. */
export function invalid(group: string, kind: string, name: string, causes: readonly FieldError[]): StatusError {
  const texts = causes.map(fieldErrorText);
  const all = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  return new StatusError('Invalid', `${group ? `${kind}.${group}` : kind} "${name}" is invalid: ${all}`, {
    name,
    ...(group ? { group } : {}),
    kind,
    causes: causes.map((c): StatusCause => ({ reason: c.type, message: fieldErrorBody(c), field: c.field })),
  });
}

/** Upstream's `field.Error` types, as they stand in `causes[].reason`. */
export type FieldErrorType =
  | 'FieldValueNotFound'
  | 'FieldValueRequired'
  | 'FieldValueDuplicate'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'InternalError'
  | 'FieldValueTypeInvalid';

export interface FieldError {
  readonly type: FieldErrorType;
  /** The path, e.g. `spec.template.spec.containers[0].image`. */
  readonly field: string;
  readonly value?: unknown;
  readonly detail?: string;
}

const LABELS: Record<FieldErrorType, string> = {
  FieldValueNotFound: 'Not found',
  FieldValueRequired: 'Required value',
  FieldValueDuplicate: 'Duplicate value',
  FieldValueInvalid: 'Invalid value',
  FieldValueNotSupported: 'Unsupported value',
  FieldValueForbidden: 'Forbidden',
  FieldValueTooLong: 'Too long',
  FieldValueTooMany: 'Too many',
  InternalError: 'Internal error',
  FieldValueTypeInvalid: 'Invalid value',
};

export function fieldErrorBody(e: FieldError): string {
  const label = LABELS[e.type];
  const bare =
    e.type === 'FieldValueRequired' ||
    e.type === 'FieldValueForbidden' ||
    e.type === 'FieldValueTooLong' ||
    e.type === 'InternalError' ||
    (e.type === 'FieldValueTooMany' && e.value === undefined);
  const head = bare ? label : `${label}: ${showValue(e.value)}`;
  return e.detail ? `${head}: ${e.detail}` : head;
}

export const fieldErrorText = (e: FieldError) => `${e.field}: ${fieldErrorBody(e)}`;

function showValue(value: unknown): string {
  if (value === undefined || value === null) return 'null';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return JSON.stringify(value);
}

/** Constructors of field errors; `path` is the full field path. */
export const field = {
  notFound: (path: string, value: unknown): FieldError => ({ type: 'FieldValueNotFound', field: path, value }),
  required: (path: string, detail = ''): FieldError => ({ type: 'FieldValueRequired', field: path, detail }),
  duplicate: (path: string, value: unknown): FieldError => ({ type: 'FieldValueDuplicate', field: path, value }),
  invalid: (path: string, value: unknown, detail: string): FieldError => ({
    type: 'FieldValueInvalid',
    field: path,
    value,
    detail,
  }),
  notSupported: (path: string, value: unknown, supported: readonly string[]): FieldError => ({
    type: 'FieldValueNotSupported',
    field: path,
    value,
    detail: supported.length ? `supported values: ${supported.map((s) => JSON.stringify(s)).join(', ')}` : '',
  }),
  forbidden: (path: string, detail: string): FieldError => ({ type: 'FieldValueForbidden', field: path, detail }),
  tooLong: (path: string, max: number): FieldError => ({
    type: 'FieldValueTooLong',
    field: path,
    detail: `may not be more than ${max} bytes`,
  }),
  tooMany: (path: string, actual: number, max: number): FieldError => ({
    type: 'FieldValueTooMany',
    field: path,
    value: actual,
    detail: `must have at most ${max} items`,
  }),
};
