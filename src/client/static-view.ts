// A view of given objects: what `plan` reads in a cluster comes from caches, in a test or a dry run from here.

import type { AnyKind, Kind } from '../api/kind.ts';
import { keyOf, type KubeObject } from '../api/object.ts';
import type { ControllerDefinition, View } from './controller.ts';
import type { Lister } from './informer.ts';
import { ObjectCache } from './object-cache.ts';

/** Objects of the kinds the controller watches, by their `apiVersion` and `kind`. Throws for one that is not watched. */
export function staticView(definition: ControllerDefinition, objects: readonly KubeObject[]): View {
  const caches = new Map<AnyKind, ObjectCache<KubeObject>>();
  for (const { kind, indexes } of definition.watches) {
    const cache = caches.get(kind) ?? new ObjectCache<KubeObject>();
    for (const [name, values] of Object.entries(indexes ?? {})) cache.addIndex(name, values);
    caches.set(kind, cache);
  }
  const cacheOf = (of: (kind: AnyKind) => boolean, what: string) => {
    for (const [kind, cache] of caches) if (of(kind)) return cache;
    throw new Error(`${what} is not watched by ${definition.name}`);
  };
  for (const object of objects) {
    const { apiVersion, kind } = object;
    cacheOf((k) => k.kind === kind && k.apiVersion === apiVersion, `${apiVersion} ${kind}`).set(keyOf(object), object);
  }
  return {
    of<T extends KubeObject>(kind: Kind<T>): Lister<T> {
      const any: AnyKind = kind;
      return cacheOf((k) => k === any, kind.kind) as unknown as Lister<T>;
    },
  };
}
