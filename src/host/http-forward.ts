// Proxied requests as Node sends them: one connection each, so that no answer depends on what went before.

import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { ByteSource } from '../api/node-api.ts';
import type { ForwardRequest, ForwardResponse, HttpForward } from '../server/streams/http-forward.ts';
import { goNetError } from './go-net-error.ts';
import { rawConnection } from './raw-connection.ts';

export interface ForwardOptions {
  /** What nodes are shown, and the authority of their certificates; PEM. Without it nodes are not reached. */
  readonly kubelet?: () => { readonly cert: string; readonly key: string; readonly ca: string };
}

/** Milliseconds a connection may take to come about, as upstream. */
const DIAL_WITHIN = 30_000;

export function httpForward(options: ForwardOptions = {}): HttpForward {
  return (forwarded) =>
    new Promise((resolve, reject) => {
      const { method, scheme, host, port, target, headers, signal } = forwarded;
      const send = scheme === 'https' ? httpsRequest : httpRequest;
      const common: RequestOptions = {
        host,
        port,
        method,
        path: target,
        headers,
        setHost: false,
        agent: false,
        signal,
      };
      const request = send(scheme === 'https' ? { ...common, ...tlsOf(forwarded, options) } : common);
      request.setTimeout(DIAL_WITHIN, () => {
        if (request.socket?.connecting) request.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' }));
      });
      request.once('response', (response) => resolve(answer(response)));
      request.once('upgrade', (response, socket, head) => {
        socket.setTimeout(0);
        if (head.length > 0) socket.unshift(head);
        resolve({ ...answer(response), upgraded: rawConnection(socket) });
      });
      // After the answer has begun, its body tells.
      request.on('error', (error) => reject(goNetError(error, host, port)));
      if (forwarded.body) void sendBody(request, forwarded.body);
      else request.end();
    });
}

function tlsOf({ kubelet }: ForwardRequest, options: ForwardOptions): object {
  if (!kubelet) return { rejectUnauthorized: false };
  if (!options.kubelet) throw new Error('this API server has no credentials for nodes');
  return options.kubelet();
}

function answer(response: IncomingMessage): ForwardResponse {
  const headers: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(response.headers)) if (value !== undefined) headers[name] = value;
  return { status: response.statusCode ?? 502, headers, body: response as AsyncIterable<Uint8Array> };
}

async function sendBody(request: ReturnType<typeof httpRequest>, body: ByteSource): Promise<void> {
  try {
    for await (const chunk of body) {
      if (request.destroyed) return;
      if (!request.write(chunk)) await roomIn(request);
    }
    request.end();
  } catch (error) {
    request.destroy(error as Error);
  }
}

function roomIn(request: ReturnType<typeof httpRequest>): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      request.off('drain', done).off('close', done);
      resolve();
    };
    request.on('drain', done).on('close', done);
  });
}
