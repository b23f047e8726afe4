// A stream of bytes in the binary messages of a WebSocket; where one message ends and the next begins means nothing.

import { ByteQueue } from '../../base/byte-queue.ts';
import type { RawConnection } from './raw-connection.ts';
import type { WebSocketConnection } from './websocket.ts';

const NO_PREFIX = new Uint8Array(0);

/** Runs the connection; the caller must not. */
export function webSocketTunnel(socket: WebSocketConnection): RawConnection {
  const source = new ByteQueue(socket.budget);
  void socket.run(({ chunk }) => source.push(chunk)).then(() => source.end());
  return {
    source,
    sink: { write: (chunk) => socket.sendPrefixed(NO_PREFIX, chunk), end: () => socket.close() },
    signal: socket.signal,
    close() {
      source.discard();
      socket.close();
    },
    destroy: () => socket.destroy(),
  };
}
