// A container's log as a response body: sent as it comes, at the client's pace.

import type { ByteSource } from '../api/node-api.ts';
import { commonHeaders, type Reply } from './http-response.ts';
import { pump } from './streams/pump.ts';

/** Resolves when the log has ended or the client has gone. */
export async function sendLogs(reply: Reply, source: ByteSource): Promise<void> {
  const { exchange } = reply;
  const writer = exchange.begin(200, { ...commonHeaders(reply.auditId), 'content-type': 'text/plain' });
  await pump(writer, source, exchange.signal);
}
