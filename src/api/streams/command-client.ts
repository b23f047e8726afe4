// The client's side of exec and attach over a WebSocket that speaks v5.channel.k8s.io.

import { ByteQueue } from '../../base/byte-queue.ts';
import { StatusError } from '../errors.ts';
import type { Status } from '../generated/meta-v1.ts';
import type { ByteSink, ByteSource, StdStreams, TerminalSize } from '../node-api.ts';
import { CHANNEL, ChannelReader, sendChannel, V5 } from './channels.ts';
import { exitCodeOf } from './exit-status.ts';
import { encodeTerminalSize } from './terminal-sizes.ts';
import type { WebSocketConnection } from './websocket.ts';

/** Bytes of a status; a longer one is none. */
const MAX_STATUS = 1024 * 1024;

/** Resolves to the exit code once all output has been handed over. Rejects with a StatusError. */
export async function commandOverWebSocket(
  socket: WebSocketConnection,
  streams: StdStreams,
  { signal }: { signal: AbortSignal },
): Promise<number> {
  const { stdin, stdout, stderr, resize } = streams;
  const [out, err, status] = [
    new ByteQueue(socket.budget),
    new ByteQueue(socket.budget),
    new ByteQueue(socket.budget),
  ];
  const reader = new ChannelReader(V5, (channel, chunk) => {
    if (channel === CHANNEL.stdout) out.push(chunk);
    else if (channel === CHANNEL.stderr) err.push(chunk);
    else if (channel === CHANNEL.error) status.push(chunk);
  });
  const onAbort = () => socket.destroy();
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  const reading = socket.run(reader.read).then(() => {
    for (const queue of [out, err, status]) queue.end();
  });
  const over = new AbortController();
  if (stdin) void feed(stdin, socket, over.signal);
  if (resize) void tellSizes(resize, socket, over.signal);
  try {
    const [text] = await Promise.all([textOf(status), copy(out, stdout), copy(err, stderr), reading]);
    signal.throwIfAborted();
    return exitCodeOf(statusIn(text));
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    over.abort();
    signal.removeEventListener('abort', onAbort);
  }
}

async function copy(from: ByteSource, to: ByteSink | undefined): Promise<void> {
  for await (const chunk of from) {
    const wait = to?.write(chunk);
    if (wait) await wait;
  }
  to?.end();
}

async function textOf(source: ByteSource): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of source) if (text.length < MAX_STATUS) text += decoder.decode(chunk, { stream: true });
  return text;
}

function statusIn(text: string): Status {
  const broken = (why: string) => new StatusError('InternalError', why);
  if (!text) throw broken('the connection was lost before the command ended');
  try {
    return JSON.parse(text) as Status;
  } catch {
    throw broken(`error stream protocol error: ${JSON.stringify(text.slice(0, 200))}`);
  }
}

/** Gives each value to `send` until `over`; the source is told when nothing more is wanted. */
async function each<T>(
  source: AsyncIterable<T>,
  over: AbortSignal,
  send: (value: T) => Promise<void> | void,
): Promise<void> {
  const values = source[Symbol.asyncIterator]();
  const leave = () => void values.return?.().catch(() => {});
  over.addEventListener('abort', leave, { once: true });
  for (let next = await values.next(); !next.done && !over.aborted; next = await values.next()) await send(next.value);
}

async function feed(stdin: ByteSource, socket: WebSocketConnection, over: AbortSignal): Promise<void> {
  try {
    await each(stdin, over, (chunk) => sendChannel(socket, V5, CHANNEL.stdin, chunk));
    void sendChannel(socket, V5, CHANNEL.close, Uint8Array.of(CHANNEL.stdin));
  } catch {
    // Input that broke off is no input that ended: the command must not take it for whole.
    socket.destroy();
  }
}

async function tellSizes(
  sizes: AsyncIterable<TerminalSize>,
  socket: WebSocketConnection,
  over: AbortSignal,
): Promise<void> {
  try {
    await each(sizes, over, (size) => sendChannel(socket, V5, CHANNEL.resize, encodeTerminalSize(size)));
  } catch {
    // A terminal whose size is not known any more keeps the last one.
  }
}
