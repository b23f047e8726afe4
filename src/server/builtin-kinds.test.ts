// Every stored built-in kind over the real pipeline: a plain object of it is created, replacing it by itself changes
// nothing (defaults and preparation are stable), a label can be added, and its table row has as many cells as columns.

import { afterAll, describe, expect, test } from 'vitest';
import { builtinKinds } from '../api/kinds/index.ts';
import type { AnyKind } from '../api/kind.ts';
import type { Draft, KubeObject } from '../api/object.ts';
import { SAMPLES } from '../cluster/conformance/samples.ts';
import { createTestServer } from '../cluster/test-server.ts';

const t = createTestServer();
afterAll(() => t.close());

const NAMES: Readonly<Record<string, string>> = { 'events.events.k8s.io': 'y' };

const stored = builtinKinds.filter((kind) => !kind.virtual && kind.verbs?.length !== 0);

describe.each(stored.map((kind) => [kind.resource, kind] as const))('%s', (resource, kind: AnyKind) => {
  test('through the pipeline', async () => {
    const body = SAMPLES[resource];
    expect(body, 'the test knows a body').toBeDefined();
    const name = NAMES[resource] ?? 'x';
    const metadata = { name, ...(kind.namespaced ? { namespace: 'default' } : {}) };
    const created = await t.client.create(kind, { metadata, ...body } as unknown as Draft<KubeObject>);
    if (kind.generation) expect(created.metadata.generation).toBe(1);
    const same = await t.client.update(kind, structuredClone(created));
    expect(same).toEqual(created);
    const labels = { ...created.metadata.labels, extra: 'yes' };
    const labelled = await t.client.update(kind, {
      ...structuredClone(created),
      metadata: { ...created.metadata, labels },
    });
    expect(labelled.metadata.labels).toEqual(labels);
    expect(labelled.metadata.generation).toBe(created.metadata.generation);
    const now = t.clock.now();
    expect(kind.row?.(labelled, now).length).toBe(kind.columns?.length);
    for (const field in kind.selectableFields) expect(typeof kind.selectableFields[field]!(labelled)).toBe('string');
  });
});
