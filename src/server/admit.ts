// Runs the admission plugins over one write: first all that may change the object, then all that may refuse it.

import type { AnyKind } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';
import type { AdmissionOperation, AdmissionPlugin, AdmissionRequest } from './admission.ts';
import type { Call } from './call.ts';

export interface Admission {
  /** Lets the plugins change the object in place. */
  mutate(object: KubeObject | undefined, old: KubeObject | undefined): Promise<void>;
  /** Rejects with the StatusError of the first plugin that refuses. */
  validate(object: KubeObject | undefined, old: KubeObject | undefined): Promise<void>;
}

interface Chosen {
  readonly mutating: readonly AdmissionPlugin[];
  readonly validating: readonly AdmissionPlugin[];
}
const chosen = new WeakMap<readonly AdmissionPlugin[], Map<AdmissionOperation, Chosen>>();

function pluginsFor(all: readonly AdmissionPlugin[], operation: AdmissionOperation): Chosen {
  let byOperation = chosen.get(all);
  if (!byOperation) chosen.set(all, (byOperation = new Map()));
  let result = byOperation.get(operation);
  if (!result) {
    const plugins = all.filter((plugin) => plugin.handles(operation));
    result = { mutating: plugins.filter((p) => p.admit), validating: plugins.filter((p) => p.validate) };
    byOperation.set(operation, result);
  }
  return result;
}

/** `kind` is the kind of the object at hand, the parent's for subresources that change it. */
export function admissionOf(call: Call, operation: AdmissionOperation, kind: AnyKind = call.kind): Admission {
  const { mutating, validating } = pluginsFor(call.server.admission, operation);
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
      const began = call.span?.now() ?? 0;
      let shared: AdmissionRequest | undefined;
      for (const plugin of mutating) {
        const admitted = plugin.admit!((shared ??= request(object, old)));
        if (admitted) await admitted;
      }
      call.span?.phase('admission', began);
    },
    async validate(object, old) {
      const began = call.span?.now() ?? 0;
      let shared: AdmissionRequest | undefined;
      for (const plugin of validating) {
        const validated = plugin.validate!((shared ??= request(object, old)));
        if (validated) await validated;
      }
      call.span?.phase('validating admission', began);
    },
  };
}
