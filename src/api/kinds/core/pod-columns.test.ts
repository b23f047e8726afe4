import { describe, expect, test } from 'vitest';
import type { Container, PodSpec, PodStatus } from '../../generated/core-v1.ts';
import { Pod } from './pod.ts';

const NOW = Date.UTC(2024, 0, 1, 1);
const metadata = (): Pod['metadata'] => ({
  name: 'web',
  namespace: 'default',
  uid: 'u',
  resourceVersion: '',
  creationTimestamp: '2024-01-01T00:00:00Z',
});
const container = (more: Partial<Container> = {}): Container => ({ name: 'c', image: 'nginx', resources: {}, ...more });
function pod(spec: Partial<PodSpec> = {}, meta: Partial<Pod['metadata']> = {}): Pod {
  const p: Pod = {
    metadata: { ...metadata(), ...meta },
    spec: { containers: [container()], ...structuredClone(spec) },
  };
  Pod.default!(p);
  return p;
}

describe('rows', () => {
  const s = (state: object, more: object = {}) => ({
    name: 'c',
    image: '',
    imageID: '',
    ready: false,
    restartCount: 0,
    state,
    ...more,
  });
  const running = s({ running: {} }, { ready: true });
  const row = (status: PodStatus, spec: Partial<PodSpec> = {}, meta: Partial<Pod['metadata']> = {}) =>
    Pod.row!({ ...pod(spec, meta), status }, NOW);
  const init = container({ name: 'i' });
  test.each<[string, PodStatus, Partial<PodSpec>, Partial<Pod['metadata']>]>([
    ['0/1 Pending 0', { phase: 'Pending' }, {}, {}],
    ['1/1 Running 0', { phase: 'Running', containerStatuses: [running] }, {}, {}],
    [
      '0/1 CrashLoopBackOff 3 (5m ago)',
      {
        phase: 'Running',
        containerStatuses: [
          s(
            { waiting: { reason: 'CrashLoopBackOff' } },
            { restartCount: 3, lastState: { terminated: { exitCode: 1, finishedAt: '2024-01-01T00:55:00Z' } } },
          ),
        ],
      },
      {},
      {},
    ],
    [
      '0/1 Completed 0',
      { phase: 'Succeeded', containerStatuses: [s({ terminated: { exitCode: 0, reason: 'Completed' } })] },
      {},
      {},
    ],
    ['0/1 ExitCode:2 0', { phase: 'Failed', containerStatuses: [s({ terminated: { exitCode: 2 } })] }, {}, {}],
    ['0/1 Evicted 0', { phase: 'Failed', reason: 'Evicted' }, {}, {}],
    [
      '0/1 SchedulingGated 0',
      { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] },
      {},
      {},
    ],
    [
      '0/1 Init:0/1 0',
      { phase: 'Pending', initContainerStatuses: [{ ...s({ running: {} }), name: 'i' }] },
      { initContainers: [init] },
      {},
    ],
    [
      '0/1 Init:Error 0',
      {
        phase: 'Pending',
        initContainerStatuses: [{ ...s({ terminated: { exitCode: 1, reason: 'Error' } }), name: 'i' }],
      },
      { initContainers: [init] },
      {},
    ],
    [
      '2/2 Running 0',
      {
        phase: 'Running',
        initContainerStatuses: [{ ...s({ running: {} }), name: 'i', started: true, ready: true }],
        containerStatuses: [running],
      },
      { initContainers: [{ ...init, restartPolicy: 'Always' }] },
      {},
    ],
    [
      '1/2 NotReady 0',
      { phase: 'Running', containerStatuses: [s({ terminated: { exitCode: 0, reason: 'Completed' } }), running] },
      { containers: [container(), container({ name: 'd' })] },
      {},
    ],
    ['1/1 Terminating 0', { phase: 'Running', containerStatuses: [running] }, {}, { deletionTimestamp: 'x' }],
    ['0/1 Unknown 0', { phase: 'Running', reason: 'NodeLost' }, {}, { deletionTimestamp: 'x' }],
  ])('%s', (expected, status, spec, meta) => {
    expect(row(status, spec, meta).slice(1, 4).join(' ')).toBe(expected);
  });
  test('wide cells', () => {
    const cells = row(
      { podIPs: [{ ip: '10.0.0.1' }], nominatedNodeName: 'm', conditions: [{ type: 'x/y', status: 'True' }] },
      { nodeName: 'n', readinessGates: [{ conditionType: 'x/y' }, { conditionType: 'x/z' }] },
    );
    expect(cells.slice(4)).toEqual(['60m', '10.0.0.1', 'n', 'm', '1/2']);
    expect(Pod.columns!.length).toBe(cells.length);
  });
});
