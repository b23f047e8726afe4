// What of a running cluster's objects `coracle status` tells: nodes and pods by their state, as kubectl names it, in two small
// requests whatever the size of the cluster (Tables without objects); and when its certificates end.

import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterStatus } from '../cli/platform.ts';
import type { HttpTransport } from '../host/http-transport.ts';

type Workload = NonNullable<ClusterStatus['workload']>;

interface Table {
  readonly columnDefinitions: readonly { readonly name: string }[];
  readonly rows: readonly { readonly cells: readonly unknown[] }[];
}

/** Milliseconds. */
const PATIENCE = 5_000;

export async function workloadOf(transport: HttpTransport): Promise<Workload> {
  const [nodes, pods] = await Promise.all([tableOf(transport, '/api/v1/nodes'), tableOf(transport, '/api/v1/pods')]);
  const restarts = column(pods, 'Restarts').map((text) => Number(/^\d+/.exec(text)?.[0] ?? 0));
  return {
    nodes: counts(column(nodes, 'Status')),
    pods: counts(column(pods, 'Status')),
    restarts: restarts.reduce((sum, n) => sum + n, 0),
  };
}

async function tableOf(transport: HttpTransport, path: string): Promise<Table> {
  const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
  const { status, body } = await transport.raw(
    { method: 'GET', target: `${path}?includeObject=None`, headers },
    { signal: AbortSignal.timeout(PATIENCE) },
  );
  if (status !== 200) throw new Error(`${path} answers ${status}`);
  return JSON.parse(body.toString()) as Table;
}

function column({ columnDefinitions, rows }: Table, name: string): string[] {
  const at = columnDefinitions.findIndex((c) => c.name === name);
  return rows.map(({ cells }) => String(cells[at]));
}

/** The most frequent first. */
function counts(values: readonly string[]): Record<string, number> {
  const counted = new Map<string, number>();
  for (const value of values) counted.set(value, (counted.get(value) ?? 0) + 1);
  return Object.fromEntries([...counted].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)));
}

/** Those that the cluster keeps, the first to end first. `folder` may not exist. */
export function certificatesIn(folder: string): NonNullable<ClusterStatus['certificates']> {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.crt'));
  } catch {
    // Of a stopped cluster of somebody else, say: there is nothing to tell.
    return [];
  }
  return names
    .map((name) => {
      const { validTo } = new X509Certificate(readFileSync(join(folder, name)));
      return { name: name.replace(/\.crt$/, ''), notAfter: new Date(validTo).toISOString() };
    })
    .sort((a, b) => (a.notAfter < b.notAfter ? -1 : 1));
}
