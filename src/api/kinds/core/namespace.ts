// Namespace: core/v1. It is deleted in two steps: its own finalizers in `spec` go when it is empty.

import { field } from '../../errors.ts';
import type { Namespace as NamespaceObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import type { Errors } from '../../validate/checks.ts';
import { validateFinalizerNames, validateFinalizers } from '../../validate/object-meta.ts';
import { AGE, ageOf, NAME, text } from '../columns.ts';

export type Namespace = NamespaceObject;

const NAME_LABEL = 'kubernetes.io/metadata.name';

export const Namespace = defineKind<NamespaceObject>({
  group: '',
  version: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  namespaced: false,
  names: 'label',
  shortNames: ['ns'],
  verbs: ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'],

  default(namespace) {
    labelWithName(namespace);
    (namespace.status ??= {}).phase ||= 'Active';
  },
  prepareForCreate(namespace) {
    labelWithName(namespace);
    namespace.status = { phase: 'Active' };
    const finalizers = namespace.spec?.finalizers ?? [];
    if (!finalizers.includes('kubernetes')) namespace.spec = { finalizers: [...finalizers, 'kubernetes'] };
  },
  prepareForUpdate(namespace, old) {
    labelWithName(namespace);
    namespace.spec = { ...old.spec };
  },

  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    out.push(...validateNamespaceFinalizers(spec?.finalizers));
    return out;
  },
  status: {
    validateUpdate({ metadata, status }) {
      const phase = status?.phase ?? '';
      const wanted = metadata.deletionTimestamp ? 'Terminating' : 'Active';
      if (phase === wanted) return [];
      const when = metadata.deletionTimestamp ? 'is not empty' : 'is empty';
      return [field.invalid('status.Phase', phase, `may only be '${wanted}' if \`deletionTimestamp\` ${when}`)];
    },
  },

  subresources: { finalize: { verbs: ['update'] } },
  selectableFields: { 'status.phase': ({ status }) => status?.phase ?? '' },
  columns: [NAME, text('Status', 'The status of the namespace'), AGE],
  row: (namespace, now) => [namespace.metadata.name, namespace.status?.phase ?? '', ageOf(namespace, now)],
});

function labelWithName({ metadata }: NamespaceObject): void {
  if (metadata.name) metadata.labels = { ...metadata.labels, [NAME_LABEL]: metadata.name };
}

/** For writes of the finalize subresource. */
export function validateNamespaceFinalizers(finalizers: readonly string[] | undefined): Errors {
  const out: Errors = [];
  validateFinalizers(finalizers, 'spec.finalizers', out);
  validateFinalizerNames(finalizers, 'spec.finalizers', out);
  return out;
}
