// One command at a time changes a cluster. The lock is a socket of Linux's abstract namespace: the kernel gives a name to one
// process only, and takes it back when that process ends, however it ends. Elsewhere nothing is locked.

import { createHash } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';

interface Held {
  release(): Promise<void>;
}

/** Undefined when somebody else holds it. */
function tryTake(name: string): Promise<Held | undefined> {
  return new Promise((resolve, reject) => {
    // Who waits is connected, and is told by the end of the connection.
    const waiting = new Set<Socket>();
    const server = createServer((socket) => {
      waiting.add(socket);
      socket.on('error', () => {}).on('close', () => waiting.delete(socket));
    });
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    const release = () =>
      new Promise<void>((done) => {
        server.close(() => done());
        for (const socket of waiting) socket.destroy();
      });
    server.listen(name, () => resolve({ release }));
  });
}

/** Resolves once the holder has ended or let go. */
function released(name: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(name);
    socket.on('error', () => {}).once('close', () => resolve());
  });
}

/** Waits for the lock called `key`, does the work and gives it back. `onWait` is told once when somebody else holds it. */
export async function withLock<T>(key: string, onWait: () => void, work: () => Promise<T>): Promise<T> {
  if (process.platform !== 'linux') return work();
  const name = `\0coracle-${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
  let held = await tryTake(name);
  if (!held) onWait();
  while (!held) {
    await released(name);
    held = await tryTake(name);
  }
  try {
    return await work();
  } finally {
    await held.release();
  }
}
