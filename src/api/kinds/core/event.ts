// Event: core/v1.

import type { Event as EventObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';

export type Event = EventObject;

export const Event = defineKind<EventObject>({
  group: '',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
  shortNames: ['ev'],
});
