// PriorityClass: scheduling.k8s.io/v1. Names a priority for pods; admission turns the name into the number.

import { field, type FieldError } from '../../errors.ts';
import type { PriorityClass as PriorityClassObject } from '../../generated/scheduling-v1.ts';
import { defineKind } from '../../kind.ts';
import { validateImmutable } from '../../validate/object-meta.ts';
import { ageOf, AGE, NAME, text } from '../columns.ts';

export type PriorityClass = PriorityClassObject;

/** What the system itself brings; names with its prefix are reserved for these. */
export const SYSTEM_PRIORITY_CLASSES: readonly { name: string; value: number; description: string }[] = [
  {
    name: 'system-node-critical',
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
  },
  {
    name: 'system-cluster-critical',
    value: 2_000_000_000,
    description:
      'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  },
];
const HIGHEST = 1_000_000_000;
const POLICIES = ['Never', 'PreemptLowerPriority'];

export const PriorityClass = defineKind<PriorityClassObject>({
  group: 'scheduling.k8s.io',
  version: 'v1',
  kind: 'PriorityClass',
  plural: 'priorityclasses',
  namespaced: false,
  shortNames: ['pc'],
  createOnUpdate: true,
  generation: true,
  default(draft) {
    draft.preemptionPolicy ??= 'PreemptLowerPriority';
  },
  prepareForCreate(draft) {
    draft.value ??= 0;
  },
  validate(object) {
    const out: FieldError[] = [];
    const name = object.metadata.name ?? '';
    const value = object.value ?? 0;
    if (name.startsWith('system-')) {
      const known = SYSTEM_PRIORITY_CLASSES.find((c) => c.name === name);
      const why = known
        ? `value of ${name} PriorityClass must be ${known.value}`
        : `${name} is not a known system priority class`;
      const text = "priority class names with 'system-' prefix are reserved for system use only";
      if (known?.value !== value) out.push(field.forbidden('metadata.name', `${text}. error: ${why}`));
    } else if (value > HIGHEST) {
      out.push(field.forbidden('value', `maximum allowed value of a user defined priority is ${HIGHEST}`));
    }
    const policy = object.preemptionPolicy;
    if (policy && !POLICIES.includes(policy)) out.push(field.notSupported('preemptionPolicy', policy, POLICIES));
    return out;
  },
  validateUpdate(object, old) {
    const out: FieldError[] = [];
    if (object.value !== old.value) out.push(field.forbidden('value', 'may not be changed in an update.'));
    validateImmutable(object.preemptionPolicy, old.preemptionPolicy, 'preemptionPolicy', out);
    return out;
  },
  columns: [
    NAME,
    { name: 'Value', type: 'integer', description: 'Value represents the integer value of this priority class.' },
    { name: 'Global-Default', type: 'boolean', description: 'Whether this is the priority of pods without a class.' },
    AGE,
    text('PreemptionPolicy', 'Whether pods of this class may push out others.'),
  ],
  row: (object, now) => [
    object.metadata.name,
    object.value ?? 0,
    object.globalDefault ?? false,
    ageOf(object, now),
    object.preemptionPolicy ?? '',
  ],
});
