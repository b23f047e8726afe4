// The name an admission error speaks of: the object's, what it will be generated from, or the one in the path.

import { forbidden, type StatusError } from '../../api/errors.ts';
import type { AdmissionRequest } from '../admission.ts';
import { subjectOf } from '../call.ts';

export function nameOf({ object, old, op }: AdmissionRequest): string {
  return object?.metadata.name || object?.metadata.generateName || old?.metadata.name || op.name || '';
}

/** `pods "x" is forbidden: <why>`. */
export function refusal(request: AdmissionRequest, why: string): StatusError {
  return forbidden(subjectOf(request.kind), nameOf(request), why);
}
