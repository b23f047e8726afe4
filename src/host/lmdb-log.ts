// The disk store's files: an append-only log in LMDB. Layout of the environment (`data.mdb`), format 1:
//   log     (revision, sub) -> type, revisions of the key's creation and of its previous write, key
//   values  (revision, sub) -> a checksum and the value that write put
//   meta    format, compactRevision
// `sub` counts the writes of one revision. Compacting up to C removes, for every write up to C, the record it replaced,
// and the write itself when it is a delete: what remains of the log up to C are the puts of the keys as of C.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { open, type Database, type RootDatabase } from 'lmdb';
import { StoreError, type Entry, type StoreEvent, type Value } from '../store/store.ts';
import { faultOf, LmdbDirectory } from './lmdb-directory.ts';

const FORMAT = 1;
const DELETE = 1;
const HEADER = 17;
const CHECKSUM = 4;
const MAX_REVISION = 2 ** 48 - 2;
/** Address space, not memory or disk; LMDB grows it when it must, but pauses for that. */
const MAP_SIZE = 4 * 2 ** 30;

/** Where a write stands in the log. */
export interface Position {
  readonly revision: number;
  readonly sub: number;
}

/** One write of a transaction, as it goes into the log. */
export interface LogWrite extends Position {
  readonly key: string;
  readonly createRevision: number;
  /** Absent for a delete. */
  readonly value?: Value;
  readonly previous: Position | undefined;
}

export interface LogChange {
  readonly writes: readonly LogWrite[];
  /** History to forget, from `compaction`. */
  readonly compaction?: Compaction;
}

export interface Compaction {
  /** History up to and including this revision is forgotten. */
  readonly revision: number;
  readonly remove: readonly Position[];
}

/** An entry whose value stands on disk and is read each time it is asked for. */
export class LoggedEntry implements Entry, Value {
  readonly key: string;
  readonly revision: number;
  readonly sub: number;
  readonly createRevision: number;
  readonly #log: LmdbLog;

  constructor(log: LmdbLog, key: string, at: Position, createRevision: number) {
    this.#log = log;
    this.key = key;
    this.revision = at.revision;
    this.sub = at.sub;
    this.createRevision = createRevision;
  }

  get value(): Value {
    return this;
  }

  /** Throws StoreError `compacted` when the entry has been replaced and its history forgotten since, `closed`, `corrupt`. */
  get bytes(): Uint8Array {
    return this.#log.value(this);
  }
}

export class LmdbLog {
  /** History up to and including this revision is no longer there. */
  compactRevision: number;
  readonly #directory: LmdbDirectory;
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #log: Database<Buffer, Buffer>;
  readonly #values: Database<Buffer, Buffer>;
  readonly #meta: Database<Buffer, string>;
  #open = true;

  /**
   * Opens or creates the log in a directory. Throws StoreError `readonly`, `full` or `corrupt`, and Error when another
   * process has it open or a later version wrote it.
   */
  constructor(directory: string) {
    this.#directory = new LmdbDirectory(directory);
    const { path } = this.#directory;
    try {
      // With overlapping syncs LMDB shows and acknowledges a write before it is on disk.
      const options = {
        path,
        noSubdir: false,
        overlappingSync: false,
        mapSize: MAP_SIZE,
        permissionsMode: 0o600,
      } as const;
      this.#root = open({ ...options, encoding: 'binary', keyEncoding: 'binary', eventTurnBatching: false });
      this.#meta = this.#root.openDB({ name: 'meta', encoding: 'binary', keyEncoding: 'ordered-binary' });
      this.#log = this.#root.openDB({ name: 'log', encoding: 'binary', keyEncoding: 'binary' });
      this.#values = this.#root.openDB({ name: 'values', encoding: 'binary', keyEncoding: 'binary' });
      this.compactRevision = this.#start();
    } catch (error) {
      this.#directory.release();
      throw faultOf(error, path);
    }
  }

  /** Calls `live` for each entry that exists, and returns the last revision. */
  load(put: (entry: LoggedEntry) => void, remove: (key: string) => void): number {
    let revision = this.compactRevision;
    for (const write of this.#writes(0, MAX_REVISION)) {
      revision = write.revision;
      if (write.deleted) remove(write.key);
      else put(new LoggedEntry(this, write.key, write, write.createRevision));
    }
    return Math.max(revision, this.compactRevision);
  }

  /** The events after revision `after` up to `last`, a batch per revision. */
  *history(after: number, last: number): Generator<StoreEvent[]> {
    let batch: StoreEvent[] = [];
    for (const event of this.#events(after, last)) {
      if (batch.length > 0 && batch[0]!.revision !== event.revision) {
        yield batch;
        batch = [];
      }
      batch.push(event);
    }
    if (batch.length > 0) yield batch;
  }

  /** What to remove to forget history after `compactRevision` up to `target`, or of about `most` writes of it. */
  compaction(after: number, target: number, most: number): Compaction {
    const remove: Position[] = [];
    let revision = after;
    let writes = 0;
    for (const write of this.#writes(after, target)) {
      if (write.revision !== revision && writes >= most) return { revision, remove };
      revision = write.revision;
      writes++;
      if (write.previous) remove.push(write.previous);
      if (write.deleted) remove.push(write);
    }
    return { revision: target, remove };
  }

  /** Writes all or nothing; resolves when it is on disk. Rejects with StoreError. */
  async commit({ writes, compaction }: LogChange): Promise<void> {
    let bytes = 0;
    const values = writes.map((write) => write.value && writeValue(write, write.value));
    writes.forEach(({ key }, i) => (bytes += HEADER + key.length + (values[i]?.length ?? 0)));
    this.#directory.checkWritable(bytes);
    const apply = () => {
      writes.forEach((write, i) => {
        const at = positionKey(write);
        const value = values[i];
        void this.#log.put(at, writeRecord(write));
        if (value) void this.#values.put(at, value);
      });
      if (!compaction) return;
      for (const position of compaction.remove) {
        const at = positionKey(position);
        void this.#log.remove(at);
        void this.#values.remove(at);
      }
      void this.#meta.put('compactRevision', Buffer.from(String(compaction.revision)));
    };
    try {
      await this.#root.batch(apply);
    } catch (error) {
      // LMDB's binding keeps the cause behind a second promise.
      const cause = await (error as { commitError?: Promise<never> }).commitError?.catch((e: unknown) => e);
      throw faultOf(cause ?? error, this.#directory.path, bytes);
    }
  }

  value(at: LoggedEntry): Uint8Array {
    if (!this.#open) throw new StoreError('closed', 'the store is closed');
    let stored: Buffer | undefined;
    try {
      stored = this.#values.getBinary(positionKey(at));
    } catch (error) {
      throw faultOf(error, this.#directory.path);
    }
    const id = `the value of ${at.key} at revision ${at.revision}`;
    if (stored) {
      const bytes = stored.subarray(CHECKSUM);
      if (stored.length < CHECKSUM || stored.readUInt32BE(0) !== checksum(at, bytes)) {
        throw new StoreError('corrupt', `${id} is damaged in ${this.#directory.path}`);
      }
      return bytes;
    }
    if (at.revision <= this.compactRevision) throw new StoreError('compacted', `${id} has been compacted`);
    throw new StoreError('corrupt', `${id} is missing in ${this.#directory.path}`);
  }

  /** The size of the data file. */
  get bytes(): number {
    return statSync(join(this.#directory.path, 'data.mdb')).size;
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#root.close();
    this.#directory.release();
  }

  /** Takes the directory, checks the format and returns the compact revision. */
  #start(): number {
    const { path, isNew } = this.#directory;
    try {
      const format = this.#meta.get('format')?.toString();
      this.#directory.checkAlone(this.#root.readerList());
      if (format === undefined) {
        if (!isNew && !this.#isEmpty()) throw new StoreError('corrupt', `${path} holds no store of this kind`);
        this.#meta.putSync('format', Buffer.from(String(FORMAT)));
      } else if (Number(format) !== FORMAT) {
        throw new Error(`the store in ${path} has format ${format}; this version knows formats up to ${FORMAT}`);
      }
      return Number(this.#meta.get('compactRevision')?.toString() ?? 1);
    } catch (error) {
      void this.#root.close();
      throw error;
    }
  }

  #isEmpty(): boolean {
    return [...this.#log.getKeys({ limit: 1 }), ...this.#values.getKeys({ limit: 1 })].length === 0;
  }

  *#writes(after: number, last: number): Generator<ReturnType<typeof readWrite>> {
    const start = positionKey({ revision: after + 1, sub: 0 });
    const end = positionKey({ revision: last + 1, sub: 0 });
    try {
      for (const { key, value } of this.#log.getRange({ start, end })) yield readWrite(key, value);
    } catch (error) {
      throw faultOf(error, this.#directory.path);
    }
  }

  *#events(after: number, last: number): Generator<StoreEvent> {
    for (const { deleted, key, revision, createRevision, previous: was, sub } of this.#writes(after, last)) {
      const previous = was && new LoggedEntry(this, key, was, createRevision);
      if (deleted) yield { type: 'delete', key, revision, previous: previous! };
      else {
        const entry = new LoggedEntry(this, key, { revision, sub }, createRevision);
        yield previous ? { type: 'put', key, revision, entry, previous } : { type: 'put', key, revision, entry };
      }
    }
  }
}

function positionKey({ revision, sub }: Position): Buffer {
  const key = Buffer.allocUnsafe(10);
  key.writeUIntBE(revision, 0, 6);
  key.writeUInt32BE(sub, 6);
  return key;
}

/** Also of where the value belongs, so that it does not pass for another. */
const checksum = (at: Position, bytes: Uint8Array) => crc32(bytes, at.revision % 2 ** 32);

function writeValue(at: Position, value: Value): Buffer {
  const { text } = value;
  const source = text ?? value.bytes;
  const stored = Buffer.allocUnsafe(CHECKSUM + Buffer.byteLength(source));
  if (typeof source === 'string') stored.write(source, CHECKSUM);
  else stored.set(source, CHECKSUM);
  stored.writeUInt32BE(checksum(at, stored.subarray(CHECKSUM)));
  return stored;
}

function writeRecord({ key, createRevision, value, previous }: LogWrite): Buffer {
  const record = Buffer.allocUnsafe(HEADER + Buffer.byteLength(key));
  record[0] = value ? 0 : DELETE;
  record.writeUIntBE(createRevision, 1, 6);
  record.writeUIntBE(previous?.revision ?? 0, 7, 6);
  record.writeUInt32BE(previous?.sub ?? 0, 13);
  record.write(key, HEADER);
  return record;
}

function readWrite(at: Buffer, record: Buffer) {
  // LMDB's binding gives keys as plain byte arrays.
  const position = Buffer.from(at.buffer, at.byteOffset, at.length);
  if (record.length < HEADER || position.length !== 10) throw new StoreError('corrupt', 'a log record is too short');
  const before = record.readUIntBE(7, 6);
  return {
    revision: position.readUIntBE(0, 6),
    sub: position.readUInt32BE(6),
    deleted: record[0] === DELETE,
    createRevision: record.readUIntBE(1, 6),
    previous: before === 0 ? undefined : { revision: before, sub: record.readUInt32BE(13) },
    key: record.toString('utf8', HEADER),
  };
}
