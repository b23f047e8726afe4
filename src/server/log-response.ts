// A container's log as a response body: sent as it comes, at the client's pace.

import type { ByteSource } from '../api/node-api.ts';
import { commonHeaders, type Reply } from './http-response.ts';

/** Resolves when the log has ended or the client has gone. */
export async function sendLogs(reply: Reply, source: ByteSource): Promise<void> {
  const { exchange } = reply;
  const writer = exchange.begin(200, { ...commonHeaders(reply.auditId), 'content-type': 'text/plain' });
  const { signal } = exchange;
  let wake: (() => void) | undefined;
  const resume = () => wake?.();
  writer.onDrain(resume);
  signal.addEventListener('abort', resume, { once: true });
  try {
    for await (const chunk of source) {
      if (signal.aborted) return;
      if (writer.write(chunk)) continue;
      await new Promise<void>((resolve) => (wake = resolve));
    }
    writer.end();
  } catch (error) {
    // The head is out: breaking off is the only way to tell.
    writer.abort();
    throw error;
  }
}
