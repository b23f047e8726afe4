// One end of a WebSocket connection, after the handshake: answers pings, closes in order, holds the other side back
// when what it sent is not consumed, and notices when it is gone.

import { ByteBudget } from '../../base/byte-queue.ts';
import type { Env, Timer } from '../../base/env.ts';
import { AnswerWriter, waitForRoom, type RawConnection } from './raw-connection.ts';
import {
  CLOSE,
  closePayload,
  encodeFrame,
  OPCODE,
  WebSocketError,
  WebSocketReader,
  type MessagePiece,
} from './websocket-frames.ts';

export interface WebSocketOptions {
  readonly env: Pick<Env, 'clock' | 'random'>;
  readonly role: 'server' | 'client';
  /** Bytes of input that may wait for their consumers; 1 MiB unless told. */
  readonly buffer?: number;
  /** Bytes a message may have; 32 MiB unless told, as upstream. */
  readonly maxMessage?: number;
}

const BUFFER = 1024 * 1024;
const MAX_MESSAGE = 32 * 1024 * 1024;
/** Bytes of payload in one frame sent. */
const MAX_FRAME = 128 * 1024;
/** How long the other side has to answer a close. */
const CLOSE_WITHIN = 5000;

const NOTHING = new Uint8Array(0);

export class WebSocketConnection {
  /** Count what has been received and not consumed here. */
  readonly budget: ByteBudget;
  /** Aborts when the connection is gone. */
  readonly signal: AbortSignal;
  readonly #raw: RawConnection;
  readonly #options: WebSocketOptions;
  readonly #answers: AnswerWriter;
  #closeSent = false;
  #closing: Timer | undefined;

  constructor(raw: RawConnection, options: WebSocketOptions) {
    this.#raw = raw;
    this.#options = options;
    this.budget = new ByteBudget(options.buffer ?? BUFFER);
    this.signal = raw.signal;
    this.#answers = new AnswerWriter(raw);
  }

  /** Hands over messages, piece by piece, until either side closes. Resolves in every case; call it once. */
  async run(receive: (piece: MessagePiece) => void): Promise<void> {
    const reader = new WebSocketReader({
      masked: this.#options.role === 'server',
      maxMessage: this.#options.maxMessage ?? MAX_MESSAGE,
    });
    try {
      for await (const chunk of this.#raw.source) {
        for (const event of reader.read(chunk)) {
          if (event.type === 'data') {
            if (!this.#closeSent) receive(event);
          } else if (event.type === 'ping') this.#pong(event.payload);
          else if (event.type === 'close') return this.#answerClose(event.code);
        }
        const room = this.budget.room();
        if (room) await waitForRoom(room, this.signal, this.#options.env.clock, () => this.#pong(NOTHING));
      }
    } catch (error) {
      // A broken connection needs no farewell.
      if (error instanceof WebSocketError) void this.#write(OPCODE.close, [closePayload(error.code, error.message)]);
    } finally {
      this.#closing?.cancel();
      this.#closeSent = true;
      this.#raw.close();
    }
  }

  /** Sends one message; resolves when there is room for more. `parts` are joined; long ones are sent in several frames. */
  send(parts: readonly Uint8Array[], options: { readonly text?: boolean } = {}): Promise<void> | void {
    if (this.#closeSent) return;
    return this.#write(options.text ? OPCODE.text : OPCODE.binary, parts);
  }

  /** Sends `chunk` as messages that each begin with `prefix`. */
  sendPrefixed(prefix: Uint8Array, chunk: Uint8Array): Promise<void> | void {
    let last: Promise<void> | void = undefined;
    for (let at = 0; at === 0 || at < chunk.length; at += MAX_FRAME) {
      last = this.send([prefix, chunk.subarray(at, at + MAX_FRAME)]);
    }
    return last;
  }

  /** Says good-bye; what the other side still sends is dropped. The connection goes once it has answered. */
  close(code: number = CLOSE.normal, reason = ''): void {
    if (this.#closeSent) return;
    void this.#write(OPCODE.close, [closePayload(code, reason)]);
    this.#closeSent = true;
    this.#closing = this.#options.env.clock.setTimer(CLOSE_WITHIN, () => this.#raw.destroy(), { unref: true });
  }

  destroy(): void {
    this.#closeSent = true;
    this.#raw.destroy();
  }

  #answerClose(code: number): void {
    if (this.#closeSent) return;
    void this.#write(OPCODE.close, code === 1005 ? [] : [closePayload(code, '')]);
    this.#closeSent = true;
  }

  #pong(payload: Uint8Array): void {
    if (!this.#closeSent) this.#answers.write(this.#frame(OPCODE.pong, [payload]));
  }

  #write(opcode: number, parts: readonly Uint8Array[]): Promise<void> | void {
    return this.#raw.sink.write(this.#frame(opcode, parts));
  }

  #frame(opcode: number, parts: readonly Uint8Array[]): Uint8Array {
    const mask = this.#options.role === 'client' ? this.#options.env.random.bytes(4) : undefined;
    return encodeFrame(opcode, parts, mask);
  }
}
