// The way from an HTTP exchange to a conversation with a node: WebSocket, SPDY or a forwarded request.

import { badRequest } from '../../api/errors.ts';
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
import { spdyCommand } from './spdy-command.ts';
import { PORT_FORWARD, spdyPortForward } from './spdy-port-forward.ts';
import {
  offeredProtocols,
  offeredVersions,
  refuseProtocols,
  upgradeKind,
  upgradeSpdy,
  upgradeWebSocket,
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
        return upgradeKind(exchange) === 'websocket'
          ? webSocketCommand(exchange, stream, env)
          : spdyCommand(exchange, stream, options);
      case 'portforward':
        return portForward(options, exchange, stream, subject);
      case 'proxy':
        if (!options.forward) throw badRequest('this server forwards no requests');
        return proxyRequest(exchange, stream, { forward: options.forward, rest: subject.connect?.path ?? '' });
      case 'logs':
        throw badRequest('a log is no conversation');
    }
  };
}

const TUNNEL = `SPDY/3.1+${PORT_FORWARD}`;

async function portForward(
  options: StreamOptions,
  exchange: HttpExchange,
  stream: PortStream,
  subject: StreamSubject,
): Promise<void> {
  const { env } = options;
  const context = { env, pod: subject.name ?? '' };
  const kind = upgradeKind(exchange);
  if (kind === 'websocket') {
    if (!offeredProtocols(exchange).includes(TUNNEL)) return channelPortForward(exchange, stream, context);
    const socket = new WebSocketConnection(await upgradeWebSocket(exchange, TUNNEL), { env, role: 'server' });
    return spdyPortForward(webSocketTunnel(socket), stream, { ...context, inflater: options.inflater() });
  }
  const offers = offeredVersions(exchange);
  if (!offers.includes(PORT_FORWARD)) return refuseProtocols(exchange, offers, [PORT_FORWARD]);
  return spdyPortForward(upgradeSpdy(exchange, PORT_FORWARD), stream, { ...context, inflater: options.inflater() });
}
