// A map of strings in key order (UTF-16 code units): chunks of sorted keys, so that a write moves little memory and a
// range is a few array copies. `fork` is O(chunks): chunks are shared until one side writes to them.

const MAX = 256;

interface Chunk<V> {
  /** The map that may write to this chunk in place; every other map copies it first. */
  owner: object;
  keys: string[];
  values: V[];
}

/** Which part of the map a listing takes. */
export interface Range {
  /** Only keys above this one. */
  readonly after?: string;
  /** At most so many. */
  readonly limit?: number;
}

export class SortedMap<V> {
  #chunks: Chunk<V>[] = [];
  #owner = {};
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    const chunk = this.#chunks[this.#find(key)];
    if (!chunk) return undefined;
    const i = lowerBound(chunk.keys, key);
    return chunk.keys[i] === key ? chunk.values[i] : undefined;
  }

  /** Returns the value the key had before. */
  set(key: string, value: V): V | undefined {
    if (this.#chunks.length === 0) this.#chunks.push({ owner: this.#owner, keys: [], values: [] });
    const at = this.#find(key);
    const chunk = this.#writable(at);
    const i = lowerBound(chunk.keys, key);
    if (chunk.keys[i] === key) {
      const before = chunk.values[i];
      chunk.values[i] = value;
      return before;
    }
    this.#size++;
    if (i === chunk.keys.length) {
      // Rising keys fill chunks instead of leaving each of them half empty.
      if (i >= MAX && at === this.#chunks.length - 1) {
        this.#chunks.push({ owner: this.#owner, keys: [key], values: [value] });
        return undefined;
      }
      chunk.keys.push(key);
      chunk.values.push(value);
    } else {
      chunk.keys.splice(i, 0, key);
      chunk.values.splice(i, 0, value);
    }
    if (chunk.keys.length > MAX) {
      const half = chunk.keys.length >> 1;
      const upper = { owner: this.#owner, keys: chunk.keys.splice(half), values: chunk.values.splice(half) };
      this.#chunks.splice(at + 1, 0, upper);
    }
    return undefined;
  }

  /** Returns the value the key had. */
  delete(key: string): V | undefined {
    const at = this.#find(key);
    const found = this.#chunks[at];
    if (!found) return undefined;
    const i = lowerBound(found.keys, key);
    if (found.keys[i] !== key) return undefined;
    const chunk = this.#writable(at);
    const before = chunk.values[i];
    chunk.keys.splice(i, 1);
    chunk.values.splice(i, 1);
    this.#size--;
    if (chunk.keys.length === 0) this.#chunks.splice(at, 1);
    else this.#mergeNext(at);
    return before;
  }

  /** The values whose key starts with `prefix`, in key order. */
  list(prefix: string, range: Range = {}): V[] {
    const parts: V[][] = [];
    this.#walk(prefix, range, (chunk, from, to) => parts.push(chunk.values.slice(from, to)));
    return parts[0]?.concat(...parts.slice(1)) ?? [];
  }

  /** The keys that start with `prefix`, in order. */
  keys(prefix: string, range: Range = {}): string[] {
    const parts: string[][] = [];
    this.#walk(prefix, range, (chunk, from, to) => parts.push(chunk.keys.slice(from, to)));
    return parts[0]?.concat(...parts.slice(1)) ?? [];
  }

  /** How many keys a listing would give. */
  count(prefix: string, range: Range = {}): number {
    let n = 0;
    this.#walk(prefix, range, (_chunk, from, to) => {
      n += to - from;
    });
    return n;
  }

  /** An independent copy; the values themselves are shared. */
  fork(): SortedMap<V> {
    const copy = new SortedMap<V>();
    copy.#chunks = this.#chunks.slice();
    copy.#size = this.#size;
    this.#owner = {};
    return copy;
  }

  #walk(prefix: string, range: Range, take: (chunk: Chunk<V>, from: number, to: number) => void): void {
    const { after } = range;
    let left = range.limit ?? Infinity;
    const start = after !== undefined && after >= prefix ? after : prefix;
    let at = Math.max(this.#find(start), 0);
    for (let first = true; at < this.#chunks.length && left > 0; at++, first = false) {
      const chunk = this.#chunks[at]!;
      const { keys } = chunk;
      let from = 0;
      if (first) {
        from = lowerBound(keys, start);
        if (after !== undefined && keys[from] === after) from++;
      }
      // Keys are sorted and none is below the prefix here: if the last one has it, all of them have.
      let to = keys.length;
      const whole = to > from && keys[to - 1]!.startsWith(prefix);
      if (!whole) to = endOfPrefix(keys, from, prefix);
      to = Math.min(to, from + left);
      if (to > from) take(chunk, from, to);
      left -= to - from;
      if (!whole && from < keys.length) return;
    }
  }

  /** The chunk in which the key is or belongs: the last one whose first key is not above it; 0 when it is below all. */
  #find(key: string): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#chunks[middle]!.keys[0]! <= key) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : low - 1;
  }

  #writable(at: number): Chunk<V> {
    const chunk = this.#chunks[at]!;
    if (chunk.owner === this.#owner) return chunk;
    return (this.#chunks[at] = { owner: this.#owner, keys: chunk.keys.slice(), values: chunk.values.slice() });
  }

  #mergeNext(at: number): void {
    const next = this.#chunks[at + 1];
    const chunk = this.#chunks[at]!;
    if (!next || chunk.keys.length + next.keys.length > MAX / 2) return;
    this.#chunks.splice(at, 2, {
      owner: this.#owner,
      keys: chunk.keys.concat(next.keys),
      values: chunk.values.concat(next.values),
    });
  }
}

/** The index of the first key that is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The index after the last key that starts with `prefix`; none of keys[from..] is below the prefix. */
function endOfPrefix(keys: readonly string[], from: number, prefix: string): number {
  let low = from;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]!.startsWith(prefix)) low = middle + 1;
    else high = middle;
  }
  return low;
}
