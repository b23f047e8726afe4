// One forwarded connection, whatever carries it.

import type { ByteSink, ByteSource, NodeStream } from '../../api/node-api.ts';
import type { Env } from '../../base/env.ts';

export type PortStream = Extract<NodeStream, { kind: 'portforward' }>;

export interface ForwardContext {
  readonly env: Env;
  /** The pod's name, for messages. */
  readonly pod: string;
}

/** Resolves when the connection is over, to what went wrong, if anything did. */
export async function forwardPort(
  stream: PortStream,
  port: number,
  streams: { readonly input: ByteSource; readonly output: ByteSink },
  { env, pod, signal }: ForwardContext & { readonly signal: AbortSignal },
): Promise<string | undefined> {
  try {
    await stream.run(port, streams, { signal });
    return undefined;
  } catch (error) {
    if (signal.aborted) return undefined;
    const text = `error forwarding port ${port} to pod ${pod}, uid : ${(error as Error).message}`;
    env.log.warn('port-forward failed', { error: text });
    return text;
  }
}
