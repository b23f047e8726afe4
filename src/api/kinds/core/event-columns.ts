// The row of an event, of either API group.

import type { Event } from '../../generated/core-v1.ts';
import { humanAge } from '../../human-duration.ts';
import type { Cell, Column } from '../../kind.ts';
import { NAME, text, wide } from '../columns.ts';

export const eventColumns: readonly Column[] = [
  text('Last Seen', 'When it happened last.'),
  text('Type', 'Normal or Warning.'),
  text('Reason', 'Why it happened, in one word.'),
  text('Object', 'What it is about.'),
  wide('Subobject', 'The part of the object.'),
  wide('Source', 'Who reports it.'),
  text('Message', 'What happened.'),
  wide('First Seen', 'When it happened first.'),
  wide('Count', 'How often it happened.'),
  { ...NAME, priority: 1 },
];

export function eventRow(event: Event, now: number): Cell[] {
  const first = humanAge(event.firstTimestamp || event.eventTime, now);
  const last = event.lastTimestamp ? humanAge(event.lastTimestamp, now) : first;
  const { involvedObject: about, series, source } = event;
  const kind = (about.kind ?? '').toLowerCase();
  const component = source?.component || event.reportingComponent || '';
  const instance = source?.host || event.reportingInstance;
  return [
    series ? humanAge(series.lastObservedTime, now) : last,
    event.type ?? '',
    event.reason ?? '',
    about.name ? `${kind}/${about.name}` : kind,
    about.fieldPath ?? '',
    instance ? `${component}, ${instance}` : component,
    (event.message ?? '').trim(),
    first,
    series ? (series.count ?? 0) : event.count || 1,
    event.metadata.name,
  ];
}
