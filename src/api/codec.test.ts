import { describe, expect, it } from 'vitest';
import {
  encodedSize,
  fromStored,
  itemText,
  listTexts,
  ObjectValue,
  objectOf,
  storedText,
  textOf,
  withRevision,
} from './codec.ts';
import type { KubeObject } from './object.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const pod = (metadata: object, rest: object = {}) =>
  ({ apiVersion: 'v1', kind: 'Pod', metadata, ...rest }) as unknown as KubeObject;

describe('stored and wire forms', () => {
  it('puts type, metadata and resourceVersion first', () => {
    const object = {
      spec: { ä: '"metadata":{' },
      metadata: { name: 'a', resourceVersion: '7' },
      kind: 'Pod',
      apiVersion: 'v1',
    };
    const wire =
      '{"apiVersion":"v1","kind":"Pod","metadata":{"resourceVersion":"7","name":"a"},"spec":{"ä":"\\"metadata\\":{"}}';
    expect(textOf(object)).toBe(wire);
    expect(storedText(object as unknown as KubeObject)).toBe(wire.replace('"resourceVersion":"7",', ''));
  });

  it.each([[{ name: 'a' }], [{}]])('splices a revision into %j and takes it out again', (metadata) => {
    const draft = pod(metadata, { spec: {} });
    const stored = storedText(draft);
    expect(JSON.parse(stored)).toEqual(draft);
    for (const object of [withRevision(draft, 12), fromStored(bytes(stored), 12)]) {
      expect(object).toEqual(pod({ ...metadata, resourceVersion: '12' }, { spec: {} }));
      expect(textOf(object)).toBe(JSON.stringify(object));
      expect(Object.keys(object.metadata)[0]).toBe('resourceVersion');
      expect(storedText(object)).toEqual(stored);
      const later = withRevision(object, 13);
      expect(textOf(later)).toBe(textOf(object).replace('"12"', '"13"'));
    }
  });

  it('encodes an object whose encoded copy has another revision afresh', () => {
    const object = pod({ name: 'a', resourceVersion: '1' });
    const later = withRevision(object, 2);
    expect(textOf(later)).toContain('{"resourceVersion":"2","name":"a"}');
    expect(withRevision(later, 2)).toBe(later);
  });
});

describe('store values', () => {
  it('hands the same object out again, from memory and from bytes', () => {
    const value = new ObjectValue(pod({ name: 'a' }));
    const read = { bytes: value.bytes };
    expect(objectOf(value, 5)).toBe(objectOf(value, 5));
    expect(objectOf(read, 5)).toBe(objectOf(read, 5));
    expect(objectOf(read, 5)).toEqual(objectOf(value, 5));
    expect(value.bytes).toEqual(bytes(value.text));
  });
});

describe('lists', () => {
  const list = (items: KubeObject[]) =>
    ({ type: 'list', apiVersion: 'v1', kind: 'PodList', metadata: { resourceVersion: '9' }, items }) as const;

  it('writes items without their type, or with it', () => {
    const items = [pod({ resourceVersion: '1', name: 'a' }), pod({ resourceVersion: '2', name: 'b' }, { spec: {} })];
    expect(itemText(items[0]!)).toBe('"metadata":{"resourceVersion":"1","name":"a"}}');
    expect(listTexts(list(items)).join('')).toBe(
      '{"apiVersion":"v1","kind":"PodList","metadata":{"resourceVersion":"9"},"items":[' +
        '{"metadata":{"resourceVersion":"1","name":"a"}},{"metadata":{"resourceVersion":"2","name":"b"},"spec":{}}]}',
    );
    expect(JSON.parse(listTexts(list(items), true).join('')).items).toEqual(items);
    expect(JSON.parse(listTexts(list([])).join('')).items).toEqual([]);
  });
});

describe('what is kept', () => {
  const MiB = 2 ** 20;
  const large = (i: number) => pod({ name: `large-${i}`, annotations: { filler: 'x'.repeat(MiB) } });

  it('is bounded: what nobody asks for is forgotten, and made again when somebody does', () => {
    const [asked, left] = [pod({ name: 'asked' }), pod({ name: 'left' })];
    const texts = [textOf(asked), textOf(left)];
    for (let i = 0; i < 60; i++) {
      textOf(large(i));
      textOf(asked);
    }
    expect(encodedSize(asked)).toBe(texts[0]!.length);
    expect(encodedSize(left)).toBe(0);
    expect([textOf(asked), textOf(left)]).toEqual(texts);
  });
});
