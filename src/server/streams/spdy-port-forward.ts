// Port-forward over SPDY, bare or tunnelled through a WebSocket: each connection is a pair of streams, one for errors
// and one for data, that name the same request.
// https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/kubelet/pkg/cri/streaming/portforward/httpstream.go

import type { RawConnection } from '../../api/streams/raw-connection.ts';
import { SpdyConnection, type SpdyStream } from '../../api/streams/spdy.ts';
import { RESET, type HeaderInflater } from '../../api/streams/spdy-frames.ts';
import type { Timer } from '../../base/env.ts';
import { forwardPort, type ForwardContext, type PortStream } from './forward-port.ts';

/** Milliseconds between the two streams of a pair. */
const PAIR_WITHIN = 30_000;

interface Pair {
  readonly error?: SpdyStream;
  readonly data?: SpdyStream;
  readonly timer: Timer;
}

/** Forwards until the client closes the connection. */
export async function spdyPortForward(
  raw: RawConnection,
  stream: PortStream,
  context: ForwardContext & { readonly inflater: HeaderInflater },
): Promise<void> {
  const session = new PortForwardSession(stream, context);
  const connection = new SpdyConnection(raw, {
    env: context.env,
    role: 'server',
    inflater: context.inflater,
    onStream: (opened) => session.opened(opened),
  });
  await connection.run();
  session.close();
}

class PortForwardSession {
  readonly #stream: PortStream;
  readonly #context: ForwardContext;
  readonly #pairs = new Map<string, Pair>();

  constructor(stream: PortStream, context: ForwardContext) {
    this.#stream = stream;
    this.#context = context;
  }

  opened(stream: SpdyStream): void {
    const type = stream.headers.get('streamtype');
    const port = portOf(stream);
    const request = requestOf(stream);
    const pair = this.#pairs.get(request);
    if (port === undefined || (type !== 'data' && type !== 'error') || pair?.[type]) {
      this.#context.env.log.debug('port-forward stream refused', { headers: [...stream.headers].join(' ') });
      return stream.reset(RESET.refused);
    }
    stream.accept();
    const complete: Pair = { ...pair, [type]: stream, timer: pair?.timer ?? this.#expire(request) };
    this.#pairs.set(request, complete);
    if (!complete.data || !complete.error) return;
    complete.timer.cancel();
    this.#pairs.delete(request);
    void this.#forward(port, complete.data, complete.error);
  }

  close(): void {
    for (const { timer } of this.#pairs.values()) timer.cancel();
  }

  async #forward(port: number, data: SpdyStream, error: SpdyStream): Promise<void> {
    const { input, output, signal } = data;
    const problem = await forwardPort(this.#stream, port, { input, output }, { ...this.#context, signal });
    if (problem) void error.output.write(new TextEncoder().encode(problem));
    error.output.end();
    output.end();
    input.discard();
    error.input.discard();
  }

  #expire(request: string): Timer {
    return this.#context.env.clock.setTimer(PAIR_WITHIN, () => {
      const pair = this.#pairs.get(request);
      this.#pairs.delete(request);
      const text = `(request=${request}) timed out waiting for streams`;
      void pair?.error?.output.write(new TextEncoder().encode(text));
      pair?.error?.output.end();
      pair?.data?.reset();
    });
  }
}

function portOf(stream: SpdyStream): number | undefined {
  const text = stream.headers.get('port') ?? '';
  const port = Number(text);
  return /^[0-9]{1,5}$/.test(text) && port >= 1 && port <= 65535 ? port : undefined;
}

/** Old clients name none: their error stream comes first, the data stream next. */
function requestOf(stream: SpdyStream): string {
  const named = stream.headers.get('requestid');
  if (named) return named;
  return String(stream.headers.get('streamtype') === 'data' ? stream.id - 2 : stream.id);
}
