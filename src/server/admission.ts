// The admission contract: plugins that may change an object before validation and refuse it after.

import type { AnyKind } from '../api/kind.ts';
import type { KubeObject } from '../api/object.ts';
import type { ApiOp } from '../api/op.ts';

export type AdmissionOperation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';

export interface AdmissionRequest {
  readonly operation: AdmissionOperation;
  readonly op: ApiOp;
  readonly kind: AnyKind;
  /** The object to be stored; `admit` may change it in place. Undefined for DELETE. */
  readonly object: KubeObject | undefined;
  readonly old: KubeObject | undefined;
  readonly dryRun: boolean;
  /** Adds a Warning header. */
  warn(text: string): void;
}

/** Both throw a StatusError (usually Forbidden) to refuse. One plugin, one file in server/admission/. */
export interface AdmissionPlugin {
  /** Upstream's name, e.g. `NamespaceLifecycle`. */
  readonly name: string;
  handles(operation: AdmissionOperation): boolean;
  admit?(request: AdmissionRequest): void | Promise<void>;
  validate?(request: AdmissionRequest): void | Promise<void>;
}
