// Looks at the pages of an LMDB file before LMDB maps it. LMDB trusts what they say of each other, and a page that holds
// zeros or noise ends the process in a signal, or in a transaction that fails for no reason told. What values say is not
// looked at here: they have checksums of their own. Format 2, `MDB_page`, `MDB_node` and `MDB_db` in mdb.c.

import { readSync } from 'node:fs';

export interface Trees {
  /** An open file descriptor. */
  readonly file: number;
  readonly pageSize: number;
  readonly lastPage: number;
  /** The roots: free pages, main database. */
  readonly roots: readonly bigint[];
}

const HEAD = 24;
const AT = { flags: 18, lower: 20, upper: 22, pages: 20 };
const [BRANCH, LEAF, OVERFLOW] = [1, 2, 4];
const [BIG, SUB, DUPLICATES] = [1, 2, 4];
const NODE = { flags: 4, keySize: 6, head: 8 };
const ROOT_IN_DATABASE = 40;
const NONE = 0xffff_ffff_ffff_ffffn;
/** Pages looked at: some tenths of a second. Of a larger store the beginnings of its trees are. */
const MOST = 50_000;

/** What is wrong, in words; undefined when nothing is. */
export function damageOf(trees: Trees): string | undefined {
  try {
    const check = new Check(trees);
    for (const root of trees.roots) if (root !== NONE) check.tree(Number(root));
    return undefined;
  } catch (error) {
    if (error instanceof Damage) return error.message;
    throw error;
  }
}

class Damage extends Error {}

class Check {
  readonly #trees: Trees;
  readonly #seen = new Set<number>();

  constructor(trees: Trees) {
    this.#trees = trees;
  }

  tree(root: number): void {
    const waiting = [root];
    for (let number = waiting.pop(); number !== undefined && this.#seen.size < MOST; number = waiting.pop()) {
      if (this.#seen.has(number)) throw new Damage(`page ${number} is in two places`);
      this.#seen.add(number);
      waiting.push(...this.#page(number));
    }
  }

  #read(number: number): Buffer {
    const { file, pageSize, lastPage } = this.#trees;
    if (!(number >= 2 && number <= lastPage)) throw new Damage(`there is no page ${number} of ${lastPage}`);
    const page = Buffer.allocUnsafe(pageSize);
    if (readSync(file, page, 0, pageSize, number * pageSize) < pageSize) throw new Damage(`page ${number} is cut off`);
    if (page.readBigUInt64LE(0) !== BigInt(number)) throw new Damage(`page ${number} holds something else`);
    return page;
  }

  /** The pages below. */
  #page(number: number): number[] {
    const page = this.#read(number);
    const flags = page.readUInt16LE(AT.flags) & (BRANCH | LEAF | OVERFLOW);
    const lower = page.readUInt16LE(AT.lower);
    const upper = page.readUInt16LE(AT.upper);
    const fits = lower % 2 === 0 && lower <= upper && HEAD + upper <= page.length;
    if ((flags !== BRANCH && flags !== LEAF) || !fits) throw new Damage(`page ${number} is neither branch nor leaf`);
    const below: number[] = [];
    for (let i = 0; i < lower / 2; i++) {
      const at = HEAD + page.readUInt16LE(HEAD + 2 * i);
      if (at < HEAD + upper || at + NODE.head > page.length)
        throw new Damage(`entry ${i} of page ${number} is outside`);
      if (flags === BRANCH) below.push(page.readUIntLE(at, 6));
      else below.push(...this.#leaf(page, at, number));
    }
    return below;
  }

  /** The root of the database that the entry holds, if it holds one. */
  #leaf(page: Buffer, at: number, number: number): number[] {
    const flags = page.readUInt16LE(at + NODE.flags);
    const size = page.readUInt32LE(at);
    const data = at + NODE.head + page.readUInt16LE(at + NODE.keySize);
    const held = flags & BIG ? 8 : flags & SUB ? ROOT_IN_DATABASE + 8 : size;
    if ((flags & ~(BIG | SUB | DUPLICATES)) !== 0 || data + held > page.length)
      throw new Damage(`an entry of page ${number} does not end`);
    if (flags & BIG) this.#overflow(Number(page.readBigUInt64LE(data)), size);
    if (!(flags & SUB)) return [];
    const root = page.readBigUInt64LE(data + ROOT_IN_DATABASE);
    return root === NONE ? [] : [Number(root)];
  }

  #overflow(number: number, size: number): void {
    const { pageSize, lastPage } = this.#trees;
    const page = this.#read(number);
    const pages = page.readUInt32LE(AT.pages);
    const flags = page.readUInt16LE(AT.flags) & (BRANCH | LEAF | OVERFLOW);
    if (flags !== OVERFLOW || HEAD + size > pages * pageSize || number + pages - 1 > lastPage)
      throw new Damage(`page ${number} does not hold the long value it should`);
  }
}
