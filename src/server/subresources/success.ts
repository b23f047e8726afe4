// The bare `Status` that says it worked.

import type { KubeObject, Status } from '../../api/object.ts';
import type { ObjectResult } from '../../api/op.ts';

export function success(code: number): ObjectResult {
  const status: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code };
  return { type: 'object', object: status as unknown as KubeObject, code };
}
