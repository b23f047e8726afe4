// The SubjectAccessReview family: asks the authorizer on somebody's behalf and answers in the object's status.
// https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access

import { badRequest, field, invalid, type FieldError } from '../../api/errors.ts';
import type {
  LocalSubjectAccessReview,
  NonResourceAttributes,
  ResourceAttributes,
  SelfSubjectAccessReview,
  SelfSubjectRulesReview,
  SubjectAccessReview,
  SubjectAccessReviewStatus,
} from '../../api/generated/authorization-v1.ts';
import type { KubeObject } from '../../api/object.ts';
import type { ObjectResult, UserInfo } from '../../api/op.ts';
import type { Attributes, Authorizer } from '../authorizer.ts';
import type { Call, Handler } from '../call.ts';
import type { GrantedRule, RbacAuthorizer } from './rbac.ts';

interface AccessSpec {
  resourceAttributes?: ResourceAttributes;
  nonResourceAttributes?: NonResourceAttributes;
}

function attributesOf(spec: AccessSpec, user: UserInfo): Attributes {
  const r = spec.resourceAttributes;
  const empty = { group: '', version: '', resource: '', subresource: '', namespace: '', name: '' };
  if (!r) {
    const n = spec.nonResourceAttributes ?? {};
    return { ...empty, user, verb: n.verb ?? '', path: n.path ?? '' };
  }
  const { verb = '', group = '', version = '', resource = '', subresource = '', namespace = '', name = '' } = r;
  const fieldSelector = fieldSelectorOf(r.fieldSelector);
  const attributes = { user, verb, group, version, resource, subresource, namespace, name };
  return fieldSelector ? { ...attributes, fieldSelector } : attributes;
}

/** The text form; requirements that have none (several values, `Exists`) narrow nothing here. */
function fieldSelectorOf(selector: ResourceAttributes['fieldSelector']): string {
  if (!selector) return '';
  if (selector.rawSelector) return selector.rawSelector;
  const single = selector.requirements?.filter((r) => r.operator === 'In' && r.values?.length === 1) ?? [];
  return single.map((r) => `${r.key}=${r.values![0]}`).join(',');
}

function checkSpec(spec: AccessSpec): FieldError[] {
  const both = spec.resourceAttributes && spec.nonResourceAttributes;
  if (both) {
    return [
      field.invalid(
        'spec.nonResourceAttributes',
        spec.nonResourceAttributes,
        'cannot be specified in combination with resourceAttributes',
      ),
    ];
  }
  if (spec.resourceAttributes || spec.nonResourceAttributes) return [];
  return [
    field.invalid(
      'spec.resourceAttributes',
      null,
      'exactly one of nonResourceAttributes or resourceAttributes must be specified',
    ),
  ];
}

function userOf(spec: SubjectAccessReview['spec']): UserInfo {
  const extra = spec.extra as Record<string, readonly string[]> | undefined;
  return {
    name: spec.user ?? '',
    groups: spec.groups ?? [],
    ...(spec.uid ? { uid: spec.uid } : {}),
    ...(extra ? { extra } : {}),
  };
}

function checkSubject(spec: SubjectAccessReview['spec']): FieldError[] {
  return spec.user || spec.groups?.length
    ? []
    : [field.invalid('spec.user', spec.user ?? '', 'at least one of user or group must be specified')];
}

function statusOf(authorizer: Authorizer, attributes: Attributes): SubjectAccessReviewStatus {
  const { allowed, denied, reason } = authorizer.authorize(attributes);
  return { allowed, ...(denied ? { denied } : {}), ...(reason ? { reason } : {}) };
}

function bodyOf<T extends KubeObject>(call: Call): T {
  return call.op.body as T;
}

function answer(call: Call, object: KubeObject): Promise<ObjectResult> {
  const { apiVersion, kind } = call.kind;
  return Promise.resolve({ type: 'object', object: { ...object, apiVersion, kind }, code: 201 });
}

function refuse(call: Call, errors: FieldError[]): void {
  if (errors.length) throw invalid(call.kind.group, call.kind.kind, '', errors);
}

const subjectAccessReview: Handler = (call) => {
  const review = bodyOf<SubjectAccessReview & KubeObject>(call);
  refuse(call, [...checkSpec(review.spec), ...checkSubject(review.spec)]);
  const status = statusOf(call.server.authorizer, attributesOf(review.spec, userOf(review.spec)));
  return answer(call, { ...review, status } as KubeObject);
};

const localSubjectAccessReview: Handler = (call) => {
  const review = bodyOf<LocalSubjectAccessReview & KubeObject>(call);
  const inside = review.spec.resourceAttributes?.namespace;
  const errors = [...checkSpec(review.spec), ...checkSubject(review.spec)];
  if (inside !== call.op.namespace) {
    errors.push(field.invalid('spec.resourceAttributes.namespace', inside ?? '', 'must match metadata.namespace'));
  }
  if (review.spec.nonResourceAttributes) {
    errors.push(
      field.invalid(
        'spec.nonResourceAttributes',
        review.spec.nonResourceAttributes,
        'disallowed on this kind of request',
      ),
    );
  }
  refuse(call, errors);
  const status = statusOf(call.server.authorizer, attributesOf(review.spec, userOf(review.spec)));
  return answer(call, { ...review, status } as KubeObject);
};

const selfSubjectAccessReview: Handler = (call) => {
  const review = bodyOf<SelfSubjectAccessReview & KubeObject>(call);
  refuse(call, checkSpec(review.spec));
  const status = statusOf(call.server.authorizer, attributesOf(review.spec, call.op.user));
  return answer(call, { ...review, status } as KubeObject);
};

const listed = (value: string[] | undefined, key: string) => (value?.length ? { [key]: value } : {});

function resourceRule({ rule }: GrantedRule) {
  return {
    verbs: rule.verbs,
    ...listed(rule.apiGroups, 'apiGroups'),
    ...listed(rule.resources, 'resources'),
    ...listed(rule.resourceNames, 'resourceNames'),
  };
}

function selfSubjectRulesReview(rbac: RbacAuthorizer): Handler {
  return (call) => {
    const review = bodyOf<SelfSubjectRulesReview & KubeObject>(call);
    const namespace = review.spec.namespace ?? '';
    if (!namespace) throw badRequest('no namespace on request');
    const { cluster, namespaced } = rbac.rulesFor(call.op.user, namespace);
    const rules = [...cluster, ...namespaced];
    const status = {
      resourceRules: rules.filter((r) => r.rule.resources?.length).map(resourceRule),
      nonResourceRules: rules
        .filter((r) => r.rule.nonResourceURLs?.length)
        .map(({ rule }) => ({ verbs: rule.verbs, nonResourceURLs: rule.nonResourceURLs })),
      incomplete: false,
    };
    return answer(call, { ...review, status } as KubeObject);
  };
}

/** The handlers of the virtual kinds of authorization.k8s.io. `rbac` is absent when RBAC is not in use. */
export function reviewHandlers(rbac: RbacAuthorizer | undefined): ReadonlyMap<string, Handler> {
  const group = 'authorization.k8s.io';
  const handlers = new Map<string, Handler>([
    [`subjectaccessreviews.${group}`, subjectAccessReview],
    [`localsubjectaccessreviews.${group}`, localSubjectAccessReview],
    [`selfsubjectaccessreviews.${group}`, selfSubjectAccessReview],
  ]);
  if (rbac) handlers.set(`selfsubjectrulesreviews.${group}`, selfSubjectRulesReview(rbac));
  return handlers;
}
