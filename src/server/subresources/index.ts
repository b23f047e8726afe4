// The handlers of built-in subresources, one line each. Review kinds and tokens come from their own modules.

import type { Handler } from '../call.ts';
import { createBinding, podBinding } from './binding.ts';
import { csrApproval } from './csr-approval.ts';
import { podEviction } from './eviction.ts';
import { namespaceFinalize } from './namespace-finalize.ts';
import { podLog } from './pod-log.ts';
import { ephemeralContainers, resize } from './pod-parts.ts';
import { podAttach, podExec, podPortForward } from './pod-streams.ts';
import { nodeProxy, podProxy, serviceProxy } from './proxy.ts';

export const subresourceHandlers: readonly (readonly [string, Handler])[] = [
  ['bindings', createBinding],
  ['pods/binding', podBinding],
  ['pods/eviction', podEviction],
  ['pods/ephemeralcontainers', ephemeralContainers],
  ['pods/resize', resize],
  ['pods/log', podLog],
  ['pods/exec', podExec],
  ['pods/attach', podAttach],
  ['pods/portforward', podPortForward],
  ['pods/proxy', podProxy],
  ['services/proxy', serviceProxy],
  ['nodes/proxy', nodeProxy],
  ['namespaces/finalize', namespaceFinalize],
  ['certificatesigningrequests.certificates.k8s.io/approval', csrApproval],
];
