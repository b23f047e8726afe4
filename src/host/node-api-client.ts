// The NodeApi of a node in another process, over its HTTPS endpoint: logs as a plain body, exec and attach over
// WebSocket (v5.channel.k8s.io), each forwarded connection a WebSocket of its own.

import { Agent, request as httpsRequest } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import { StatusError } from '../api/errors.ts';
import type { Node } from '../api/generated/core-v1.ts';
import type { ByteSource, NodeApi, NodeConnector, StdStreams } from '../api/node-api.ts';
import { V5 } from '../api/streams/channels.ts';
import { portForwardOverSpdy, PORT_FORWARD_TUNNEL } from '../api/streams/port-forward-client.ts';
import type { RawConnection } from '../api/streams/raw-connection.ts';
import { WebSocketConnection } from '../api/streams/websocket.ts';
import { webSocketTunnel } from '../api/streams/websocket-tunnel.ts';
import type { Env } from '../base/env.ts';
import { errorOf } from '../client/http-encoding.ts';
import { runCommand } from '../client/remote-streams.ts';
import { goNetError } from './go-net-error.ts';
import { commandTarget, logTarget, podTarget } from './node-routes.ts';
import { openWebSocket } from './websocket-open.ts';

export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

/** PEM. */
export interface NodeTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface NodeClientOptions {
  readonly env: Pick<Env, 'clock' | 'random'>;
  /** Our certificate and the authority of theirs; asked for each connection. */
  readonly tls: () => NodeTls;
  /** Rejects with a StatusError when the node is not known. */
  readonly node: (name: string) => Promise<Node>;
}

/** In the order upstream's kubeadm prefers them. */
const ADDRESS_TYPES = ['InternalIP', 'ExternalIP', 'Hostname'];
const KUBELET_PORT = 10250;
/** Milliseconds a connection may take to come about; a log may be silent for longer. */
const DIAL_WITHIN = 30_000;
const KEEP_ALIVE = 30_000;

/** Where a node says its endpoint is. Throws a StatusError when it does not. */
export function kubeletAddress({ status }: Node): NodeAddress {
  const addresses = status?.addresses ?? [];
  const port = status?.daemonEndpoints?.kubeletEndpoint?.Port || KUBELET_PORT;
  for (const type of ADDRESS_TYPES) {
    const found = addresses.find((address) => address.type === type);
    if (found) return { host: found.address, port };
  }
  const known = addresses.map(({ type, address }) => `{${type} ${address}}`).join(' ');
  throw new StatusError('InternalError', `no preferred addresses found; known addresses: [${known}]`);
}

export function nodeConnector(options: NodeClientOptions): NodeConnector {
  return (nodeName) => new RemoteNode(nodeName, options);
}

class RemoteNode implements NodeApi {
  readonly #name: string;
  readonly #options: NodeClientOptions;

  constructor(name: string, options: NodeClientOptions) {
    this.#name = name;
    this.#options = options;
  }

  async check(target: Parameters<NonNullable<NodeApi['check']>>[0]): Promise<void> {
    const dialing = (message: string) => `error dialing backend: ${message}`;
    const response = await this.#get(podTarget('check', target), new AbortController().signal, dialing);
    response.resume();
  }

  async logs(...[target, options, { signal }]: Parameters<NodeApi['logs']>): Promise<ByteSource> {
    return (await this.#get(logTarget(target, options), signal)) as AsyncIterable<Uint8Array>;
  }

  exec(...[target, options, streams, context]: Parameters<NodeApi['exec']>): Promise<number> {
    return this.#command(commandTarget('exec', target, options), streams, context);
  }

  async attach(...[target, options, streams, context]: Parameters<NodeApi['attach']>): Promise<void> {
    await this.#command(commandTarget('attach', target, options), streams, context);
  }

  async portForward(...[target, port, streams, { signal }]: Parameters<NodeApi['portForward']>): Promise<void> {
    const { env } = this.#options;
    const { raw } = await this.#open(podTarget('portForward', target), { name: PORT_FORWARD_TUNNEL }, signal);
    const tunnel = webSocketTunnel(new WebSocketConnection(raw, { env, role: 'client' }));
    await unwrapped(portForwardOverSpdy(tunnel, port, streams, { env, signal }));
  }

  async #command(target: string, streams: StdStreams, { signal }: { signal: AbortSignal }): Promise<number> {
    const channels = await this.#open(target, V5, signal);
    return unwrapped(runCommand(channels, streams, { env: this.#options.env, signal }));
  }

  async #open<P extends { readonly name: string }>(
    target: string,
    protocol: P,
    signal: AbortSignal,
  ): Promise<{ readonly raw: RawConnection; readonly protocol: P }> {
    const { host, port } = kubeletAddress(await this.#options.node(this.#name));
    const url = new URL(`https://${isIPv6(host) ? `[${host}]` : host}:${port}${target}`);
    try {
      return await openWebSocket({ url, headers: {}, tls: this.#options.tls(), protocols: [protocol] }, signal);
    } catch (error) {
      if (error instanceof StatusError || signal.aborted) throw error;
      const { message } = goNetError(error as Error, host, port);
      throw new StatusError('InternalError', `error dialing backend: ${message}`);
    }
  }

  /** Resolves with the answer begun; rejects with a StatusError for any but 200. */
  async #get(target: string, signal: AbortSignal, unreached?: (message: string) => string): Promise<IncomingMessage> {
    const server = kubeletAddress(await this.#options.node(this.#name));
    const asking = (message: string) => `Get "https://${server.host}:${server.port}${target}": ${message}`;
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const agent = new Agent({ ...this.#options.tls() });
      const request = httpsRequest({ ...server, path: target, agent, signal }, resolve);
      request.setTimeout(DIAL_WITHIN, () => {
        if (request.socket?.connecting) request.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }));
      });
      // Logs may be silent for hours; a machine that is gone without a word is not to hold them open.
      request.once('socket', (socket) => socket.setKeepAlive(true, KEEP_ALIVE));
      request.on('error', (cause) => {
        if (signal.aborted) return reject(signal.reason as Error);
        const { message } = goNetError(cause, server.host, server.port);
        reject(new StatusError('InternalError', (unreached ?? asking)(message)));
      });
      request.end();
    });
    if (response.statusCode === 200) return response;
    let text = '';
    for await (const chunk of response as AsyncIterable<Buffer>) text += chunk.toString();
    throw errorOf(response.statusCode ?? 502, text);
  }
}

/** What the node puts before its errors, the API server will put there again. */
const WRAPPING =
  /^(Internal error occurred: error (executing command in|attaching to) container: |error forwarding port \d+ to pod \S*, uid \S*: )/;

async function unwrapped<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof StatusError && WRAPPING.test(error.message)) {
      throw new StatusError(error.reason, error.message.replace(WRAPPING, ''), undefined, error.code);
    }
    throw error;
  }
}
