// Port-forward over WebSocket channels: the query names the ports; port i has channel 2i for data and 2i+1 for errors,
// and each channel begins with its port as two bytes, the low one first.
// https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go

import { badRequest } from '../../api/errors.ts';
import { ChannelReader, PORT_PROTOCOLS, sendChannel } from '../../api/streams/channels.ts';
import { WebSocketConnection } from '../../api/streams/websocket.ts';
import { ByteQueue } from '../../base/byte-queue.ts';
import type { HttpExchange } from '../http-exchange.ts';
import { forwardPort, type ForwardContext, type PortStream } from './forward-port.ts';
import { chooseProtocol, offeredProtocols, refuseProtocols, upgradeWebSocket } from './upgrade.ts';

/** Two channels each, and a channel is a byte. */
const MAX_PORTS = 127;

/** Resolves when all ports are done or the client is gone. Rejects with BadRequest before it has answered. */
export async function channelPortForward(
  exchange: HttpExchange,
  stream: PortStream,
  context: ForwardContext,
): Promise<void> {
  const ports = portsOf(new URLSearchParams(exchange.query));
  const offers = offeredProtocols(exchange);
  const protocol = chooseProtocol(offers, PORT_PROTOCOLS);
  if (!protocol) {
    const served = PORT_PROTOCOLS.flatMap(({ name }) => name || []);
    return refuseProtocols(exchange, offers, served);
  }
  const raw = await upgradeWebSocket(exchange, protocol.name);
  const socket = new WebSocketConnection(raw, { env: context.env, role: 'server' });
  const inputs = ports.map(() => new ByteQueue(socket.budget));
  const reader = new ChannelReader(
    protocol,
    (channel, chunk) => {
      if (channel % 2 === 0) inputs[channel / 2]?.push(chunk);
    },
    (channel) => {
      if (channel % 2 === 0) inputs[channel / 2]?.end();
    },
  );
  const reading = socket.run(reader.read).then(() => inputs.forEach((input) => input.end()));
  const forward = async (port: number, i: number) => {
    const write = (channel: number, chunk: Uint8Array) => sendChannel(socket, protocol, channel, chunk);
    const greeting = Uint8Array.of(port & 0xff, port >> 8);
    void write(2 * i, greeting);
    void write(2 * i + 1, greeting);
    const input = inputs[i]!;
    const output = { write: (chunk: Uint8Array) => write(2 * i, chunk), end: () => {} };
    const problem = await forwardPort(stream, port, { input, output }, { ...context, signal: socket.signal });
    if (problem) void write(2 * i + 1, new TextEncoder().encode(problem));
    input.discard();
  };
  await Promise.all(ports.map(forward));
  socket.close();
  await reading;
}

function portsOf(query: URLSearchParams): number[] {
  const texts = [...query.getAll('ports'), ...query.getAll('port')].flatMap((text) => text.split(','));
  if (texts.length === 0) throw badRequest('query parameter "ports" is required');
  if (texts.length > MAX_PORTS) throw badRequest(`at most ${MAX_PORTS} ports can be forwarded at a time`);
  return texts.map((text) => {
    const port = Number(text);
    if (!/^[0-9]{1,5}$/.test(text) || port > 65535)
      throw badRequest(`unable to parse ${JSON.stringify(text)} as a port`);
    if (port < 1) throw badRequest(`port ${JSON.stringify(text)} must be > 0`);
    return port;
  });
}
