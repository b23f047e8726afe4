// Every built-in controller, one line each.

import type { ControllerDefinition } from '../client/controller.ts';

export const controllers: readonly ControllerDefinition[] = [];
