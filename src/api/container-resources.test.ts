import { expect, test } from 'vitest';
import type { Container, PodSpec } from './generated/core-v1.ts';
import { aggregateContainers, qosClass } from './container-resources.ts';

const c = (cpu: string | undefined, memory?: string, more: Partial<Container> = {}): Container => {
  const list = { ...(cpu ? { cpu } : {}), ...(memory ? { memory } : {}) };
  return { name: 'x', resources: { requests: list, limits: list }, ...more };
};
const requested = (spec: PodSpec) =>
  Object.fromEntries(Object.entries(aggregateContainers(spec, 'requests')).map(([k, v]) => [k, v.toString()]));

test('containers add up; init containers count when they need more; sidecars run beside', () => {
  expect(requested({ containers: [c('1', '1Gi'), c('500m', '1Gi')] })).toEqual({ cpu: '1500m', memory: '2Gi' });
  expect(requested({ containers: [c('1')], initContainers: [c('2'), c('1500m')] })).toEqual({ cpu: '2' });
  const sidecar = c('200m', undefined, { restartPolicy: 'Always' });
  expect(requested({ containers: [c('1')], initContainers: [sidecar, c('1')] })).toEqual({ cpu: '1200m' });
  expect(requested({ containers: [c('1')], initContainers: [sidecar, c('3')] })).toEqual({ cpu: '3200m' });
});

test.each<[string, PodSpec]>([
  ['BestEffort', { containers: [c(undefined)] }],
  ['BestEffort', { containers: [c('0')] }],
  ['Guaranteed', { containers: [c('1', '1Gi')] }],
  ['Burstable', { containers: [c('1', '1Gi'), c(undefined)] }],
  ['Burstable', { containers: [c('1')] }],
  [
    'Burstable',
    {
      containers: [
        { name: 'x', resources: { requests: { cpu: '1', memory: '1' }, limits: { cpu: '2', memory: '1' } } },
      ],
    },
  ],
  [
    'Guaranteed',
    {
      containers: [c(undefined)],
      resources: { requests: { cpu: '1', memory: '1' }, limits: { cpu: '1000m', memory: '1' } },
    },
  ],
])('%s', (expected, spec) => {
  expect(qosClass({ spec })).toBe(expected);
});
