// What Prometheus' client libraries tell of every process.

import { readdirSync, readFileSync } from 'node:fs';
import type { Metrics, Reading } from '../base/metrics.ts';

export function processMetrics(metrics: Metrics): void {
  const start = Date.now() / 1000 - process.uptime();
  const gauge = (name: string, help: string, read: () => number) =>
    metrics.reading(name, help, [], () => [[[], read()]]);
  metrics.reading(
    'process_cpu_seconds_total',
    'Total user and system CPU time spent in seconds.',
    [],
    (): Reading[] => {
      const { user, system } = process.cpuUsage();
      return [[[], (user + system) / 1e6]];
    },
    'counter',
  );
  gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', () => process.memoryUsage.rss());
  gauge('process_start_time_seconds', 'Start time of the process since unix epoch in seconds.', () => start);
  gauge(
    'nodejs_heap_size_used_bytes',
    'Process heap size used from Node.js in bytes.',
    () => process.memoryUsage().heapUsed,
  );
  if (process.platform !== 'linux') return;
  gauge('process_open_fds', 'Number of open file descriptors.', () => readdirSync('/proc/self/fd').length);
  gauge('process_max_fds', 'Maximum number of open file descriptors.', maxFds);
}

function maxFds(): number {
  const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return Number(line?.[1] ?? 0);
}
