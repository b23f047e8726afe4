// One stored object, several forms: the versions and groups a kind is served in.

import type { AnyKind } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';

const formsOf = new WeakMap<AnyKind, WeakMap<KubeObject, KubeObject>>();

/** The stored object in the form of `kind`; the same one for the same stored object. */
export function formOf(kind: AnyKind, stored: KubeObject): KubeObject {
  const { storedAs } = kind;
  if (!storedAs) return stored;
  let forms = formsOf.get(kind);
  if (!forms) formsOf.set(kind, (forms = new WeakMap()));
  let form = forms.get(stored);
  if (!form) forms.set(stored, (form = storedAs.from(stored)));
  return form;
}
