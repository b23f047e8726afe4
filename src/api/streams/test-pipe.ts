// Two ends of a connection in memory, for tests. Each end may be held full, so that writers see backpressure.

import { ByteBudget, ByteQueue } from '../../base/byte-queue.ts';
import type { RawConnection } from './raw-connection.ts';
import type { HeaderInflater } from './spdy-frames.ts';

export interface PipeEnd extends RawConnection {
  /** Bytes written here that the other end has not read. */
  readonly unread: number;
  readonly destroyed: boolean;
}

/** `room`: bytes either direction takes before writers have to wait. */
export function testPipe(room = 64 * 1024): [PipeEnd, PipeEnd] {
  const [there, back] = [new ByteBudget(room), new ByteBudget(room)];
  const [aToB, bToA] = [new ByteQueue(there), new ByteQueue(back)];
  const gone = new AbortController();
  const open = { a: true, b: true };
  const end = (side: 'a' | 'b', out: ByteQueue, budget: ByteBudget, source: ByteQueue): PipeEnd => {
    const finish = () => {
      open[side] = false;
      out.end();
      if (!open.a && !open.b) gone.abort();
    };
    return {
      source,
      sink: {
        write(chunk) {
          if (!open[side]) return undefined;
          out.push(chunk.slice());
          return budget.room();
        },
        end: finish,
      },
      signal: gone.signal,
      close() {
        finish();
        source.discard();
      },
      destroy() {
        open.a = open.b = false;
        aToB.discard();
        bToA.discard();
        gone.abort();
      },
      get unread() {
        return budget.used;
      },
      get destroyed() {
        return gone.signal.aborted;
      },
    };
  };
  return [end('a', aToB, there, bToA), end('b', bToA, back, aToB)];
}

/** Reads what HeaderWriter writes, without zlib: its blocks are stored, each followed by an empty one. */
export function storedInflater(): HeaderInflater {
  let begun = false;
  return {
    async inflate(block) {
      const start = begun ? 5 : 11;
      begun = true;
      return block.slice(start, block.length - 5);
    },
    close() {},
  };
}
