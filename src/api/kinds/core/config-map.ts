// ConfigMap: core/v1.

import { decodedLength } from '../../base64.ts';
import { field } from '../../errors.ts';
import type { ConfigMap as ConfigMapObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import type { Errors } from '../../validate/checks.ts';
import { MAX_DATA_BYTES, validateData, validateFrozen } from '../../validate/data.ts';
import { utf8Length, validateFinalizerNames } from '../../validate/object-meta.ts';
import { AGE, ageOf, integer, NAME } from '../columns.ts';

export type ConfigMap = ConfigMapObject;

const count = (data: object | undefined) => Object.keys(data ?? {}).length;

export const ConfigMap = defineKind<ConfigMapObject>({
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
  shortNames: ['cm'],

  validate({ metadata, data, binaryData }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    for (const key in data) {
      if (binaryData?.[key] !== undefined) {
        out.push(field.invalid(`data[${key}]`, key, 'duplicate of key present in binaryData'));
      }
    }
    const bytes =
      validateData(data, 'data', utf8Length, out) + validateData(binaryData, 'binaryData', decodedLength, out);
    if (bytes > MAX_DATA_BYTES) out.push(field.tooLong('', MAX_DATA_BYTES));
    return out;
  },
  validateUpdate(map, old) {
    const out: Errors = [];
    validateFrozen(map, old, ['data', 'binaryData'], out);
    return out;
  },

  columns: [NAME, integer('Data', 'How many entries it has.'), AGE],
  row: (map, now) => [map.metadata.name, count(map.data) + count(map.binaryData), ageOf(map, now)],
});
