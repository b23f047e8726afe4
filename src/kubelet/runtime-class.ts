// Which of the runtime's handlers a pod's RuntimeClass stands for.
// https://kubernetes.io/docs/concepts/containers/runtime-class/

import type { ObjectResult } from '../api/op.ts';
import type { Client } from '../client/client.ts';

/** Empty for pods without a class. Rejects with upstream's text when the class does not exist. */
export async function runtimeHandler(client: Client, name: string | undefined): Promise<string> {
  if (!name) return '';
  const op = { group: 'node.k8s.io', version: 'v1', resource: 'runtimeclasses', name } as const;
  try {
    const result = (await client.do({ verb: 'get', ...op, options: {} })) as unknown as ObjectResult<{
      handler: string;
    }>;
    return result.object.handler;
  } catch (error) {
    throw new Error(`failed to get sandbox runtime: ${(error as Error).message}`, { cause: error });
  }
}
