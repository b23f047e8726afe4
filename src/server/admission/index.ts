// The built-in admission plugins, in the order they run, and which of them are on.

import type { Env } from '../../base/env.ts';
import type { AdmissionPlugin } from '../admission.ts';
import type { Authorizer } from '../authorizer.ts';
import { escalationCheck } from '../authz/escalation.ts';
import type { RbacAuthorizer } from '../authz/rbac.ts';
import type { Caches } from '../caches.ts';
import { certificateSigning } from './certificate-signing.ts';
import { defaultTolerationSeconds } from './default-toleration-seconds.ts';
import { namespaceLifecycle } from './namespace-lifecycle.ts';
import { nodeRestriction } from './node-restriction.ts';
import { priority } from './priority.ts';
import { serviceAccount } from './service-account.ts';
import { taintNodesByCondition } from './taint-nodes-by-condition.ts';

export interface AdmissionOptions {
  /** Names of plugins to switch on; all that there are, are. */
  readonly enable?: readonly string[];
  /** Names of plugins to switch off, e.g. `ServiceAccount`. All are on unless told. */
  readonly disable?: readonly string[];
  /** When given, only these are on. */
  readonly only?: readonly string[];
  /** Further plugins, run after the built-in ones. */
  readonly extra?: readonly AdmissionPlugin[];
}

export interface AdmissionContext {
  readonly caches: Caches;
  readonly env: Env;
  readonly authorizer: Authorizer;
  /** Where RBAC is in use: what users hold, which they may not give away beyond. */
  readonly rbac?: RbacAuthorizer | undefined;
}

/** Throws for a name that no plugin has. */
export function admissionPlugins(context: AdmissionContext, options: AdmissionOptions = {}): AdmissionPlugin[] {
  const { caches, env, authorizer, rbac } = context;
  const all = [
    namespaceLifecycle(caches),
    nodeRestriction(caches),
    taintNodesByCondition,
    serviceAccount(caches, env),
    priority(caches),
    defaultTolerationSeconds,
    certificateSigning(authorizer),
    ...(rbac ? [escalationCheck(authorizer, rbac)] : []),
    ...(options.extra ?? []),
  ];
  const known = all.map((plugin) => plugin.name);
  for (const name of [...(options.enable ?? []), ...(options.disable ?? []), ...(options.only ?? [])]) {
    if (!known.includes(name))
      throw new Error(`unknown admission plugin ${JSON.stringify(name)}: there are ${known.join(', ')}`);
  }
  return all.filter(({ name }) => (options.only?.includes(name) ?? true) && !options.disable?.includes(name));
}
