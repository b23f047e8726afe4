// The client's side of a port-forward: SPDY in a WebSocket, one connection to the port.

import { StatusError } from '../errors.ts';
import type { ByteSink, ByteSource } from '../node-api.ts';
import type { RawConnection } from './raw-connection.ts';
import { SpdyConnection, type SpdyOptions } from './spdy.ts';

export const PORT_FORWARD = 'portforward.k8s.io';
/** The WebSocket subprotocol. */
export const PORT_FORWARD_TUNNEL = `SPDY/3.1+${PORT_FORWARD}`;

const MAX_MESSAGE = 64 * 1024;

/** Resolves when the connection is over; rejects with a StatusError when it could not be had. */
export async function portForwardOverSpdy(
  raw: RawConnection,
  port: number,
  streams: { readonly input: ByteSource; readonly output: ByteSink },
  context: { readonly env: SpdyOptions['env']; readonly signal: AbortSignal },
): Promise<void> {
  const { env, signal } = context;
  const connection = new SpdyConnection(raw, { env, role: 'client' });
  const onAbort = () => connection.destroy();
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  const running = connection.run();
  const headers = { port: String(port), requestid: '0' };
  const error = connection.open({ ...headers, streamtype: 'error' }, { fin: true });
  const data = connection.open({ ...headers, streamtype: 'data' });
  const input = streams.input[Symbol.asyncIterator]();
  void feed(input, data.output).catch(() => data.reset());
  try {
    let problem = '';
    const listen = async () => {
      const decoder = new TextDecoder();
      for await (const chunk of error.input) if (problem.length < MAX_MESSAGE) problem += decoder.decode(chunk);
    };
    const receive = async () => {
      for await (const chunk of data.input) await streams.output.write(chunk);
    };
    await Promise.all([listen(), receive()]);
    signal.throwIfAborted();
    if (problem) throw new StatusError('InternalError', problem);
    streams.output.end();
  } finally {
    signal.removeEventListener('abort', onAbort);
    void input.return?.()?.catch(() => {});
    connection.close();
    raw.close();
    await running;
  }
}

async function feed(input: AsyncIterator<Uint8Array>, output: ByteSink): Promise<void> {
  for (let next = await input.next(); !next.done; next = await input.next()) await output.write(next.value);
  output.end();
}
