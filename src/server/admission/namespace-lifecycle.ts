// Nothing is written into a namespace that is not there, nothing is created in one that is going, and the namespaces
// the system lives in stay.

import { forbidden, notFound, StatusError } from '../../api/errors.ts';
import type { Namespace as NamespaceObject } from '../../api/generated/core-v1.ts';
import { Namespace } from '../../api/kinds/core/namespace.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { subjectOf } from '../call.ts';
import type { Caches, Storage } from '../caches.ts';
import { nameOf } from './request-name.ts';

const IMMORTAL: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public']);

export function namespaceLifecycle(caches: Caches): AdmissionPlugin {
  const check = (request: AdmissionRequest, name: string, storage: Storage) => {
    const namespace = storage.get(undefined, name) as NamespaceObject | undefined;
    if (!namespace) throw notFound(subjectOf(Namespace), name);
    if (request.operation === 'CREATE' && namespace.status?.phase === 'Terminating') throw terminating(request, name);
  };
  return {
    name: 'NamespaceLifecycle',
    handles: (operation) => operation !== 'CONNECT',
    admit(request) {
      const { kind, operation } = request;
      if (!kind.group && kind.plural === 'namespaces') {
        const name = request.old?.metadata.name ?? '';
        if (operation !== 'DELETE' || !IMMORTAL.has(name)) return;
        throw forbidden(subjectOf(kind), name, 'this namespace may not be deleted');
      }
      if (!kind.namespaced || operation === 'DELETE') return;
      const name = request.object?.metadata.namespace ?? request.op.namespace ?? '';
      const storage = caches.ready(Namespace);
      if (!storage) return caches.current(Namespace).then((later) => check(request, name, later));
      check(request, name, storage);
    },
  };
}

function terminating(request: AdmissionRequest, namespace: string): StatusError {
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  const error = forbidden(subjectOf(request.kind), nameOf(request), why);
  const cause = {
    reason: 'NamespaceTerminating',
    message: `namespace ${namespace} is being terminated`,
    field: 'metadata.namespace',
  };
  return new StatusError('Forbidden', error.message, { ...error.details, causes: [cause] });
}
