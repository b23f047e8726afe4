// What the server itself puts in place when it starts: creates what is missing, and updates what differs.

import { isReason } from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import type { Draft, KubeObject } from '../api/object.ts';
import type { ApiOp, ObjectResult, UserInfo, Verb } from '../api/op.ts';
import type { ApiServer } from './pipeline.ts';

/** The control plane itself, before anybody else has rights. */
export const LOOPBACK: UserInfo = { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] };

/** Sends an operation as the control plane itself. */
export async function asServer(
  server: ApiServer,
  verb: Verb,
  kind: AnyKind,
  object: Draft<KubeObject>,
): Promise<KubeObject> {
  const { name, namespace } = object.metadata;
  const { group, version, plural: resource } = kind;
  const write = verb === 'create' || verb === 'update';
  const op: ApiOp = {
    verb,
    group,
    version,
    resource,
    namespace,
    ...(verb === 'create' ? {} : { name }),
    options: {},
    ...(write ? { body: object } : {}),
    user: LOOPBACK,
    userAgent: 'kube-apiserver',
  };
  return ((await server.handle(op)) as ObjectResult).object;
}

/**
 * Makes the object unless it is there. When it is, `adjust` may answer with what it should be instead; undefined leaves
 * it alone. Another server doing the same at the same time is no error.
 */
export async function ensureObject<T extends KubeObject>(
  server: ApiServer,
  kind: AnyKind,
  wanted: Draft<T>,
  adjust?: (existing: T) => T | undefined,
): Promise<void> {
  const draft = wanted as unknown as Draft<KubeObject>;
  for (;;) {
    try {
      const existing = (await asServer(server, 'get', kind, draft)) as T;
      const next = adjust?.(existing);
      if (next) await asServer(server, 'update', kind, next as unknown as Draft<KubeObject>);
      return;
    } catch (error) {
      if (isReason(error, 'Conflict')) continue;
      if (!isReason(error, 'NotFound')) throw error;
    }
    try {
      await asServer(server, 'create', kind, draft);
      return;
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
  }
}
