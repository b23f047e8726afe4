// Event: events.k8s.io/v1.

import type { Event as EventObject } from '../../generated/events-v1.ts';
import { defineKind } from '../../kind.ts';

export type Event = EventObject;

export const Event = defineKind<EventObject>({
  group: 'events.k8s.io',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
  shortNames: ['ev'],
});
