import { describe, expect, it } from 'vitest';
import type { Deployment } from '../api/kinds/apps/deployment.ts';
import type { ReplicaSet } from '../api/kinds/apps/replica-set.ts';
import {
  currentAnnotations,
  currentSet,
  HASH_LABEL,
  newSet,
  REVISION,
  REVISION_HISTORY,
  sameTemplate,
  scaleAnnotations,
} from './deployment-sets.ts';

const template = (image: string, extra: object = {}) => ({
  metadata: { labels: { app: 'web', ...extra } },
  spec: { containers: [{ name: 'web', image }] },
});
const deployment = (image: string, annotations: Record<string, string> = {}) =>
  ({
    metadata: { name: 'web', namespace: 'a', uid: 'd', annotations },
    spec: { selector: { matchLabels: { app: 'web' } }, template: template(image), minReadySeconds: 5 },
  }) as unknown as Deployment;
const set = (name: string, created: string, image: string): ReplicaSet =>
  ({
    metadata: { name, creationTimestamp: created },
    spec: { template: template(image, { [HASH_LABEL]: name }) },
  }) as unknown as ReplicaSet;

describe('currentSet', () => {
  it('is the oldest with the template, the hash aside', () => {
    const sets = [set('c', '3', 'v1'), set('b', '2', 'v1'), set('a', '1', 'v2')];
    expect(currentSet(deployment('v1'), sets)?.metadata.name).toBe('b');
    expect(currentSet(deployment('v3'), sets)).toBeUndefined();
  });

  it('does not take differences of empty lists for a change', () => {
    expect(
      sameTemplate(
        template('v1') as never,
        { ...template('v1'), spec: { containers: [{ name: 'web', image: 'v1', env: [] }] } } as never,
      ),
    ).toBe(true);
    expect(sameTemplate(template('v1') as never, template('v1', { more: 'x' }) as never)).toBe(false);
  });
});

describe('currentAnnotations', () => {
  it.each<[string, Record<string, string>, Record<string, string>, number, Record<string, string> | 'same']>([
    ['a new set', {}, {}, 1, { [REVISION]: '1' }],
    ['nothing new', {}, { [REVISION]: '3' }, 3, 'same'],
    ['never backwards', {}, { [REVISION]: '4' }, 3, 'same'],
    ['rolled back to', {}, { [REVISION]: '1' }, 3, { [REVISION]: '3', [REVISION_HISTORY]: '1' }],
    ['again', {}, { [REVISION]: '3', [REVISION_HISTORY]: '1' }, 5, { [REVISION]: '5', [REVISION_HISTORY]: '1,3' }],
    ['unreadable', {}, { [REVISION]: 'x' }, 5, 'same'],
    [
      'copies the rest',
      { note: 'y', [REVISION]: '9', 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
      { [REVISION]: '1', old: 'kept' },
      1,
      { [REVISION]: '1', old: 'kept', note: 'y' },
    ],
  ])('%s', (_, own, had, revision, expected) => {
    const result = currentAnnotations(deployment('v1', own), had, revision);
    if (expected === 'same') expect(result).toBe(had);
    else expect(result).toEqual(expected);
  });

  it('forgets the oldest revisions when the history grows too long', () => {
    const history = Array.from({ length: 500 }, (_, i) => String(i + 100)).join(',');
    const result = currentAnnotations(deployment('v1'), { [REVISION]: '600', [REVISION_HISTORY]: history }, 601);
    const text = result[REVISION_HISTORY]!;
    expect(text.length).toBeLessThanOrEqual(2000);
    expect(text.startsWith('101,')).toBe(true);
    expect(text.endsWith(',599,600')).toBe(true);
  });
});

it('makes a set of the template', () => {
  const made = newSet(deployment('v1'), { x: 'y' });
  const hash = made.metadata.labels![HASH_LABEL]!;
  expect(hash).toMatch(/^[a-z0-9]{6,10}$/);
  expect(made.metadata.name).toBe(`web-${hash}`);
  expect(made.metadata.ownerReferences).toMatchObject([
    { kind: 'Deployment', name: 'web', uid: 'd', controller: true },
  ]);
  expect(made.spec).toMatchObject({
    replicas: 0,
    minReadySeconds: 5,
    selector: { matchLabels: { app: 'web', [HASH_LABEL]: hash } },
    template: { metadata: { labels: { app: 'web', [HASH_LABEL]: hash } } },
  });
  const collided = { ...deployment('v1'), status: { collisionCount: 1 } };
  expect(newSet(collided, {}).metadata.name).not.toBe(made.metadata.name);
});

it('keeps scale annotations that are right', () => {
  const annotations = scaleAnnotations({ a: 'b' }, 3, 4);
  expect(scaleAnnotations(annotations, 3, 4)).toBe(annotations);
  expect(scaleAnnotations(annotations, 5, 6)).not.toBe(annotations);
});
