// Puts endpoints into EndpointSlices: pure. One set of slices per address family and set of ports. An endpoint stays in
// its slice, new ones fill slices that change anyhow, then the fullest with room; slices no longer needed are reused
// before others are made, so that a change costs watchers as little as can be.

import type { Endpoint, EndpointPort, EndpointSlice as Slice } from '../api/generated/discovery-v1.ts';
import { EndpointSlice } from '../api/kinds/discovery/endpoint-slice.ts';
import type { Draft, KubeObject, ObjectMeta } from '../api/object.ts';
import type { Action } from '../client/controller.ts';
import { sameValue } from './same-value.ts';

export type AddressType = 'IPv4' | 'IPv6';
export const addressTypeOf = (ip: string): AddressType => (ip.includes(':') ? 'IPv6' : 'IPv4');

export interface Group {
  readonly addressType: AddressType;
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

/** What is the same for every slice. */
export interface SliceMeta {
  readonly generateName: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Left as they are when absent. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly owner: { readonly apiVersion: string; readonly kind: string; readonly name: string; readonly uid: string };
}

export interface PackOptions {
  readonly meta: SliceMeta;
  /** The most endpoints of one slice. */
  readonly max: number;
}

interface Contents {
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}
interface Changes {
  readonly updates: { readonly slice: Slice; readonly contents: Contents }[];
  readonly unused: Slice[];
  readonly fresh: { readonly addressType: AddressType; readonly contents: Contents }[];
}

export const groupKey = (addressType: string, ports: readonly EndpointPort[] = []) =>
  `${addressType} ${JSON.stringify(ports.map((p) => [p.name ?? '', p.port, p.protocol, p.appProtocol]).sort())}`;

/** The writes that make `existing`, the slices of one manager, hold the groups. Groups differ in family or ports. */
export function packSlices(groups: readonly Group[], existing: readonly Slice[], options: PackOptions): Action[] {
  const { owner } = options.meta;
  const ours = existing.filter((s) => s.metadata.ownerReferences?.some((o) => o.uid === owner.uid));
  const byKey = Map.groupBy(ours, (slice) => groupKey(slice.addressType, slice.ports));
  const changes: Changes = { updates: [], unused: [], fresh: [] };
  for (const group of groups) {
    const key = groupKey(group.addressType, group.ports);
    packGroup(group, byKey.get(key) ?? [], options, changes);
    byKey.delete(key);
  }
  for (const slices of byKey.values()) changes.unused.push(...slices);
  return [...actionsOf(changes, options.meta), ...existing.filter((s) => !ours.includes(s)).map(remove)];
}

const idOf = (e: Endpoint) => `${e.targetRef?.uid ?? ''} ${e.addresses.join()} ${e.hostname ?? ''}`;

function packGroup(group: Group, slices: readonly Slice[], { meta, max }: PackOptions, changes: Changes): void {
  const { ports, addressType } = group;
  const left = new Map(group.endpoints.map((e) => [idOf(e), e]));
  const kept = slices.map((slice) => {
    const endpoints = (slice.endpoints ?? []).flatMap((old) => {
      const now = left.get(idOf(old));
      left.delete(idOf(old));
      return now ? [now] : [];
    });
    return { slice, endpoints, changes: !sameSlice(slice, { ports, endpoints }, meta) };
  });
  const fresh = [...left.values()];
  if (fresh.length) {
    const byFill = [...kept].sort(
      (a, b) => Number(b.changes) - Number(a.changes) || b.endpoints.length - a.endpoints.length,
    );
    for (const target of byFill) {
      const more = fresh.splice(0, Math.max(0, max - target.endpoints.length));
      target.endpoints.push(...more);
      target.changes ||= more.length > 0;
    }
  }
  // A group without endpoints is a placeholder: one empty slice says that there are none.
  let placeholder = group.endpoints.length === 0;
  for (const { slice, endpoints, changes: changed } of kept) {
    if (endpoints.length === 0 && !placeholder) changes.unused.push(slice);
    else if (changed) changes.updates.push({ slice, contents: { ports, endpoints } });
    if (endpoints.length === 0) placeholder = false;
  }
  for (let at = 0; at < fresh.length; at += max) {
    changes.fresh.push({ addressType, contents: { ports, endpoints: fresh.slice(at, at + max) } });
  }
  if (placeholder) changes.fresh.push({ addressType, contents: { ports, endpoints: [] } });
}

function sameSlice(slice: Slice, { ports, endpoints }: Contents, { labels, annotations }: SliceMeta): boolean {
  const { metadata } = slice;
  return (
    sameValue(slice.endpoints, endpoints) &&
    sameValue(metadata.labels, labels) &&
    (!annotations || sameValue(metadata.annotations ?? {}, annotations)) &&
    sameValue(slice.ports, ports)
  );
}

function actionsOf({ updates, unused, fresh }: Changes, meta: SliceMeta): Action[] {
  const actions: Action[] = [];
  const spare = [...unused];
  for (const { addressType, contents } of fresh) {
    const at = spare.findIndex((s) => s.addressType === addressType);
    if (at < 0) actions.push({ do: 'create', kind: EndpointSlice, object: draftOf(addressType, contents, meta) });
    else actions.push(update(spare.splice(at, 1)[0]!, contents, meta));
  }
  for (const { slice, contents } of updates) actions.push(update(slice, contents, meta));
  return [...actions, ...spare.map(remove)];
}

function update(slice: Slice, { ports, endpoints }: Contents, { labels, annotations }: SliceMeta): Action {
  const metadata = { ...slice.metadata, labels, ...(annotations ? { annotations } : {}) } as ObjectMeta;
  const object = { ...slice, metadata, ports, endpoints } as KubeObject;
  return { do: 'update', kind: EndpointSlice, object, ignore: ['NotFound'] };
}

function draftOf(addressType: AddressType, { ports, endpoints }: Contents, meta: SliceMeta): Draft<KubeObject> {
  const { generateName, namespace, labels, annotations, owner } = meta;
  const ownerReferences = [{ ...owner, controller: true, blockOwnerDeletion: true }];
  const metadata = { generateName, namespace, labels, ...(annotations ? { annotations } : {}), ownerReferences };
  return { metadata, addressType, endpoints, ports } as Draft<KubeObject>;
}

function remove({ metadata: { namespace, name, uid } }: Slice): Action {
  const options = { preconditions: { uid } };
  return { do: 'delete', kind: EndpointSlice, ref: { namespace, name }, options, ignore: ['NotFound', 'Conflict'] };
}
