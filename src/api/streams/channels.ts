// Several streams over one WebSocket: each message begins with the number of its channel. In the base64 forms it is a
// digit and the rest is base64 in text messages.
// https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apimachinery/pkg/util/remotecommand/constants.go

import type { WebSocketConnection } from './websocket.ts';
import { WebSocketError, CLOSE, type MessagePiece } from './websocket-frames.ts';

/** Channels of exec and attach. */
export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

export interface ChannelProtocol {
  readonly name: string;
  readonly base64: boolean;
  /** Whether a message on channel 255 names a channel that its sender is done with. */
  readonly halfClose: boolean;
  /** Whether the outcome on the error channel is a metav1.Status as JSON, not plain text. */
  readonly jsonStatus: boolean;
}

const protocol = (name: string, more: Partial<ChannelProtocol> = {}): ChannelProtocol => ({
  name,
  base64: name.includes('base64'),
  halfClose: false,
  jsonStatus: false,
  ...more,
});

export const V5 = protocol('v5.channel.k8s.io', { halfClose: true, jsonStatus: true });
const V4 = [
  protocol('v4.channel.k8s.io', { jsonStatus: true }),
  protocol('v4.base64.channel.k8s.io', { jsonStatus: true }),
];
const OLD = [protocol('channel.k8s.io'), protocol('base64.channel.k8s.io')];

/** For exec and attach; a client that names none gets the last. */
export const COMMAND_PROTOCOLS: readonly ChannelProtocol[] = [V5, ...V4, ...OLD, protocol('')];
/** For port-forwards whose channels are given by the query. Upstream ends at v4, and so cannot half-close. */
export const PORT_PROTOCOLS: readonly ChannelProtocol[] = [V5, ...V4, protocol('')];

const ZERO = 48;

/** Where the content of one channel's messages goes. */
export type ChannelSink = (channel: number, chunk: Uint8Array) => void;

/** Takes messages apart. `close` is called for channels that the other side has half-closed. */
export class ChannelReader {
  readonly #protocol: ChannelProtocol;
  readonly #deliver: ChannelSink;
  readonly #closed: (channel: number) => void;
  #channel = -1;
  /** Base64 of which fewer than four characters have come. */
  #rest = '';

  constructor(protocol: ChannelProtocol, deliver: ChannelSink, closed: (channel: number) => void = () => {}) {
    this.#protocol = protocol;
    this.#deliver = deliver;
    this.#closed = closed;
  }

  /** Throws WebSocketError for what is no message of this protocol. */
  readonly read = ({ chunk, first, last }: MessagePiece): void => {
    if (first) {
      this.#channel = -1;
      this.#rest = '';
    }
    let content = chunk;
    if (this.#channel < 0) {
      if (chunk.length === 0) return;
      this.#channel = this.#protocol.base64 ? chunk[0]! - ZERO : chunk[0]!;
      content = chunk.subarray(1);
    }
    if (this.#channel === CHANNEL.close && this.#protocol.halfClose) {
      for (const channel of content) this.#closed(channel);
    } else if (this.#protocol.base64) this.#decode(content, last);
    else if (content.length > 0) this.#deliver(this.#channel, content);
  };

  #decode(content: Uint8Array, last: boolean): void {
    const text = this.#rest + new TextDecoder('latin1').decode(content);
    const whole = last ? text.length : text.length - (text.length % 4);
    this.#rest = text.slice(whole);
    if (whole > 0) this.#deliver(this.#channel, fromBase64(text.slice(0, whole)));
  }
}

function fromBase64(text: string): Uint8Array {
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    throw new WebSocketError(CLOSE.protocol, 'malformed base64');
  }
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** `btoa` takes characters, and a call takes only so many arguments. */
function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 8190) binary += String.fromCharCode(...bytes.subarray(at, at + 8190));
  return btoa(binary);
}

const BASE64_CHUNK = 96 * 1024;

/** Sends on a channel; resolves when there is room for more. An empty chunk makes an empty message. */
export function sendChannel(
  socket: WebSocketConnection,
  protocol: ChannelProtocol,
  channel: number,
  chunk: Uint8Array,
): Promise<void> | void {
  if (!protocol.base64) return socket.sendPrefixed(Uint8Array.of(channel), chunk);
  const prefix = Uint8Array.of(ZERO + channel);
  let last: Promise<void> | void = undefined;
  for (let at = 0; at === 0 || at < chunk.length; at += BASE64_CHUNK) {
    const text = toBase64(chunk.subarray(at, at + BASE64_CHUNK));
    last = socket.send([prefix, new TextEncoder().encode(text)], { text: true });
  }
  return last;
}
