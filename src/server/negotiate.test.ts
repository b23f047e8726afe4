import { expect, test } from 'vitest';
import { negotiate, parseMediaType, wantsPretty } from './negotiate.ts';

const text = (accept: string | undefined) => {
  const { mediaType, as, metaVersion } = negotiate(accept);
  return as === 'object' ? mediaType : `${mediaType} ${as} ${metaVersion}`;
};

test.each([
  [undefined, 'application/json'],
  ['*/*', 'application/json'],
  ['application/*', 'application/json'],
  ['application/json, */*', 'application/json'],
  ['application/yaml', 'application/yaml'],
  ['application/vnd.kubernetes.protobuf,application/json', 'application/json'],
  ['text/html,application/xhtml+xml,*/*;q=0.8', 'application/json'],
  ['application/json;q=0.5,application/yaml', 'application/yaml'],
  ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json', 'application/json Table meta.k8s.io/v1'],
  ['application/json;as=Table;g=meta.k8s.io;v=v1beta1', 'application/json Table meta.k8s.io/v1beta1'],
  [
    'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
    'application/json PartialObjectMetadata meta.k8s.io/v1',
  ],
  ['application/json;as=Table;v=v2;g=meta.k8s.io,application/json', 'application/json'],
  ['application/json;as=Chair;v=v1;g=meta.k8s.io,application/yaml', 'application/yaml'],
  [
    'application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io',
    'application/json Table meta.k8s.io/v1',
  ],
])('%s', (accept, expected) => expect(text(accept)).toBe(expected));

test.each(['text/plain', 'application/cbor', 'application/json;as=Table;v=v2;g=meta.k8s.io', ','])(
  '%s is not acceptable',
  (accept) =>
    expect(() => negotiate(accept)).toThrow(
      'only the following media types are accepted: application/json, application/yaml',
    ),
);

test('media types', () => {
  expect(parseMediaType('Application/JSON; charset="utf-8"')).toEqual({
    type: 'application/json',
    parameters: new Map([['charset', 'utf-8']]),
  });
});

test('pretty', () => {
  const q = (text: string) => new URLSearchParams(text);
  expect(wantsPretty(q('pretty=true'), 'kubectl/1')).toBe(true);
  expect(wantsPretty(q('pretty=0'), 'curl/8')).toBe(false);
  expect(wantsPretty(undefined, 'curl/8')).toBe(true);
  expect(wantsPretty(undefined, 'kubectl/1')).toBe(false);
});
