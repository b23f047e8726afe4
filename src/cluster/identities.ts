// Who the components of one process are to the API server. Each has an identity of its own and only the rights it needs.

import type { UserInfo } from '../api/op.ts';

const AUTHENTICATED = 'system:authenticated';

export const systemUser = (name: string): UserInfo => ({ name, groups: [AUTHENTICATED] });

/** The control plane itself: makes what must exist before anybody has rights. */
export const LOOPBACK: UserInfo = { name: 'system:apiserver', groups: ['system:masters', AUTHENTICATED] };
export const CONTROLLER_MANAGER = systemUser('system:kube-controller-manager');
export const SCHEDULER = systemUser('system:kube-scheduler');
export const PROXY = systemUser('system:kube-proxy');

export const nodeUser = (nodeName: string): UserInfo => ({
  name: `system:node:${nodeName}`,
  groups: ['system:nodes', AUTHENTICATED],
});

export const serviceAccountUser = (namespace: string, name: string): UserInfo => ({
  name: `system:serviceaccount:${namespace}:${name}`,
  groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, AUTHENTICATED],
});
