// The child of store-durability.test.ts: writes to the store in argv[2] from several writers at once until it is killed,
// and prints every acknowledged write, `<revision> put|delete <key> <bytes>`, the moment it is acknowledged.

import { writeSync } from 'node:fs';
import { LmdbStore } from '../src/host/lmdb-store.ts';

const WRITERS = 8;
const store = new LmdbStore(process.argv[2]!);
const round = store.revision;
writeSync(1, `open ${store.revision}\n`);

async function write(writer: number): Promise<never> {
  for (let n = 0; ; n++) {
    const key = `/${writer}/${round}-${n}`;
    const size = 10 + ((n * 997) % 6000);
    const { revision } = await store.txn([{ key, revision: 0 }], [{ put: key, value: { bytes: value(key, size) } }]);
    writeSync(1, `${revision} put ${key} ${size}\n`);
    if (n % 5 !== 4) continue;
    const old = `/${writer}/${round}-${n - 2}`;
    const deleted = await store.txn([], [{ delete: old }]);
    writeSync(1, `${deleted.revision} delete ${old} 0\n`);
    if (writer === 0 && n % 25 === 24) await store.compact(store.revision - 200);
  }
}

function value(key: string, size: number): Uint8Array {
  return Buffer.alloc(size, key);
}

await Promise.all(Array.from({ length: WRITERS }, (_, i) => write(i)));
