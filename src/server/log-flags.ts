// PUT /debug/flags/v, as upstream's components have it, and /debug/flags/log-levels: what is logged, changed while it runs.

import { parseLogLevels, type LogLevels } from '../base/log.ts';
import type { HttpExchange, PathHandler } from './http-exchange.ts';

const MAX_BODY = 4096;
/** Upstream's verbosity from which on ours is debug. */
const DEBUG = 4;

export function logFlagsHandlers(levels: LogLevels): PathHandler[] {
  return [
    flag('v', (text) => {
      if (!/^\d{1,9}$/.test(text)) throw new Error(`invalid value ${JSON.stringify(text)}: a whole number is needed`);
      levels.level = Number(text) >= DEBUG ? 'debug' : 'info';
      return `successfully set klog.logging.verbosity to ${text}`;
    }),
    flag('log-levels', (text) => {
      const parsed = text ? parseLogLevels(text) : {};
      levels.components.clear();
      for (const [component, level] of Object.entries(parsed)) levels.components.set(component, level);
      return `successfully set log-levels to ${text}`;
    }),
  ];
}

/** `set` throws an Error that says what is wrong. */
function flag(name: string, set: (text: string) => string): PathHandler {
  const path = `/debug/flags/${name}`;
  return {
    paths: [path],
    methods: ['PUT'],
    match: (asked) => asked === path,
    async handle(exchange: HttpExchange) {
      const bytes = await exchange.body(MAX_BODY);
      const say = (status: number, text: string) =>
        exchange.respond(
          status,
          { 'content-type': 'text/plain; charset=utf-8' },
          new TextEncoder().encode(`${text}\n`),
        );
      try {
        say(200, set(new TextDecoder().decode(bytes).trim()));
      } catch (error) {
        say(400, (error as Error).message);
      }
    },
  };
}
