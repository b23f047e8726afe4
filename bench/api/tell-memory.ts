// In a measured process: answers how much memory V8 accounts for.

import { writeHeapSnapshot } from 'node:v8';
import type { MemoryQuestion } from './processes.ts';

export function tellMemory(): void {
  process.on('message', (message) => {
    const { memory, collect, snapshot } = message as Partial<MemoryQuestion>;
    if (!memory) return;
    if (snapshot) writeHeapSnapshot(snapshot);
    if (collect) for (let i = 0; i < 3; i++) (globalThis as { gc?: () => void }).gc!();
    // What was collected is given back in the background.
    if (collect) setTimeout(() => process.send!(process.memoryUsage()), 500);
    else process.send!(process.memoryUsage());
  });
}
