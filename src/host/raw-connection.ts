// A Node socket as a RawConnection.

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { RawConnection } from '../api/streams/raw-connection.ts';

/** Milliseconds a peer that takes nothing any more may keep a closed connection. */
const CLOSE_WITHIN = 5000;

/** With backpressure both ways; errors show as the end of the connection. */
export function rawConnection(socket: Duplex): RawConnection {
  const gone = new AbortController();
  let room: Promise<void> | undefined;
  let resume = () => {};
  const onRoom = () => {
    room = undefined;
    resume();
  };
  socket.on('error', () => {});
  socket.on('drain', onRoom);
  socket.once('close', () => {
    gone.abort();
    onRoom();
  });
  if (socket.destroyed) gone.abort();
  return {
    source: { [Symbol.asyncIterator]: () => chunksOf(socket) },
    sink: {
      write(chunk) {
        if (!socket.writable || socket.write(chunk)) return undefined;
        return (room ??= new Promise((resolve) => (resume = resolve)));
      },
      end: () => void socket.end(),
    },
    signal: gone.signal,
    close() {
      if (socket.destroyed) return;
      socket.end(() => socket.destroy());
      socket.resume();
      (socket as Partial<Socket>).setTimeout?.(CLOSE_WITHIN, () => socket.destroy());
    },
    destroy: () => void socket.destroy(),
  };
}

/** Unlike the stream's own iterator: leaving early does not tear down what is still to be written. */
async function* chunksOf(socket: Duplex): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* socket.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Uint8Array>;
  } catch {
    // A connection that broke has ended; whether that is too early, the protocol on it knows.
  }
}
