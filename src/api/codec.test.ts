import { describe, expect, it } from 'vitest';
import {
  bytesOf,
  fromStored,
  itemBytes,
  listChunks,
  ObjectValue,
  objectOf,
  storedBytes,
  watchEventBytes,
  withRevision,
} from './codec.ts';
import type { KubeObject } from './object.ts';

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
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
    expect(text(bytesOf(object))).toBe(wire);
    expect(text(storedBytes(object as unknown as KubeObject))).toBe(wire.replace('"resourceVersion":"7",', ''));
    expect(bytesOf(object)).toBe(bytesOf(object));
  });

  it.each([[{ name: 'a' }], [{}]])('splices a revision into %j and takes it out again', (metadata) => {
    const draft = pod(metadata, { spec: {} });
    const stored = storedBytes(draft);
    expect(JSON.parse(text(stored))).toEqual(draft);
    for (const object of [withRevision(draft, 12), fromStored(stored, 12)]) {
      expect(object).toEqual(pod({ ...metadata, resourceVersion: '12' }, { spec: {} }));
      expect(text(bytesOf(object))).toBe(JSON.stringify(object));
      expect(Object.keys(object.metadata)[0]).toBe('resourceVersion');
      expect(storedBytes(object)).toEqual(stored);
      const later = withRevision(object, 13);
      expect(text(bytesOf(later))).toBe(text(bytesOf(object)).replace('"12"', '"13"'));
    }
  });

  it('encodes an object whose encoded copy has another revision afresh', () => {
    const object = pod({ name: 'a', resourceVersion: '1' });
    const later = withRevision(object, 2);
    expect(text(bytesOf(later))).toContain('{"resourceVersion":"2","name":"a"}');
    expect(withRevision(later, 2)).toBe(later);
  });
});

describe('store values', () => {
  it('hands the same object out again, from memory and from bytes', () => {
    const value = new ObjectValue(pod({ name: 'a' }));
    const bytes = { bytes: value.bytes };
    expect(objectOf(value, 5)).toBe(objectOf(value, 5));
    expect(objectOf(bytes, 5)).toBe(objectOf(bytes, 5));
    expect(objectOf(bytes, 5)).toEqual(objectOf(value, 5));
    expect(value.bytes).toEqual(bytes.bytes);
  });
});

describe('lists and events', () => {
  const join = (chunks: Uint8Array[]) => chunks.map(text).join('');
  const list = (items: KubeObject[]) =>
    ({ type: 'list', apiVersion: 'v1', kind: 'PodList', metadata: { resourceVersion: '9' }, items }) as const;

  it('writes items without their type, or with it', () => {
    const items = [pod({ resourceVersion: '1', name: 'a' }), pod({ resourceVersion: '2', name: 'b' }, { spec: {} })];
    expect(text(itemBytes(items[0]!))).toBe('"metadata":{"resourceVersion":"1","name":"a"}}');
    expect(join(listChunks(list(items)))).toBe(
      '{"apiVersion":"v1","kind":"PodList","metadata":{"resourceVersion":"9"},"items":[' +
        '{"metadata":{"resourceVersion":"1","name":"a"}},{"metadata":{"resourceVersion":"2","name":"b"},"spec":{}}]}',
    );
    expect(JSON.parse(join(listChunks(list(items), true))).items).toEqual(items);
    expect(JSON.parse(join(listChunks(list([])))).items).toEqual([]);
  });

  it('writes an event once', () => {
    const event = { type: 'ADDED', object: pod({ name: 'ö' }) } as const;
    expect(text(watchEventBytes(event))).toBe(`{"type":"ADDED","object":${JSON.stringify(event.object)}}\n`);
    expect(watchEventBytes(event)).toBe(watchEventBytes(event));
    const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, code: 410 };
    expect(JSON.parse(text(watchEventBytes({ type: 'ERROR', object: status })))).toEqual({
      type: 'ERROR',
      object: status,
    });
  });
});
