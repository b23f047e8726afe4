// Numbers out of a range, each owned by at most one object: what is stored says who owns what, reservations cover the
// time until a write is stored. Free numbers come at random from the upper part; the lower one is for those who ask for
// a number by name, and for when the rest is full.
// https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/#avoid-ClusterIP-conflict

import type { Random } from '../base/env.ts';

export type Taken = 'allocated' | 'out of range' | 'full';

export class NumberPool {
  readonly #first: number;
  readonly #size: number;
  readonly #band: number;
  readonly #owners = new Map<number, string>();
  readonly #reserved = new Map<number, object>();

  /** `first` to `last`, both included; `band` is how many of the lowest are kept for explicit requests. */
  constructor(first: number, last: number, band: number) {
    this.#first = first;
    this.#size = last - first + 1;
    this.#band = Math.min(band, this.#size);
  }

  /** An object that has been stored holds these numbers; none when it is gone. */
  own(key: string, before: readonly number[], after: readonly number[]): void {
    for (const n of before) if (this.#owners.get(n) === key) this.#owners.delete(n);
    for (const n of after) this.#owners.set(n, key);
  }

  /** Reserves a number for `holder`, a write of the object `key`; undefined when that worked. */
  reserve(holder: object, key: string, n: number): Taken | undefined {
    if (n < this.#first || n >= this.#first + this.#size) return 'out of range';
    if ((this.#owners.get(n) ?? key) !== key || (this.#reserved.get(n) ?? holder) !== holder) return 'allocated';
    this.#reserved.set(n, holder);
    return undefined;
  }

  /** Reserves any free number; undefined when there is none. */
  reserveAny(holder: object, random: Random): number | undefined {
    const upper = this.#size - this.#band;
    return (
      this.#scan(holder, this.#first + this.#band, upper, random) ?? this.#scan(holder, this.#first, this.#band, random)
    );
  }

  /** Ends a reservation. */
  release(holder: object, n: number): void {
    if (this.#reserved.get(n) === holder) this.#reserved.delete(n);
  }

  #scan(holder: object, first: number, size: number, random: Random): number | undefined {
    if (size <= 0) return undefined;
    const offset = Math.floor(random.next() * size);
    for (let i = 0; i < size; i++) {
      const n = first + ((offset + i) % size);
      if (this.#owners.has(n) || this.#reserved.has(n)) continue;
      this.#reserved.set(n, holder);
      return n;
    }
    return undefined;
  }
}
