// Attach over the streaming server of the runtime interface: a WebSocket with a channel byte before each frame. Such a
// connection cannot half-close, so the input has a connection of its own: closing it is the end of the input, and the
// output goes on.
// https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/kubelet/pkg/cri/streaming/server.go

import { WebSocket } from 'ws';
import type { ByteSource, ExecOptions, StdStreams } from '../../api/node-api.ts';
import { RuntimeError } from '../../kubelet/runtime.ts';
import type { GrpcChannel } from '../rpc/grpc.ts';
import { Cri } from './messages.ts';

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;
const PROTOCOL = 'v4.channel.k8s.io';
const HIGH_WATER = 1 << 20;

function open(url: string, signal: AbortSignal): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const socket = new WebSocket(url.replace(/^http/, 'ws'), PROTOCOL, { perMessageDeflate: false });
    const onAbort = () => socket.terminate();
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', onAbort));
    socket.once('open', () => resolve(socket));
    socket.once('error', (cause) =>
      reject(
        signal.aborted
          ? (signal.reason as Error)
          : new RuntimeError('UNAVAILABLE', `the streaming server of containerd: ${cause.message}`, { cause }),
      ),
    );
  });
}

/** Resolves when the frame is on its way and there is room for more. */
function send(socket: WebSocket, channel: number, data: Uint8Array): Promise<void> | void {
  if (socket.readyState !== WebSocket.OPEN) return;
  const frame = new Uint8Array(data.length + 1);
  frame[0] = channel;
  frame.set(data, 1);
  if (socket.bufferedAmount < HIGH_WATER) return socket.send(frame);
  return new Promise((resolve) => socket.send(frame, () => resolve()));
}

/** Hands each frame to its channel in order, and holds the other side back while a sink is full. */
function receive(socket: WebSocket, deliver: (channel: number, data: Uint8Array) => Promise<void> | void) {
  return new Promise<void>((resolve, reject) => {
    let chain = Promise.resolve();
    let failed = false;
    socket.on('message', (message: Buffer) => {
      socket.pause();
      chain = chain
        .then(() => deliver(message[0]!, message.subarray(1)))
        .then(() => socket.resume())
        .catch((error: unknown) => {
          failed = true;
          socket.terminate();
          reject(error as Error);
        });
    });
    socket.on('error', () => socket.terminate());
    socket.on('close', () => {
      if (!failed) chain.then(resolve, reject);
    });
  });
}

async function feed(socket: WebSocket, channel: number, source: ByteSource): Promise<void> {
  for await (const chunk of source) {
    if (socket.readyState !== WebSocket.OPEN) return;
    await send(socket, channel, chunk);
  }
}

/** What the error channel of v4 carries: a Status, `Success` unless something went wrong. */
function throwFailure(status: Uint8Array): void {
  const text = new TextDecoder().decode(status);
  if (text === '') return;
  const { status: outcome, message } = JSON.parse(text) as { status?: string; message?: string };
  if (outcome !== 'Success') throw new RuntimeError('UNKNOWN', message ?? text);
}

/** Resolves when the container's output ends, or at once with its input when only that was asked for. */
export async function attach(
  channel: GrpcChannel,
  containerId: string,
  options: Omit<ExecOptions, 'command'>,
  streams: StdStreams,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const stdout = options.stdout && streams.stdout !== undefined;
  const stderr = options.stderr && streams.stderr !== undefined && !options.tty;
  const stdin = options.stdin && streams.stdin !== undefined;
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  const connect = async (wanted: { stdin: boolean; stdout: boolean; stderr: boolean }) => {
    const { url } = await channel.call(Cri.attach, { containerId, tty: options.tty, ...wanted }, { signal: either });
    return open(url, either);
  };
  try {
    // A connection that asks for no input at all would end the container's, so the one for output asks and sends nothing.
    const output = stdout || stderr ? await connect({ stdin: true, stdout, stderr }) : undefined;
    const received = output && receive(output, outputOf(streams));
    received?.catch(() => undefined);
    if (output && options.tty && streams.resize) followSizes(output, streams.resize);
    const input = stdin ? await connect({ stdin: true, stdout: false, stderr: false }) : undefined;
    const fed = input && feedInput(input, streams.stdin!);
    fed?.catch(() => undefined);
    await (received ?? fed);
    signal.throwIfAborted();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    done.abort();
  }
}

function outputOf(streams: StdStreams) {
  return (channel: number, data: Uint8Array): Promise<void> | void => {
    if (data.length === 0) return;
    if (channel === STDOUT) return streams.stdout?.write(data);
    if (channel === STDERR) return streams.stderr?.write(data);
    if (channel === ERROR) throwFailure(data);
  };
}

async function feedInput(socket: WebSocket, source: ByteSource): Promise<void> {
  socket.on('error', () => socket.terminate());
  await feed(socket, STDIN, source);
  socket.close();
}

function followSizes(socket: WebSocket, sizes: AsyncIterable<{ width: number; height: number }>): void {
  const follow = async () => {
    for await (const { width, height } of sizes) {
      await send(socket, RESIZE, new TextEncoder().encode(JSON.stringify({ Width: width, Height: height })));
    }
  };
  follow().catch(() => socket.terminate());
}
