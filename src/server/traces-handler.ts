// GET /debug/coracle/traces?resource=deployment&namespace=default&name=web: the life of the last change of an object, as far
// as the spans of this process tell it. For those who may read everything: system:masters, or a role that names the path.

import { badRequest } from '../api/errors.ts';
import type { AnyKind } from '../api/kind.ts';
import { changeLife, type ChangeLife, type ObjectId } from '../base/change-life.ts';
import { spanData } from '../base/span-data.ts';
import type { Tracer } from '../base/trace.ts';
import type { PathHandler } from './http-exchange.ts';
import { storageKind, type KindRegistry } from './kind-registry.ts';

export const TRACES_PATH = '/debug/coracle/traces';

export interface TracesAnswer {
  readonly about: ObjectId;
  /** Absent when nothing of the object is remembered. */
  readonly life?: ChangeLife;
  /** How far back the memory goes, in milliseconds since the epoch; 0 when it is empty. */
  readonly since: number;
}

/** The life of what `tracer` remembers of an object. */
export function lifeOf(tracer: Tracer, about: ObjectId): TracesAnswer {
  const spans = tracer.spans().map((span) => spanData(tracer, span));
  const life = changeLife(spans, about);
  return { about, ...(life ? { life } : {}), since: spans[0]?.start ?? 0 };
}

export function tracesHandler(tracer: Tracer, kinds: KindRegistry): PathHandler {
  return {
    paths: [TRACES_PATH],
    match: (path) => path === TRACES_PATH,
    handle(exchange) {
      const query = new URLSearchParams(exchange.query);
      const asked = query.get('resource') ?? '';
      const name = query.get('name') ?? '';
      const kind = kindNamed(kinds, asked);
      if (!kind) throw badRequest(`the server doesn't have a resource type ${JSON.stringify(asked)}`);
      if (!name) throw badRequest('name must be provided');
      const namespace = kind.namespaced ? query.get('namespace') || 'default' : '';
      const answer = lifeOf(tracer, { resource: storageKind(kind).resource, namespace, name });
      const headers = { 'content-type': 'application/json', 'cache-control': 'no-cache, private' };
      exchange.respond(200, headers, new TextEncoder().encode(JSON.stringify(answer)));
    },
  };
}

/** As kubectl takes names of resources: plural, singular, short, with or without the group. */
function kindNamed(kinds: KindRegistry, text: string): AnyKind | undefined {
  const [name = '', ...group] = text.toLowerCase().split('.');
  const stored = kinds.list().filter((kind) => !kind.virtual);
  const named = stored.filter((k) => k.plural === name || k.singular === name || k.shortNames?.includes(name));
  return group.length ? named.find((kind) => kind.group === group.join('.')) : named[0];
}
