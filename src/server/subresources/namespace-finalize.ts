// namespaces/finalize: the namespace controller takes its finalizer away when nothing is left inside. With the last
// one gone, a deleted namespace goes.

import type { Namespace } from '../../api/generated/core-v1.ts';
import { validateNamespaceFinalizers } from '../../api/kinds/core/namespace.ts';
import { requireVerb, type Handler } from '../call.ts';
import { partHandler } from './rewrite.ts';

const rewrite = partHandler<Namespace>({
  take: (sent, current) => ({ ...current, spec: { finalizers: sent.spec?.finalizers ?? [] } }),
  validate: ({ spec }) => validateNamespaceFinalizers(spec?.finalizers),
});

export const namespaceFinalize: Handler = (call) => {
  requireVerb(call, 'update');
  return rewrite(call);
};
