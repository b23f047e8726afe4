// Exec and attach over SPDY: a stream each for stdin, stdout, stderr, sizes and the outcome, all opened by the client.

import type { TerminalSize } from '../../api/node-api.ts';
import { SpdyConnection, type SpdyStream } from '../../api/streams/spdy.ts';
import type { HeaderInflater } from '../../api/streams/spdy-frames.ts';
import { TerminalSizeReader } from '../../api/streams/terminal-sizes.ts';
import { LatestValue } from '../../base/byte-queue.ts';
import type { Env } from '../../base/env.ts';
import type { HttpExchange } from '../http-exchange.ts';
import { commandOutcome, encodeStatus, type CommandStream } from './remote-command.ts';
import { chooseProtocol, offeredVersions, refuseProtocols, upgradeSpdy } from './upgrade.ts';

/** v5 differs from v4 on WebSockets alone. */
const VERSIONS = [
  { name: 'v4.channel.k8s.io', resize: true, jsonStatus: true },
  { name: 'v3.channel.k8s.io', resize: true, jsonStatus: false },
  { name: 'v2.channel.k8s.io', resize: false, jsonStatus: false },
  { name: 'channel.k8s.io', resize: false, jsonStatus: false },
  { name: '', resize: false, jsonStatus: false },
] as const;

/** Milliseconds a client has to open its streams. */
const STREAMS_WITHIN = 30_000;

type StreamType = 'stdin' | 'stdout' | 'stderr' | 'error' | 'resize';
type Streams = ReadonlyMap<StreamType, SpdyStream>;

/** Resolves when the conversation is over. */
export async function spdyCommand(
  exchange: HttpExchange,
  stream: CommandStream,
  context: { readonly env: Env; readonly inflater: () => HeaderInflater },
): Promise<void> {
  const { env } = context;
  const offers = offeredVersions(exchange);
  const version = chooseProtocol(offers, VERSIONS);
  if (!version) {
    const served = VERSIONS.flatMap(({ name }) => name || []);
    return refuseProtocols(exchange, offers, served);
  }
  const { options } = stream;
  const expected = new Set<StreamType>(['error']);
  for (const type of ['stdin', 'stdout', 'stderr'] as const) if (options[type]) expected.add(type);
  if (options.tty && version.resize) expected.add('resize');
  const { promise: complete, resolve } = Promise.withResolvers<Streams | undefined>();
  const streams = new Map<StreamType, SpdyStream>();
  const connection = new SpdyConnection(upgradeSpdy(exchange, version.name), {
    env,
    role: 'server',
    inflater: context.inflater(),
    onStream(opened) {
      const type = opened.headers.get('streamtype') as StreamType;
      if (!expected.has(type) || streams.has(type)) return opened.reset();
      opened.accept();
      streams.set(type, opened);
      if (streams.size === expected.size) resolve(streams);
    },
  });
  const running = connection.run().then(() => resolve(undefined));
  const timer = env.clock.setTimer(STREAMS_WITHIN, () => connection.destroy());
  const all = await complete;
  timer.cancel();
  if (all) await converse(connection, stream, all, { env, jsonStatus: version.jsonStatus });
  await running;
}

async function converse(
  connection: SpdyConnection,
  stream: CommandStream,
  streams: Streams,
  context: { readonly env: Env; readonly jsonStatus: boolean },
): Promise<void> {
  const [stdin, stdout, stderr] = [streams.get('stdin'), streams.get('stdout'), streams.get('stderr')];
  const resizing = streams.get('resize');
  const resize = resizing && terminalSizes(resizing);
  const status = await commandOutcome(
    stream,
    {
      ...(stdin ? { stdin: stdin.input } : {}),
      ...(stdout ? { stdout: stdout.output } : {}),
      ...(stderr ? { stderr: stderr.output } : {}),
      ...(resize ? { resize } : {}),
    },
    { env: context.env, signal: connection.signal },
  );
  const outcome = encodeStatus(status, context.jsonStatus);
  if (outcome.length > 0) void streams.get('error')!.output.write(outcome);
  for (const { output } of streams.values()) output.end();
  connection.close();
}

function terminalSizes({ input }: SpdyStream): LatestValue<TerminalSize> {
  const sizes = new LatestValue<TerminalSize>();
  const reader = new TerminalSizeReader();
  const follow = async () => {
    for await (const chunk of input) for (const size of reader.read(chunk)) sizes.set(size);
    sizes.end();
  };
  void follow();
  return sizes;
}
