// The controller manager as a component: every controller under its own ServiceAccount, over shared informers.

import type { UserInfo } from '../api/op.ts';
import type { Env } from '../base/env.ts';
import { Client } from '../client/client.ts';
import type { ControllerDefinition } from '../client/controller.ts';
import { runController } from '../client/controller-runtime.ts';
import { createInformerFactory } from '../client/create-informer.ts';
import { queueMetrics } from '../client/queue-metrics.ts';
import { CONTROLLER_MANAGER, serviceAccountUser } from './identities.ts';

export interface ControllersOptions {
  readonly env: Env;
  /** A client of this identity. */
  readonly clientOf: (user: UserInfo, userAgent: string) => Client;
  readonly definitions: readonly ControllerDefinition[];
}

/** `*`, `name` and `-name`, comma separated, as upstream's --controllers. Throws for a name that does not exist. */
export function selectControllers(definitions: readonly ControllerDefinition[], text: string): ControllerDefinition[] {
  const words = text.split(',').map((w) => w.trim());
  const known = new Set(definitions.map((d) => d.name));
  for (const word of words) {
    const name = word.replace(/^-/, '');
    if (name !== '*' && !known.has(name))
      throw new Error(`"${name}" is not a known controller: there are ${[...known].sort().join(', ')}`);
  }
  return definitions.filter(({ name }) => words.includes(name) || (words.includes('*') && !words.includes(`-${name}`)));
}

/** Runs until the signal aborts; a controller that fails is logged and does not take the others down. */
export async function runControllerManager(
  options: ControllersOptions,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const env = { ...options.env, log: options.env.log.child('controller-manager') };
  const shared = options.clientOf(CONTROLLER_MANAGER, 'kube-controller-manager');
  const informers = createInformerFactory({ client: shared, env }, { signal });
  await Promise.all(
    options.definitions.map(async (definition) => {
      const client = options.clientOf(serviceAccountUser('kube-system', definition.name), definition.name);
      const metrics = env.metrics && queueMetrics(env.metrics, definition.name);
      try {
        await runController(definition, { client, env, informers, ...(metrics ? { metrics } : {}) }, { signal });
      } catch (error) {
        if (!signal.aborted) env.log.error('controller ended', { controller: definition.name, error });
      }
    }),
  );
}
