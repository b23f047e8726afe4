// What a node offers about its running containers: logs, exec, attach, port-forward and HTTP proxying. The API server
// asks for it on behalf of a client; the kubelet provides it, in the same process or over its own HTTPS endpoint.

export type ByteSource = AsyncIterable<Uint8Array>;

export interface ByteSink {
  /** Resolves when there is room for more. */
  write(chunk: Uint8Array): Promise<void> | void;
  end(): void;
}

export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

export interface ContainerTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly container: string;
}

export interface LogOptions {
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly sinceSeconds?: number;
  /** RFC 3339. */
  readonly sinceTime?: string;
  readonly tailLines?: number;
  readonly limitBytes?: number;
  readonly timestamps?: boolean;
  /** `All` (default), `Stdout` or `Stderr`. */
  readonly stream?: 'All' | 'Stdout' | 'Stderr';
}

export interface ExecOptions {
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export interface StdStreams {
  readonly stdin?: ByteSource;
  readonly stdout?: ByteSink;
  readonly stderr?: ByteSink;
  readonly resize?: AsyncIterable<TerminalSize>;
}

export interface NodeApi {
  /**
   * Rejects with a StatusError when no command can run in the container now, or no port of the pod be reached. Asked
   * before a client's connection is taken over: after that there is no plain answer any more.
   */
  check?(target: Omit<ContainerTarget, 'container'> & { readonly container?: string }): Promise<void>;
  /** The container's log. Rejects with a StatusError (BadRequest) when there is none to give. */
  logs(target: ContainerTarget, options: LogOptions, context: { signal: AbortSignal }): Promise<ByteSource>;
  /** Runs a command; resolves to its exit code once all output has been handed over. */
  exec(
    target: ContainerTarget,
    options: ExecOptions,
    streams: StdStreams,
    context: { signal: AbortSignal },
  ): Promise<number>;
  attach(
    target: ContainerTarget,
    options: Omit<ExecOptions, 'command'>,
    streams: StdStreams,
    context: { signal: AbortSignal },
  ): Promise<void>;
  /** Connects to a TCP port inside the pod; resolves when both directions have ended. */
  portForward(
    target: Omit<ContainerTarget, 'container'>,
    port: number,
    streams: { input: ByteSource; output: ByteSink },
    context: { signal: AbortSignal },
  ): Promise<void>;
}

/** How the API server finds the node API of a node by the node's name. */
export type NodeConnector = (nodeName: string) => NodeApi;

/** The conversation a connect operation stands for; the HTTP layer maps it onto WebSocket, SPDY or a plain body. */
export type NodeStream =
  | { readonly kind: 'logs'; readonly source: ByteSource }
  | {
      readonly kind: 'exec' | 'attach';
      readonly options: Omit<ExecOptions, 'command'>;
      /** Rejects when `run` is bound to fail. */
      check?(): Promise<void>;
      /** Resolves to the exit code (attach: 0). */
      run(streams: StdStreams, context: { signal: AbortSignal }): Promise<number>;
    }
  | {
      readonly kind: 'portforward';
      check?(): Promise<void>;
      run(
        port: number,
        streams: { input: ByteSource; output: ByteSink },
        context: { signal: AbortSignal },
      ): Promise<void>;
    }
  | {
      /** An HTTP request to forward to an address reachable from the API server's node. */
      readonly kind: 'proxy';
      readonly scheme: 'http' | 'https';
      readonly host: string;
      readonly port: number;
      /** Percent-encoded, without the query. */
      readonly path: string;
      /** It is a node's own endpoint: the API server shows who it is. */
      readonly kubelet?: boolean;
    };
