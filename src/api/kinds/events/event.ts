// Event: events.k8s.io/v1. Another form of core/v1 Event, with stricter rules.

import { field } from '../../errors.ts';
import type { Event as CoreEventObject } from '../../generated/core-v1.ts';
import type { Event as EventObject } from '../../generated/events-v1.ts';
import { defineKind } from '../../kind.ts';
import type { Errors } from '../../validate/checks.ts';
import { validateImmutable } from '../../validate/object-meta.ts';
import { sameValue } from '../../validate/same-value.ts';
import { Event as CoreEvent, validateEvent } from '../core/event.ts';
import { eventColumns, eventRow } from '../core/event-columns.ts';

export type Event = EventObject;

/** The fields that are called differently: here, there. */
const RENAMED = [
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
] as const;

function rename(object: object, from: 0 | 1): Record<string, unknown> {
  const out: Record<string, unknown> = { ...object };
  for (const names of RENAMED) {
    const old = names[from];
    if (!(old in out)) continue;
    out[names[1 - from]!] = out[old];
    delete out[old];
  }
  return out;
}

export function toCoreEvent(event: EventObject): CoreEventObject {
  const core = { involvedObject: {}, ...rename(event, 0), apiVersion: 'v1', kind: 'Event' };
  return core as unknown as CoreEventObject;
}
function fromCoreEvent(event: CoreEventObject): EventObject {
  return { ...rename(event, 1), apiVersion: 'events.k8s.io/v1', kind: 'Event' } as unknown as EventObject;
}

export const Event = defineKind<EventObject>({
  group: 'events.k8s.io',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
  shortNames: ['ev'],
  createOnUpdate: true,
  storedAs: {
    kind: CoreEvent,
    to: toCoreEvent,
    from: (stored) => fromCoreEvent(stored as CoreEventObject),
  },

  validate(event) {
    const core = toCoreEvent(event);
    const out = validateEvent(core);
    if (event.metadata.resourceVersion) return out;
    validateSeries(core, out);
    if (!core.eventTime) out.push(field.required('eventTime'));
    if (core.type !== 'Normal' && core.type !== 'Warning') {
      out.push(field.invalid('type', '', `has invalid value: ${core.type ?? ''}`));
    }
    const unset = (path: string, value: unknown) => {
      if (value) out.push(field.invalid(path, '', 'needs to be unset'));
    };
    unset('firstTimestamp', core.firstTimestamp);
    unset('lastTimestamp', core.lastTimestamp);
    unset('count', core.count);
    unset('source', core.source?.component || core.source?.host);
    return out;
  },
  validateUpdate(event, old) {
    const out: Errors = [];
    const now = toCoreEvent(event);
    const before = toCoreEvent(old);
    if (!sameValue(now.series, before.series)) validateSeries(now, out);
    for (const key of FIXED) {
      validateImmutable(now[key], before[key], key === 'reportingComponent' ? 'reportingController' : key, out);
    }
    return out;
  },

  selectableFields: {
    'regarding.kind': (e) => e.regarding?.kind ?? '',
    'regarding.namespace': (e) => e.regarding?.namespace ?? '',
    'regarding.name': (e) => e.regarding?.name ?? '',
    'regarding.uid': (e) => e.regarding?.uid ?? '',
    'regarding.apiVersion': (e) => e.regarding?.apiVersion ?? '',
    'regarding.resourceVersion': (e) => e.regarding?.resourceVersion ?? '',
    'regarding.fieldPath': (e) => e.regarding?.fieldPath ?? '',
    reason: (e) => e.reason ?? '',
    reportingController: (e) => e.reportingController ?? '',
    type: (e) => e.type ?? '',
  },
  columns: eventColumns,
  row: (event, now) => eventRow(toCoreEvent(event), now),
});

const FIXED = [
  'involvedObject',
  'reason',
  'message',
  'source',
  'firstTimestamp',
  'lastTimestamp',
  'count',
  'type',
  'eventTime',
  'action',
  'related',
  'reportingComponent',
  'reportingInstance',
] as const;

function validateSeries({ series }: CoreEventObject, out: Errors): void {
  if (!series) return;
  if ((series.count ?? 0) < 2) out.push(field.invalid('series.count', '', 'should be at least 2'));
  if (!series.lastObservedTime) out.push(field.required('series.lastObservedTime'));
}
