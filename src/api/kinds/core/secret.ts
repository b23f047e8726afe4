// Secret: core/v1.

import { decodedLength, decodeText, encodeText } from '../../base64.ts';
import { field } from '../../errors.ts';
import type { Secret as SecretObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import { type Errors, missing } from '../../validate/checks.ts';
import { MAX_DATA_BYTES, validateData, validateFrozen } from '../../validate/data.ts';
import { validateFinalizerNames, validateImmutable } from '../../validate/object-meta.ts';
import { AGE, ageOf, integer, NAME, text } from '../columns.ts';

export type Secret = SecretObject;

const SERVICE_ACCOUNT = 'kubernetes.io/service-account.name';

export const Secret = defineKind<SecretObject>({
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',
  namespaced: true,

  default(secret) {
    secret.type ||= 'Opaque';
    const { stringData } = secret;
    if (!stringData) return;
    const data: Record<string, string> = { ...secret.data };
    for (const key in stringData) data[key] = encodeText(stringData[key]!);
    if (Object.keys(data).length) secret.data = data;
    delete secret.stringData;
  },

  validate(secret) {
    const out: Errors = [];
    validateFinalizerNames(secret.metadata.finalizers, 'metadata.finalizers', out);
    const bytes = validateData(secret.data, 'data', decodedLength, out);
    if (bytes > MAX_DATA_BYTES) out.push(field.tooLong('data', MAX_DATA_BYTES));
    validateType(secret, out);
    return out;
  },
  validateUpdate(secret, old) {
    const out: Errors = [];
    validateImmutable(secret.type, old.type, 'type', out);
    validateFrozen(secret, old, ['data'], out);
    return out;
  },

  selectableFields: { type: ({ type }) => type ?? '' },
  columns: [NAME, text('Type', 'What it is for.'), integer('Data', 'How many entries it has.'), AGE],
  row: (secret, now) => [
    secret.metadata.name,
    secret.type ?? '',
    Object.keys(secret.data ?? {}).length,
    ageOf(secret, now),
  ],
});

/** What secrets of the known types must hold. */
function validateType({ metadata, type, data = {} }: SecretObject, out: Errors): void {
  const need = (...keys: string[]) => {
    for (const key of keys) if (data[key] === undefined) out.push(field.required(`data[${key}]`));
  };
  switch (type) {
    case 'kubernetes.io/service-account-token':
      if (missing(metadata.annotations?.[SERVICE_ACCOUNT])) {
        out.push(field.required(`metadata.annotations[${SERVICE_ACCOUNT}]`));
      }
      return;
    case 'kubernetes.io/dockercfg':
      return validateJson('.dockercfg', data, out);
    case 'kubernetes.io/dockerconfigjson':
      return validateJson('.dockerconfigjson', data, out);
    case 'kubernetes.io/basic-auth':
      if (data['username'] === undefined && data['password'] === undefined) need('username', 'password');
      return;
    case 'kubernetes.io/ssh-auth':
      if (missing(data['ssh-privatekey'])) out.push(field.required('data[ssh-privatekey]'));
      return;
    case 'kubernetes.io/tls':
      return need('tls.crt', 'tls.key');
    default:
  }
}

function validateJson(key: string, data: Readonly<Record<string, string>>, out: Errors): void {
  const value = data[key];
  if (value === undefined) return void out.push(field.required(`data[${key}]`));
  let fault = value === '' ? 'unexpected end of JSON input' : undefined;
  try {
    const parsed: unknown = value === '' ? null : JSON.parse(decodeText(value));
    if (typeof parsed !== 'object' || Array.isArray(parsed)) fault = 'must be a JSON object';
  } catch {
    fault = 'must be valid JSON'; // The parser's own text would show a piece of the secret.
  }
  if (fault) out.push(field.invalid(`data[${key}]`, '<secret contents redacted>', fault));
}
