// The client's end of exec, attach and port-forward over WebSocket channels; how the connection is made is the host's.
// https://kubernetes.io/docs/reference/using-api/websockets/

import { StatusError } from '../api/errors.ts';
import type { ByteSink, ByteSource, ExecOptions, StdStreams } from '../api/node-api.ts';
import type { Status } from '../api/object.ts';
import { CHANNEL, ChannelReader, sendChannel, type ChannelProtocol } from '../api/streams/channels.ts';
import { exitCodeOf } from '../api/streams/exit-status.ts';
import type { RawConnection } from '../api/streams/raw-connection.ts';
import { encodeTerminalSize } from '../api/streams/terminal-sizes.ts';
import { WebSocketConnection } from '../api/streams/websocket.ts';
import { ByteQueue } from '../base/byte-queue.ts';
import type { Env } from '../base/env.ts';

export interface StreamContext {
  readonly env: Pick<Env, 'clock' | 'random'>;
  readonly signal: AbortSignal;
}

/** A WebSocket after its handshake, and the subprotocol agreed on. */
export interface OpenChannels {
  readonly raw: RawConnection;
  readonly protocol: ChannelProtocol;
}

const decoder = new TextDecoder();

/** The flags of exec and attach as the query says them. */
export function commandOptions(query: URLSearchParams | undefined): Omit<ExecOptions, 'command'> {
  const flag = (name: string) => ['true', '1'].includes(query?.get(name) ?? '');
  const tty = flag('tty');
  // A terminal has one output.
  return { stdin: flag('stdin'), stdout: flag('stdout'), stderr: flag('stderr') && !tty, tty };
}

/** Resolves to the exit code. Rejects with a StatusError when the command could not run or the connection broke. */
export async function runCommand(
  { raw, protocol }: OpenChannels,
  streams: StdStreams,
  { env, signal }: StreamContext,
): Promise<number> {
  const socket = new WebSocketConnection(raw, { env, role: 'client' });
  const onAbort = () => socket.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const outputs = [
    { channel: CHANNEL.stdout, queue: new ByteQueue(socket.budget), sink: streams.stdout },
    { channel: CHANNEL.stderr, queue: new ByteQueue(socket.budget), sink: streams.stderr },
  ];
  let status = '';
  const reader = new ChannelReader(protocol, (channel, chunk) => {
    if (channel === CHANNEL.error) status += decoder.decode(chunk, { stream: true });
    else outputs.find((o) => o.channel === channel)?.queue.push(chunk);
  });
  const pumped = Promise.all(outputs.map(({ queue, sink }) => pump(queue, sink)));
  // Whom we write to is gone: so is the point of it all. The error is thrown below.
  pumped.catch(onAbort);
  const send = (channel: number, chunk: Uint8Array) => sendChannel(socket, protocol, channel, chunk);
  if (streams.stdin) {
    // An input that fails has ended, too: the command may still have something to say.
    const end = () => {
      if (protocol.halfClose) void socket.send([Uint8Array.of(CHANNEL.close, CHANNEL.stdin)]);
    };
    sendAll(streams.stdin, CHANNEL.stdin, send, socket.signal).then(end, end);
  }
  if (streams.resize) sendSizes(streams.resize, send, socket.signal).catch(onAbort);
  await socket.run(reader.read);
  signal.removeEventListener('abort', onAbort);
  for (const { queue } of outputs) queue.end();
  await pumped;
  if (signal.aborted) throw signal.reason as Error;
  return outcome(status, protocol);
}

function outcome(status: string, protocol: ChannelProtocol): number {
  if (!status) {
    // The old protocols say nothing when all went well.
    if (!protocol.jsonStatus) return 0;
    throw new StatusError('ServiceUnavailable', 'the connection ended before the command did');
  }
  if (!protocol.jsonStatus) throw new StatusError('InternalError', status);
  return exitCodeOf(JSON.parse(status) as Status);
}

/** Forwards one port. Resolves when the other side has ended; rejects with a StatusError for what it reports. */
export async function forwardPort(
  { raw, protocol }: OpenChannels,
  streams: { readonly input: ByteSource; readonly output: ByteSink },
  { env, signal }: StreamContext,
): Promise<void> {
  const socket = new WebSocketConnection(raw, { env, role: 'client' });
  const onAbort = () => socket.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const queue = new ByteQueue(socket.budget);
  let problem = '';
  // Each channel begins with the port, two bytes that may come in any pieces.
  const greeting = [2, 2];
  const reader = new ChannelReader(protocol, (channel, chunk) => {
    const skipped = Math.min(greeting[channel] ?? 0, chunk.length);
    if (skipped) greeting[channel]! -= skipped;
    const rest = chunk.subarray(skipped);
    if (channel === 0) queue.push(rest);
    else if (channel === 1) problem += decoder.decode(rest, { stream: true });
  });
  const out = pump(queue, streams.output);
  out.catch(onAbort);
  const send = (channel: number, chunk: Uint8Array) => sendChannel(socket, protocol, channel, chunk);
  sendAll(streams.input, 0, send, socket.signal).then(() => {
    if (protocol.halfClose) void socket.send([Uint8Array.of(CHANNEL.close, 0)]);
  }, onAbort);
  await socket.run(reader.read);
  signal.removeEventListener('abort', onAbort);
  queue.end();
  await out;
  if (problem) throw new StatusError('InternalError', problem.trim());
}

async function pump(queue: ByteQueue, sink: ByteSink | undefined): Promise<void> {
  for await (const chunk of queue) await sink?.write(chunk);
  sink?.end();
}

/** Resolves when the source has ended; never when the connection goes first. */
async function sendAll(
  source: ByteSource,
  channel: number,
  send: (channel: number, chunk: Uint8Array) => Promise<void> | void,
  gone: AbortSignal,
): Promise<void> {
  for await (const chunk of source) {
    if (gone.aborted) return;
    await send(channel, chunk);
  }
}

async function sendSizes(
  sizes: NonNullable<StdStreams['resize']>,
  send: (channel: number, chunk: Uint8Array) => Promise<void> | void,
  gone: AbortSignal,
): Promise<void> {
  for await (const size of sizes) {
    if (gone.aborted) return;
    await send(CHANNEL.resize, encodeTerminalSize(size));
  }
}
