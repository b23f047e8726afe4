// What happens in a round, a line for each change and each complaint of a component: for reading a failure.

import type { RoundOptions } from './round.ts';
import type { World } from './world.ts';

interface Brief {
  readonly spec?: { readonly replicas?: number; readonly nodeName?: string };
  readonly status?: { readonly phase?: string; readonly replicas?: number; readonly availableReplicas?: number };
}

export function tracing(write: (line: string) => void): RoundOptions {
  let world: World | undefined;
  let start = 0;
  const time = () => `${((world!.clock.now() - start) / 1000).toFixed(3)}s`.padStart(10);
  return {
    trace(which) {
      world = which;
      start = which.clock.now();
      which.truth.listeners.push(({ revision, key, object, previous }) => {
        if (key.startsWith('/registry/core/events/')) return;
        const what = object ? (previous ? 'changed' : 'made') : 'gone';
        write(
          `${time()} ${revision} ${what} ${key.slice('/registry/'.length)} ${object ? brief(object as never) : ''}`,
        );
      });
    },
    log({ level, component, message, fields }) {
      const text = JSON.stringify(fields, (_, value: unknown) => (value instanceof Error ? value.message : value));
      if (level !== 'info') write(`${time()} ${level} ${component}: ${message} ${text.slice(0, 300)}`);
    },
  };
}

function brief({ metadata, spec, status }: Brief & { metadata: import('../../src/api/object.ts').ObjectMeta }): string {
  const { generation, uid, deletionTimestamp, finalizers, ownerReferences, managedFields } = metadata;
  const shown = {
    by: managedFields?.at(-1)?.manager,
    uid: uid?.slice(0, 4),
    generation,
    deleting: deletionTimestamp && true,
    finalizers,
    owners: ownerReferences?.map((owner) => `${owner.kind} ${owner.uid.slice(0, 4)}`),
    replicas: spec?.replicas,
    node: spec?.nodeName,
    phase: status?.phase,
    has: status?.replicas,
    available: status?.availableReplicas,
  };
  return JSON.stringify(shown);
}
