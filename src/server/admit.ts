// Runs the admission plugins over one write: first all that may change the object, then all that may refuse it.

import type { AnyKind } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';
import type { AdmissionOperation, AdmissionRequest } from './admission.ts';
import type { Call } from './call.ts';

export interface Admission {
  /** Lets the plugins change the object in place. */
  mutate(object: KubeObject | undefined, old: KubeObject | undefined): Promise<void>;
  /** Rejects with the StatusError of the first plugin that refuses. */
  validate(object: KubeObject | undefined, old: KubeObject | undefined): Promise<void>;
}

/** `kind` is the kind of the object at hand, the parent's for subresources that change it. */
export function admissionOf(call: Call, operation: AdmissionOperation, kind: AnyKind = call.kind): Admission {
  const plugins = call.server.admission.filter((plugin) => plugin.handles(operation));
  const request = (object: KubeObject | undefined, old: KubeObject | undefined): AdmissionRequest => ({
    operation,
    op: call.op,
    kind,
    object,
    old,
    dryRun: call.op.options.dryRun ?? false,
    warn: (text) => void call.warnings.add(text),
  });
  return {
    async mutate(object, old) {
      let shared: AdmissionRequest | undefined;
      for (const plugin of plugins) if (plugin.admit) await plugin.admit((shared ??= request(object, old)));
    },
    async validate(object, old) {
      let shared: AdmissionRequest | undefined;
      for (const plugin of plugins) if (plugin.validate) await plugin.validate((shared ??= request(object, old)));
    },
  };
}
