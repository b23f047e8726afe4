// Opens a WebSocket to an API server over HTTP/1.1: the handshake, and the server's reasons when it does not want to.

import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import type { RawConnection } from '../api/streams/raw-connection.ts';
import { errorOf } from '../client/http-encoding.ts';
import { rawConnection } from './raw-connection.ts';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const MAX_REASON = 64 * 1024;
/** Milliseconds until the server must have answered. */
const ANSWER_WITHIN = 30_000;
const KEEP_ALIVE = 30_000;

export interface WebSocketTarget<Protocol> {
  readonly url: URL;
  readonly headers: OutgoingHttpHeaders;
  readonly tls: SecureContextOptions & { readonly rejectUnauthorized?: boolean; readonly servername?: string };
  /** The subprotocols spoken, the best first. */
  readonly protocols: readonly Protocol[];
}

/** Rejects with the StatusError the server answers with, or with the error that broke the connection. */
export function openWebSocket<Protocol extends { readonly name: string }>(
  target: WebSocketTarget<Protocol>,
  signal: AbortSignal | undefined,
): Promise<{ readonly raw: RawConnection; readonly protocol: Protocol }> {
  const { url, protocols } = target;
  const key = randomBytes(16).toString('base64');
  const headers = {
    ...target.headers,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': key,
    'sec-websocket-protocol': protocols.map((p) => p.name).join(', '),
  };
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, { ...target.tls, headers, agent: false, ...(signal ? { signal } : {}) });
    request.setTimeout(ANSWER_WITHIN, () => {
      request.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }));
    });
    request.once('upgrade', (response: IncomingMessage, socket: Socket, head: Buffer) => {
      socket.setTimeout(0);
      // A conversation may be silent for hours; a machine that is gone without a word is not to hold it open.
      socket.setKeepAlive(true, KEEP_ALIVE);
      const accept = createHash('sha1')
        .update(key + GUID)
        .digest('base64');
      const protocol = protocols.find((p) => p.name === response.headers['sec-websocket-protocol']);
      if (response.headers['sec-websocket-accept'] !== accept || !protocol) {
        socket.destroy();
        reject(new Error('the server did not agree on a WebSocket protocol'));
        return;
      }
      if (head.length > 0) socket.unshift(head);
      resolve({ raw: rawConnection(socket), protocol });
    });
    request.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        if (text.length < MAX_REASON) text += chunk;
      });
      response.once('close', () => reject(errorOf(response.statusCode ?? 0, text, response.headers['retry-after'])));
    });
    request.once('error', reject);
    request.end();
  });
}
