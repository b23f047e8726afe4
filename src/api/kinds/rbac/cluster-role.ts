// ClusterRole: rbac.authorization.k8s.io/v1.

import { field } from '../../errors.ts';
import type { ClusterRole as ClusterRoleObject } from '../../generated/rbac-v1.ts';
import { defineKind } from '../../kind.ts';
import type { Errors } from '../../validate/checks.ts';
import { validateFinalizerNames, validateLabelSelector } from '../../validate/object-meta.ts';
import { GROUP, roleColumns, validateRules } from './common.ts';

export type ClusterRole = ClusterRoleObject;

export const ClusterRole = defineKind<ClusterRoleObject>({
  group: GROUP,
  version: 'v1',
  kind: 'ClusterRole',
  plural: 'clusterroles',
  namespaced: false,
  names: 'path',
  createOnUpdate: true,

  validate({ metadata, rules, aggregationRule }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    validateRules(rules, false, out);
    if (!aggregationRule) return out;
    const path = 'aggregationRule.clusterRoleSelectors';
    const selectors = aggregationRule.clusterRoleSelectors ?? [];
    if (!selectors.length) {
      out.push(field.required(path, 'at least one clusterRoleSelector required if aggregationRule is non-nil'));
    }
    selectors.forEach((selector, i) => validateLabelSelector(selector, `${path}[${i}]`, out));
    return out;
  },
  columns: roleColumns,
  row: ({ metadata }) => [metadata.name, metadata.creationTimestamp],
});
