// IngressClass: networking.k8s.io/v1.

import { field } from '../../errors.ts';
import type {
  IngressClass as IngressClassObject,
  IngressClassParametersReference,
} from '../../generated/networking-v1.ts';
import { defineKind } from '../../kind.ts';
import { type Errors, missing } from '../../validate/checks.ts';
import { addFaults, dns1123Label, dns1123Subdomain, patternText } from '../../validate/names.ts';
import { validateFinalizerNames, validateImmutable } from '../../validate/object-meta.ts';
import { AGE, ageOf, NAME, NONE, text } from '../columns.ts';
import { validateReference } from './ingress.ts';

export type IngressClass = IngressClassObject;

const MAX_CONTROLLER = 250;
const HTTP_PATH = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";

export const IngressClass = defineKind<IngressClassObject>({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'IngressClass',
  plural: 'ingressclasses',
  singular: 'ingressclass',
  namespaced: false,
  generation: true,

  default({ spec }) {
    if (spec.parameters) spec.parameters.scope ??= 'Cluster';
  },
  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    validateController(spec.controller, out);
    if (spec.parameters) validateParameters(spec.parameters, 'spec.parameters', out);
    return out;
  },
  validateUpdate(cls, old) {
    const out: Errors = [];
    validateImmutable(cls.spec.controller, old.spec.controller, 'spec.controller', out);
    return out;
  },

  columns: [
    NAME,
    text('Controller', 'Controller that is responsible for handling this class'),
    text('Parameters', 'A reference to a resource with additional parameters'),
    AGE,
  ],
  row(cls, now) {
    const { parameters, controller } = cls.spec;
    const group = parameters?.apiGroup ? `.${parameters.apiGroup}` : '';
    return [
      cls.metadata.name,
      controller ?? '',
      parameters ? `${parameters.kind}${group}/${parameters.name}` : NONE,
      ageOf(cls, now),
    ];
  },
});

/** `example.com/controller`. */
function validateController(controller: string | undefined, out: Errors): void {
  const path = 'spec.controller';
  if (missing(controller)) return void out.push(field.required(path));
  if (controller.length > MAX_CONTROLLER) out.push(field.tooLong(path, MAX_CONTROLLER));
  const slash = controller.indexOf('/');
  const [host, rest] = [controller.slice(0, slash), controller.slice(slash + 1)];
  if (slash < 1 || rest === '') {
    return void out.push(field.invalid(path, controller, 'must be a domain-prefixed path (such as "acme.io/foo")'));
  }
  addFaults(dns1123Subdomain(host), path, host, out);
  if (!/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(rest)) {
    out.push(field.invalid(path, rest, patternText('Invalid path', HTTP_PATH)));
  }
}

function validateParameters(ref: IngressClassParametersReference, path: string, out: Errors): void {
  validateReference(ref, path, out);
  const { scope, namespace } = ref;
  const at = `${path}.namespace`;
  if (scope === undefined) out.push(field.required(`${path}.scope`));
  else if (scope === 'Namespace') {
    if (namespace === undefined) out.push(field.required(at, "`parameters.scope` is set to 'Namespace'"));
    else addFaults(dns1123Label(namespace), at, namespace, out);
  } else if (scope !== 'Cluster') {
    out.push(field.notSupported(`${path}.scope`, scope, ['Cluster', 'Namespace']));
  } else if (namespace !== undefined) {
    out.push(field.forbidden(at, "`parameters.scope` is set to 'Cluster'"));
  }
}
