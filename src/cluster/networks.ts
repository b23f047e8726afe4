// Clusters on one machine share its network, so each takes a slot: its own pod and Service ranges and bridge. Slot 0
// has the ranges everybody knows. A cluster keeps its slot in its data folder, for objects in its store hold addresses of it.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dataRoot, runRoot } from './paths.ts';

export const SLOTS = 32;

export interface ClusterNetwork {
  readonly slot: number;
  readonly podCidr: string;
  readonly serviceCidr: string;
  /** The first address of the Service range: the Service `kubernetes`. */
  readonly apiServiceIp: string;
  readonly dnsIp: string;
  readonly bridge: string;
  /** The node's, on a machine that has no address but loopback: of the block for tests of devices, RFC 2544. */
  readonly loneAddress: string;
}

export function networkOf(slot: number): ClusterNetwork {
  return {
    slot,
    podCidr: `10.${244 - slot}.0.0/16`,
    serviceCidr: `10.${96 + slot}.0.0/16`,
    apiServiceIp: `10.${96 + slot}.0.1`,
    dnsIp: `10.${96 + slot}.0.10`,
    bridge: `cor${slot}`,
    loneAddress: `198.18.${slot}.1`,
  };
}

function slotIn(file: string): number | undefined {
  try {
    const slot = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(slot) && slot >= 0 && slot < SLOTS ? slot : undefined;
  } catch {
    return undefined;
  }
}

/** The slot of a cluster that has been started once. */
export const slotOf = (paths: { readonly data: string }) => slotIn(join(paths.data, 'slot'));

/** The slots of all clusters that this machine knows, running or stopped. */
function taken(root: string): number[] {
  try {
    return readdirSync(root).flatMap((name) => slotIn(join(root, name, 'slot')) ?? []);
  } catch {
    return [];
  }
}

/** The slot this cluster has, or a free one, claimed for it. Throws when all are taken. */
export function claimSlot(paths: { readonly data: string; readonly run: string }): number {
  const mine = slotIn(join(paths.data, 'slot'));
  const used = new Set([...taken(dataRoot()), ...taken(runRoot())]);
  const slot = mine ?? Array.from({ length: SLOTS }, (_, i) => i).find((i) => !used.has(i));
  if (slot === undefined)
    throw new Error(`all ${SLOTS} network slots of this machine are taken: delete a cluster first`);
  for (const dir of [paths.data, paths.run]) {
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, 'slot'), String(slot));
  }
  return slot;
}
