// The authorization contract: attributes of a request in, a decision out. RBAC and the other modes implement it.

import type { UserInfo } from '../api/op.ts';

export interface Attributes {
  readonly user: UserInfo;
  /** API verb for resources, the lower-case HTTP method for other paths. */
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  /** For list, watch and deletecollection the name that the field selector asks for, if any. */
  readonly name: string;
  /** As sent, of list, watch and deletecollection. */
  readonly fieldSelector?: string;
  /** Set for requests that are not about a resource: `/healthz`, `/apis`. */
  readonly path?: string;
}

export interface Decision {
  readonly allowed: boolean;
  /** Explicitly refused: later authorizers are not asked. */
  readonly denied?: boolean;
  readonly reason: string;
}

export interface Authorizer {
  /** Answers from caches, at once. */
  authorize(attributes: Attributes): Decision;
}
