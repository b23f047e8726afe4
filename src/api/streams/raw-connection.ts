// A connection that speaks no HTTP (any more): bytes both ways, and how to tell that it is over. Also what every
// protocol on top needs: to wait for its consumers without losing sight of the peer, and to answer a peer's questions.

import type { Clock } from '../../base/env.ts';
import type { ByteSink, ByteSource } from '../node-api.ts';

export interface RawConnection {
  /** The chunks belong to whoever reads them: they may be changed in place. Ends, without error, however it ended. */
  readonly source: ByteSource;
  readonly sink: ByteSink;
  /** Aborts once the connection is gone, also when nobody reads. */
  readonly signal: AbortSignal;
  /** Closes in order: what has been written still goes out, what comes in is dropped. */
  close(): void;
  destroy(): void;
}

/** While nothing is read, no question of the peer is seen: show it that we live, and find out whether it does. */
const SIGN_OF_LIFE_EVERY = 15_000;

/** Resolves when there is room, or the connection is gone. Calls `sign` now and then while it waits. */
export async function waitForRoom(
  room: Promise<void>,
  signal: AbortSignal,
  clock: Clock,
  sign: () => void,
): Promise<void> {
  if (signal.aborted) return;
  const again = () => {
    sign();
    timer = clock.setTimer(SIGN_OF_LIFE_EVERY, again, { unref: true });
  };
  let timer = clock.setTimer(SIGN_OF_LIFE_EVERY, again, { unref: true });
  let onAbort = () => {};
  const gone = new Promise<void>((resolve) => (onAbort = resolve));
  signal.addEventListener('abort', onAbort, { once: true });
  await Promise.race([room, gone]);
  signal.removeEventListener('abort', onAbort);
  timer.cancel();
}

/** Answers that a peer has asked for and not taken off the connection. */
const MAX_UNREAD_ANSWERS = 1000;

/** Sends small answers without waiting; gives up a connection whose peer asks on and on and reads nothing. */
export class AnswerWriter {
  readonly #raw: RawConnection;
  #unread = 0;

  constructor(raw: RawConnection) {
    this.#raw = raw;
  }

  write(answer: Uint8Array): void {
    const wait = this.#raw.sink.write(answer);
    if (!wait) return;
    if (++this.#unread > MAX_UNREAD_ANSWERS) this.#raw.destroy();
    void wait.then(() => this.#unread--);
  }
}
