// The body of an answer from a source, at the client's pace.

import type { ByteSource } from '../../api/node-api.ts';
import type { BodyWriter } from '../http-exchange.ts';

/** Resolves when all is written or the client has gone. Breaks the answer off and rejects when the source fails. */
export async function pump(writer: BodyWriter, source: ByteSource, signal: AbortSignal): Promise<void> {
  let wake = () => {};
  writer.onDrain(() => wake());
  signal.addEventListener('abort', () => wake(), { once: true });
  try {
    for await (const chunk of source) {
      if (signal.aborted) return;
      if (!writer.write(chunk)) await new Promise<void>((resolve) => (wake = resolve));
    }
    writer.end();
  } catch (error) {
    // The head is out: breaking off is the only way to tell.
    writer.abort();
    throw error;
  }
}
