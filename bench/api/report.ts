// The table a benchmark prints: what was measured, its goal, and the floor beside it.

import type { Memory } from './processes.ts';

/** The first cell is a name, the others are figures. */
export const row = (cells: readonly string[]) =>
  console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(36) : cell.padStart(13))).join(''));

export const number = (value: number) => (value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(1));
export const micros = (value: number) => `${Math.round(value)} us`;
export const millis = (value: number) => `${number(value)} ms`;

/** `at` is from 0 to 1. */
export const percentile = (values: readonly number[], at: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * at))]!;

interface Moment {
  readonly when: string;
  readonly memory: Memory;
  readonly floor: Memory | undefined;
}

/** Memory over the run, printed as a table of its own at the end. */
export class MemoryTable {
  readonly #moments: Moment[] = [];

  add(when: string, memory: Memory, floor?: Memory): void {
    this.#moments.push({ when, memory, floor });
  }

  print(): void {
    const megabytes = (value: number | undefined) => (value === undefined ? '' : `${number(value)} MB`);
    row(['memory', 'resident', 'own', 'files', 'heap', 'heap used', 'external', "floor's"]);
    for (const { when, memory, floor } of this.#moments) {
      const { resident, own, files, heap, heapUsed, external } = memory;
      row([when, ...[resident, own, files, heap, heapUsed, external, floor?.resident].map(megabytes)]);
    }
  }
}
