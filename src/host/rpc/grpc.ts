// gRPC over a unix socket with messages of message.ts. Calls wait for the connection while the other side restarts;
// failures are RuntimeErrors whose code is the gRPC status name and whose message is the server's text alone.

import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { RuntimeError } from '../../kubelet/runtime.ts';
import type { Decoded, Encodable, Fields, Message } from './message.ts';

export interface Method<I extends Fields, O extends Fields> {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly request: Message<I>;
  readonly response: Message<O>;
}

export interface CallOptions {
  /** Undefined: no limit. */
  readonly timeoutSeconds?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const DEFAULT_TIMEOUT_SECONDS = 120;

function toRuntimeError(error: ServiceError): RuntimeError {
  return new RuntimeError(status[error.code] ?? 'UNKNOWN', error.details || error.message);
}

export class GrpcChannel {
  private readonly client: Client;
  private readonly underWay = new Set<{ cancel(): void }>();
  private readonly metadata = new Metadata({ waitForReady: true });

  /** `headers` are sent with every call. The connection is made on the first call. */
  constructor(socket: string, headers: Readonly<Record<string, string>> = {}) {
    this.client = new Client(`unix://${socket}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.default_authority': 'localhost',
      'grpc.enable_http_proxy': 0,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 500,
      'grpc.client_idle_timeout_ms': 2 ** 31 - 1,
    });
    for (const [key, value] of Object.entries(headers)) this.metadata.set(key, value);
  }

  call<I extends Fields, O extends Fields>(
    method: Method<I, O>,
    request: Encodable<I>,
    options: CallOptions = { timeoutSeconds: DEFAULT_TIMEOUT_SECONDS },
  ): Promise<Decoded<O>> {
    return new Promise((resolve, reject) => {
      const { timeoutSeconds, signal } = options;
      if (signal?.aborted) return reject(signal.reason as Error);
      const onAbort = () => call.cancel();
      const call = this.client.makeUnaryRequest(
        method.path,
        (value: Encodable<I>) => Buffer.from(method.request.encode(value)),
        (bytes: Buffer) => method.response.decode(bytes),
        request,
        this.metadata,
        timeoutSeconds === undefined ? {} : { deadline: Date.now() + timeoutSeconds * 1000 },
        (error, value) => {
          signal?.removeEventListener('abort', onAbort);
          this.underWay.delete(call);
          if (signal?.aborted && error) reject(signal.reason as Error);
          else if (error) reject(toRuntimeError(error));
          else resolve(value!);
        },
      );
      this.underWay.add(call);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Hands over each message; resolves when the signal aborts, rejects when the stream breaks or ends. */
  subscribe<I extends Fields, O extends Fields>(
    method: Method<I, O>,
    request: Encodable<I>,
    onMessage: (message: Decoded<O>) => void,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return resolve();
      const call = this.client.makeServerStreamRequest(
        method.path,
        (value: Encodable<I>) => Buffer.from(method.request.encode(value)),
        (bytes: Buffer) => method.response.decode(bytes),
        request,
        this.metadata,
      );
      this.underWay.add(call);
      const onAbort = () => {
        this.underWay.delete(call);
        call.cancel();
        resolve();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      const end = (error: RuntimeError) => {
        this.underWay.delete(call);
        signal.removeEventListener('abort', onAbort);
        reject(error);
      };
      call.on('data', onMessage);
      call.on('error', (error: ServiceError) => end(toRuntimeError(error)));
      call.on('end', () => end(new RuntimeError('UNAVAILABLE', 'the stream ended')));
    });
  }

  /** Calls under way are rejected as CANCELLED: they would keep the process alive until they are answered. */
  close(): void {
    for (const call of this.underWay) call.cancel();
    this.client.close();
  }
}
