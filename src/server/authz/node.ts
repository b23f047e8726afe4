// The Node authorizer: a kubelet reads its own Node, the pods bound to it, and the secrets, config maps and volumes those
// pods use. What else it may do is a fixed list of rules. NodeRestriction (admission) limits what it writes.
// https://kubernetes.io/docs/reference/access-authn-authz/node/

import type { PersistentVolumeClaim, Pod as PodObject } from '../../api/generated/core-v1.ts';
import type { PolicyRule } from '../../api/generated/rbac-v1.ts';
import type { UserInfo } from '../../api/op.ts';
import type { Attributes, Authorizer, Decision } from '../authorizer.ts';
import { referencesOf } from './pod-references.ts';
import { matches } from './rbac.ts';

export interface NodeSource {
  /** The pods bound to the node. */
  podsOn(node: string): readonly PodObject[];
  claim(namespace: string, name: string): PersistentVolumeClaim | undefined;
}

const ALLOWED: Decision = { allowed: true, reason: '' };
const no = (reason: string): Decision => ({ allowed: false, reason });
const LEASES = 'kube-node-lease';
const READ: ReadonlySet<string> = new Set(['get', 'list', 'watch']);
const PREFIX = 'system:node:';

function nodeOf({ name, groups }: UserInfo): string | undefined {
  return name.startsWith(PREFIX) && groups.includes('system:nodes') ? name.slice(PREFIX.length) : undefined;
}

export class NodeAuthorizer implements Authorizer {
  readonly #source: NodeSource;
  readonly #rules: readonly PolicyRule[];

  /** `rules` say what every node may do, where nothing here is stricter. */
  constructor(source: NodeSource, rules: readonly PolicyRule[]) {
    this.#source = source;
    this.#rules = rules;
  }

  authorize(a: Attributes): Decision {
    const node = nodeOf(a.user);
    if (node === undefined) return no('');
    if (node === '') return no(`unknown node for user ${JSON.stringify(a.user.name)}`);
    const strict = a.path === undefined ? this.#strict(node, a) : undefined;
    return strict ?? (this.#rules.some((rule) => matches(rule, a)) ? ALLOWED : no(''));
  }

  /** The decision about what is not the same for all nodes. */
  #strict(node: string, a: Attributes): Decision | undefined {
    switch (a.group ? `${a.resource}.${a.group}` : a.resource) {
      case 'secrets':
      case 'configmaps':
        return this.#read(node, a);
      case 'persistentvolumeclaims':
      case 'persistentvolumes':
        return this.#get(node, a);
      case 'serviceaccounts':
        return this.#serviceAccount(node, a);
      case 'pods':
        return this.#pods(node, a);
      case 'nodes':
        return ownNode(node, a);
      case 'leases.coordination.k8s.io':
        return ownLease(node, a);
      default:
        return undefined;
    }
  }

  #read(node: string, a: Attributes): Decision {
    if (!READ.has(a.verb)) return no('can only read resources of this type');
    if (a.subresource) return no('cannot read subresource');
    if (!a.namespace) return no('can only read namespaced object of this type');
    return this.#related(node, a);
  }

  #get(node: string, a: Attributes): Decision {
    if (a.verb !== 'get') return no('can only get individual resources of this type');
    return a.subresource ? no('cannot get subresource') : this.#related(node, a);
  }

  #serviceAccount(node: string, a: Attributes): Decision {
    const token = a.verb === 'create' && a.subresource === 'token';
    if (token || (a.verb === 'get' && !a.subresource)) return this.#related(node, a);
    return no(
      a.subresource ? 'can only create tokens for individual service accounts' : 'can only get service accounts',
    );
  }

  #pods(node: string, a: Attributes): Decision {
    if (a.subresource === 'status') return a.verb === 'update' || a.verb === 'patch' ? ALLOWED : no('');
    if (a.subresource === 'eviction') return a.verb === 'create' ? ALLOWED : no('');
    if (a.subresource) return no('');
    if (a.verb === 'create' || a.verb === 'delete') return ALLOWED;
    if (a.verb === 'get') return this.#related(node, a);
    if (a.verb !== 'list' && a.verb !== 'watch') return no('');
    if (a.fieldSelector?.split(',').some((term) => /^spec\.nodeName==?/.test(term) && term.endsWith(`=${node}`)))
      return ALLOWED;
    if (a.name) return this.#related(node, a);
    return no('can only list/watch pods with spec.nodeName field selector');
  }

  #related(node: string, a: Attributes): Decision {
    if (!a.name) return no('No Object name found');
    for (const pod of this.#source.podsOn(node)) if (this.#uses(pod, a)) return ALLOWED;
    return no(`no relationship found between node '${node}' and this object`);
  }

  #uses(pod: PodObject, { resource, namespace, name }: Attributes): boolean {
    if (resource === 'persistentvolumes') {
      const claims = referencesOf(pod).persistentvolumeclaims;
      return [...claims].some((c) => this.#source.claim(pod.metadata.namespace!, c)?.spec?.volumeName === name);
    }
    if (pod.metadata.namespace !== namespace) return false;
    if (resource === 'pods') return pod.metadata.name === name;
    return referencesOf(pod)[resource as keyof ReturnType<typeof referencesOf>].has(name);
  }
}

function ownNode(node: string, { verb, subresource, name }: Attributes): Decision {
  if (subresource === 'status') return verb === 'update' || verb === 'patch' ? ALLOWED : no('');
  if (subresource) return no('');
  if (verb === 'create' || verb === 'update' || verb === 'patch') return ALLOWED;
  if (!READ.has(verb)) return no('');
  if (name === node) return ALLOWED;
  const all = name ? `'${name}'` : 'all nodes';
  return no(`node '${node}' cannot read ${all}, only its own Node object`);
}

function ownLease(node: string, { verb, subresource, namespace, name }: Attributes): Decision {
  if (!['get', 'create', 'update', 'patch', 'delete'].includes(verb))
    return no('can only get, create, update, patch, or delete a node lease');
  if (namespace !== LEASES) return no(`can only access leases in the ${JSON.stringify(LEASES)} system namespace`);
  if (subresource) return no('cannot access node lease subresources');
  if (verb !== 'create' && name !== node)
    return no('can only access node lease with the same name as the requesting node');
  return ALLOWED;
}
