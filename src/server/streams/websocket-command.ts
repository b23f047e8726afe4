// Exec and attach over WebSocket channels, v5.channel.k8s.io down to the unversioned ones.

import type { ByteSink, TerminalSize } from '../../api/node-api.ts';
import { CHANNEL, ChannelReader, COMMAND_PROTOCOLS, sendChannel } from '../../api/streams/channels.ts';
import { TerminalSizeReader } from '../../api/streams/terminal-sizes.ts';
import { WebSocketConnection } from '../../api/streams/websocket.ts';
import { ByteQueue, LatestValue } from '../../base/byte-queue.ts';
import type { Env } from '../../base/env.ts';
import type { HttpExchange } from '../http-exchange.ts';
import { commandOutcome, encodeStatus, type CommandStream } from './remote-command.ts';
import { chooseProtocol, offeredProtocols, refuseProtocols, upgradeWebSocket } from './upgrade.ts';

const NOTHING = new Uint8Array(0);

/** Resolves when the conversation is over. */
export async function webSocketCommand(exchange: HttpExchange, stream: CommandStream, env: Env): Promise<void> {
  const offers = offeredProtocols(exchange);
  const protocol = chooseProtocol(offers, COMMAND_PROTOCOLS);
  if (!protocol) {
    const served = COMMAND_PROTOCOLS.flatMap(({ name }) => name || []);
    return refuseProtocols(exchange, offers, served);
  }
  const socket = new WebSocketConnection(await upgradeWebSocket(exchange, protocol.name), { env, role: 'server' });
  const { stdin: wantsStdin, stdout, stderr, tty } = stream.options;
  const stdin = wantsStdin ? new ByteQueue(socket.budget) : undefined;
  const resize = tty ? new LatestValue<TerminalSize>() : undefined;
  const sizes = new TerminalSizeReader();
  const reader = new ChannelReader(
    protocol,
    (channel, chunk) => {
      if (channel === CHANNEL.stdin) stdin?.push(chunk);
      else if (channel === CHANNEL.resize) for (const size of sizes.read(chunk)) resize?.set(size);
    },
    (channel) => {
      if (channel === CHANNEL.stdin) stdin?.end();
    },
  );
  const reading = socket.run(reader.read).then(() => stdin?.end());
  const sink = (channel: number): ByteSink => ({
    write: (chunk) => sendChannel(socket, protocol, channel, chunk),
    // No protocol has a word for it; the outcome ends all.
    end: () => {},
  });
  // Clients of the older protocols take the first message for the sign that they are connected.
  const first = stdout ? CHANNEL.stdout : stderr ? CHANNEL.stderr : CHANNEL.error;
  if (!protocol.halfClose) void sendChannel(socket, protocol, first, NOTHING);
  const status = await commandOutcome(
    stream,
    {
      ...(stdin ? { stdin } : {}),
      ...(stdout ? { stdout: sink(CHANNEL.stdout) } : {}),
      ...(stderr ? { stderr: sink(CHANNEL.stderr) } : {}),
      ...(resize ? { resize } : {}),
    },
    { env, signal: socket.signal },
  );
  stdin?.discard();
  resize?.end();
  const outcome = encodeStatus(status, protocol.jsonStatus);
  if (outcome.length > 0) void sendChannel(socket, protocol, CHANNEL.error, outcome);
  socket.close();
  await reading;
}
