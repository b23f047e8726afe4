// How the command line shows things: steps as they happen, status and image tables.

import pc from 'picocolors';
import { humanDuration } from '../api/human-duration.ts';
import type { ClusterStatus, ImageInfo, Step, StepSink } from './platform.ts';

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  readonly isTTY: boolean;
  /** Show stack traces of unexpected errors. */
  readonly debug: boolean;
}

/** Prints each step when it ends; on a terminal also while it runs. */
export function stepPrinter(terminal: Terminal, silent: boolean): StepSink {
  if (silent) return () => {};
  return (step: Step) => {
    if (step.seconds === undefined) {
      if (terminal.isTTY) terminal.out(`  ${pc.dim('..')} ${step.name}`);
      return;
    }
    const line = `  ${pc.green('ok')} ${step.name}${step.detail ? ` ${pc.dim(step.detail)}` : ''} ${pc.dim(`${step.seconds.toFixed(2)} s`)}`;
    terminal.out(`${terminal.isTTY ? '\r\u001b[2K' : ''}${line}\n`);
  };
}

/** Left-aligned columns, three spaces apart, as kubectl prints them. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return rows
    .map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]! + 3))).join('') + '\n')
    .join('');
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

export function printStatus(status: ClusterStatus, terminal: Terminal): void {
  const marked = status.nodes === 'simulated' ? `${status.state} (SIMULATED nodes: no real containers)` : status.state;
  const rows = [
    ['cluster', status.name],
    ['state', marked],
    ['data', status.dataDir],
  ];
  if (status.state === 'running' || status.state === 'starting') {
    rows.push(['server', status.server], ['process', `${status.pid}, ${megabytes(status.residentBytes)} resident`]);
  }
  if (status.startedAt > 0) rows.push(['started', `${humanDuration(status.now - status.startedAt)} ago`]);
  rows.push(...stateRows(status), ...(status.figures ?? []).map((row) => [...row]));
  terminal.out(table(rows));
  for (const c of status.components) {
    terminal.out(`  ${c.healthy ? pc.green('ok ') : pc.red('bad')} ${c.name}${c.message ? `: ${c.message}` : ''}\n`);
  }
}

function stateRows({ workload, certificates, now }: ClusterStatus): string[][] {
  const rows: string[][] = [];
  const told = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .map(([state, n]) => `${n} ${state}`)
      .join(', ') || 'none';
  if (workload) {
    rows.push(['nodes', told(workload.nodes)]);
    rows.push(['pods', `${told(workload.pods)}; ${workload.restarts} restarts`]);
  }
  const [first] = certificates ?? [];
  if (first) {
    const left = Date.parse(first.notAfter) - now;
    const when = left > 0 ? `ends in ${humanDuration(left)}` : 'HAS ENDED';
    rows.push(['certificates', `${certificates!.length}; ${first.name} ${when} (${first.notAfter.slice(0, 10)})`]);
  }
  return rows;
}

export function printImages(images: readonly ImageInfo[], terminal: Terminal): void {
  const rows = images.flatMap((image) =>
    (image.tags.length ? image.tags : ['<none>']).map((tag) => [
      tag,
      image.id.replace(/^sha256:/, '').slice(0, 12),
      megabytes(image.size),
    ]),
  );
  terminal.out(table([['IMAGE', 'ID', 'SIZE'], ...rows.sort((a, b) => a[0]!.localeCompare(b[0]!))]));
}
