// The way from an HTTP exchange to a conversation with a node: WebSocket, SPDY or a forwarded request.

import { badRequest, StatusError } from '../../api/errors.ts';
import { PORT_FORWARD, PORT_FORWARD_TUNNEL } from '../../api/streams/port-forward-client.ts';
import { WebSocketConnection } from '../../api/streams/websocket.ts';
import { webSocketTunnel } from '../../api/streams/websocket-tunnel.ts';
import type { HeaderInflater } from '../../api/streams/spdy-frames.ts';
import type { NodeStream } from '../../api/node-api.ts';
import type { Env } from '../../base/env.ts';
import type { HttpExchange } from '../http-exchange.ts';
import { channelPortForward } from './channel-port-forward.ts';
import type { PortStream } from './forward-port.ts';
import type { HttpForward } from './http-forward.ts';
import { proxyRequest } from './proxy.ts';
import { pump } from './pump.ts';
import { spdyCommand } from './spdy-command.ts';
import { spdyPortForward } from './spdy-port-forward.ts';
import {
  offeredProtocols,
  offeredVersions,
  refuseProtocols,
  upgradeKind,
  upgradeSpdy,
  upgradeWebSocket,
  type UpgradeKind,
} from './upgrade.ts';
import { webSocketCommand } from './websocket-command.ts';

export interface StreamOptions {
  readonly env: Env;
  readonly inflater: () => HeaderInflater;
  /** Without it requests cannot be proxied. */
  readonly forward?: HttpForward;
}

/** What a conversation is about: an ApiOp, or what is known of it elsewhere. */
export interface StreamSubject {
  readonly name?: string | undefined;
  readonly connect?: { readonly path: string };
}

/** A StreamHandler. Resolves when the conversation is over; rejects with a StatusError before anything was answered. */
export function streamHandler(
  options: StreamOptions,
): (exchange: HttpExchange, stream: NodeStream, subject: StreamSubject) => Promise<void> {
  const { env } = options;
  return async (exchange, stream, subject) => {
    switch (stream.kind) {
      case 'exec':
      case 'attach':
      case 'portforward': {
        const kind = upgradeKind(exchange);
        const refusal = await refusalOf(stream);
        // A node that cannot be reached has said nothing: that is the server's to tell, in a Status. kubectl takes any
        // other text with a colon for YAML, and shows nothing of it.
        if (refusal?.reason === 'InternalError') throw refusal;
        if (refusal) return refuse(exchange, refusal);
        if (stream.kind === 'portforward') return portForward(options, exchange, stream, kind, subject);
        if (kind === 'websocket') return webSocketCommand(exchange, stream, env);
        return spdyCommand(exchange, stream, options);
      }
      case 'proxy':
        if (!options.forward) throw badRequest('this server forwards no requests');
        return proxyRequest(exchange, stream, { forward: options.forward, rest: subject.connect?.path ?? '' });
      case 'logs':
        return pump(exchange.begin(200, { 'content-type': 'text/plain' }), stream.source, exchange.signal);
    }
  };
}

async function refusalOf(stream: Exclude<NodeStream, { kind: 'logs' | 'proxy' }>): Promise<StatusError | undefined> {
  try {
    await stream.check?.();
    return undefined;
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
}

/** In plain text, as nodes say it: clients put it behind `unable to upgrade connection`. */
function refuse(exchange: HttpExchange, { code, message }: StatusError): void {
  exchange.respond(code, { 'content-type': 'text/plain; charset=utf-8' }, new TextEncoder().encode(message));
}

async function portForward(
  options: StreamOptions,
  exchange: HttpExchange,
  stream: PortStream,
  kind: UpgradeKind,
  subject: StreamSubject,
): Promise<void> {
  const { env } = options;
  const context = { env, pod: subject.name ?? '' };
  if (kind === 'websocket') {
    if (!offeredProtocols(exchange).includes(PORT_FORWARD_TUNNEL)) return channelPortForward(exchange, stream, context);
    const socket = new WebSocketConnection(await upgradeWebSocket(exchange, PORT_FORWARD_TUNNEL), {
      env,
      role: 'server',
    });
    return spdyPortForward(webSocketTunnel(socket), stream, { ...context, inflater: options.inflater() });
  }
  const offers = offeredVersions(exchange);
  if (!offers.includes(PORT_FORWARD)) return refuseProtocols(exchange, offers, [PORT_FORWARD]);
  return spdyPortForward(upgradeSpdy(exchange, PORT_FORWARD), stream, { ...context, inflater: options.inflater() });
}
