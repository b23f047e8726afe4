// Event: core/v1. The stored form of events; events.k8s.io shows the same ones under other names.

import { field } from '../../errors.ts';
import type { Event as EventObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import { type Errors, missing } from '../../validate/checks.ts';
import { addFaults, dns1123Subdomain, qualifiedName } from '../../validate/names.ts';
import { utf8Length } from '../../validate/object-meta.ts';
import { eventColumns, eventRow } from './event-columns.ts';

export type Event = EventObject;

export const Event = defineKind<EventObject>({
  group: '',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
  shortNames: ['ev'],
  createOnUpdate: true,

  validate: validateEvent,
  selectableFields: {
    'involvedObject.kind': (e) => e.involvedObject.kind ?? '',
    'involvedObject.namespace': (e) => e.involvedObject.namespace ?? '',
    'involvedObject.name': (e) => e.involvedObject.name ?? '',
    'involvedObject.uid': (e) => e.involvedObject.uid ?? '',
    'involvedObject.apiVersion': (e) => e.involvedObject.apiVersion ?? '',
    'involvedObject.resourceVersion': (e) => e.involvedObject.resourceVersion ?? '',
    'involvedObject.fieldPath': (e) => e.involvedObject.fieldPath ?? '',
    reason: (e) => e.reason ?? '',
    reportingComponent: (e) => e.reportingComponent ?? '',
    source: (e) => e.source?.component || e.reportingComponent || '',
    type: (e) => e.type ?? '',
  },
  columns: eventColumns,
  row: eventRow,
});

/** Rules of both groups. Events with an eventTime say who reports them and what was done. */
export function validateEvent(event: EventObject): Errors {
  const out: Errors = [];
  const namespace = event.metadata.namespace ?? '';
  const about = event.involvedObject.namespace ?? '';
  const mismatch = () => out.push(field.invalid('involvedObject.namespace', about, 'does not match event.namespace'));
  if (!event.eventTime) {
    if (about === '' ? namespace !== '' && namespace !== 'default' : namespace !== about) mismatch();
  } else {
    if (about === '' && namespace !== 'default' && namespace !== 'kube-system') mismatch();
    const controller = event.reportingComponent ?? '';
    if (controller === '') out.push(field.required('reportingController'));
    addFaults(qualifiedName(controller), 'reportingController', controller, out);
    limited(event.reportingInstance, 128, 'reportingInstance', out);
    limited(event.action, 128, 'action', out);
    limited(event.reason, 128, 'reason', out);
    if (utf8Length(event.message ?? '') > 1024) {
      out.push(field.invalid('message', '', 'can have at most 1024 characters'));
    }
  }
  addFaults(dns1123Subdomain(namespace), 'namespace', namespace, out);
  return out;
}

function limited(value: string | undefined, max: number, path: string, out: Errors): void {
  if (missing(value)) out.push(field.required(path));
  else if (utf8Length(value) > max) out.push(field.invalid(path, '', `can have at most ${max} characters`));
}
