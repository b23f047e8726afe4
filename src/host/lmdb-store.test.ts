import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storeSuite } from '../store/store-suite.ts';
import { LmdbStore } from './lmdb-store.ts';

function make() {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-store-'));
  let store = new LmdbStore(directory);
  return {
    store,
    reopen: async () => {
      await store.close();
      return (store = new LmdbStore(directory));
    },
    dispose: async () => {
      await store.close();
      rmSync(directory, { recursive: true });
    },
  };
}

storeSuite('lmdb', make);
