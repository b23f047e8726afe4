// Containers that end, come one after the other, or wait for their image, in virtual time.

import { afterEach, describe, expect, it } from 'vitest';
import {
  closeNodes,
  node,
  acting,
  SECOND,
  conditionsOf,
  remove,
  started,
  init,
  sidecar,
} from '../cluster/test-pods.ts';

afterEach(closeNodes);

describe('restarts', () => {
  it('back off from 10 s, doubling, and count', async () => {
    const n = await node(acting({ c: { exitAfter: SECOND, exitCode: 3 } }));
    await n.create({ name: 'crash' });
    await n.settle(2500);
    // The first restart is immediate; the second waits.
    expect(started(n)).toEqual(['c#0', 'c#1']);
    const pod = await n.pod('crash');
    expect(pod?.status?.phase).toBe('Running');
    const text = `back-off 10s restarting failed container=c pod=crash_default(${pod!.metadata.uid})`;
    expect(pod?.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      state: { waiting: { reason: 'CrashLoopBackOff', message: text } },
      lastState: { terminated: { exitCode: 3, reason: 'Error' } },
    });
    expect(n.events.filter((e) => e.startsWith('BackOff'))).toEqual([
      `BackOff: Back-off restarting failed container c in pod crash_default(${pod!.metadata.uid})`,
    ]);
    await n.settle(10 * SECOND);
    expect(started(n)).toEqual(['c#0', 'c#1', 'c#2']);
    await n.settle(20 * SECOND);
    expect(started(n)).toHaveLength(3);
    await n.settle(2 * SECOND);
    expect(started(n)).toHaveLength(4);
    // Dead instances do not pile up.
    expect((await n.runtime.listContainers()).length).toBeLessThanOrEqual(3);
  });

  it('forget the back-off after ten calm minutes', async () => {
    const n = await node(
      acting({ c: ({ attempt }) => ({ exitAfter: attempt === 2 ? 700 * SECOND : SECOND, exitCode: 1 }) }),
    );
    await n.create({ name: 'calm' });
    await n.settle(15 * SECOND);
    expect(started(n)).toHaveLength(3);
    await n.settle(700 * SECOND);
    expect(started(n)).toHaveLength(4);
    const { waiting } = (await n.pod('calm'))!.status!.containerStatuses![0]!.state!;
    expect(waiting?.message).toMatch(/^back-off 10s restarting/);
  });

  it.each([
    ['Never', 0, 'Succeeded'],
    ['Never', 1, 'Failed'],
    ['OnFailure', 0, 'Succeeded'],
    ['OnFailure', 1, 'Running'],
    ['Always', 0, 'Running'],
  ])('policy %s, exit %i: %s', async (restartPolicy, exitCode, phase) => {
    const n = await node(acting({ c: { exitAfter: SECOND, exitCode } }));
    await n.create({ name: 'job', restartPolicy });
    await n.settle(4 * SECOND);
    const pod = await n.pod('job');
    expect(pod?.status?.phase).toBe(phase);
    if (phase === 'Running') return;
    expect(conditionsOf(pod)).toEqual([
      'PodReadyToStartContainers=False',
      `Initialized=True${phase === 'Succeeded' ? '(PodCompleted)' : ''}`,
      `Ready=False(Pod${phase === 'Succeeded' ? 'Completed' : 'Failed'})`,
      `ContainersReady=False(Pod${phase === 'Succeeded' ? 'Completed' : 'Failed'})`,
      'PodScheduled=True',
    ]);
    expect(pod?.status?.podIP).toBe('10.64.0.1');
    await remove(n, 'job');
    await n.settle(SECOND);
    expect(await n.pod('job')).toBeUndefined();
    expect(await n.runtime.listSandboxes()).toEqual([]);
  });

  it('obey rules and policies of single containers', async () => {
    const n = await node(acting({ a: { exitAfter: SECOND, exitCode: 42 }, b: { exitAfter: SECOND, exitCode: 1 } }));
    await n.create({
      name: 'rules',
      restartPolicy: 'Never',
      containers: [
        {
          name: 'a',
          restartPolicy: 'Never',
          restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
        },
        { name: 'b' },
      ],
    });
    await n.settle(2 * SECOND + 500);
    expect(started(n)).toEqual(['a#0', 'b#0', 'a#1']);
    expect((await n.pod('rules'))?.status?.phase).toBe('Running');
  });
});

describe('init containers', () => {
  it('run one after the other, then the app', async () => {
    const n = await node(acting({ one: { exitAfter: SECOND }, two: { exitAfter: SECOND } }));
    await n.create({ name: 'p', initContainers: [init('one'), init('two')] });
    await n.settle(500);
    const first = await n.pod('p');
    expect(first?.status?.phase).toBe('Pending');
    expect(first?.status?.initContainerStatuses?.map((s) => Object.keys(s.state!)[0])).toEqual(['running', 'waiting']);
    expect(first?.status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe('PodInitializing');
    expect(first?.status?.conditions?.find((c) => c.type === 'Initialized')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotInitialized',
      message: 'containers with incomplete status: [one two]',
    });
    await n.settle(3 * SECOND);
    expect(started(n)).toEqual(['one#0', 'two#0', 'c#0']);
    expect((await n.pod('p'))?.status?.phase).toBe('Running');
  });

  it('that fail end a pod that never restarts, and are retried otherwise', async () => {
    const n = await node(acting({ bad: { exitAfter: SECOND, exitCode: 1 } }));
    await n.create({ name: 'never', restartPolicy: 'Never', initContainers: [init('bad')] });
    await n.create({ name: 'always', initContainers: [init('bad')] });
    await n.settle(3 * SECOND);
    expect((await n.pod('never'))?.status?.phase).toBe('Failed');
    expect(await n.pod('always')).toMatchObject({
      status: {
        phase: 'Pending',
        initContainerStatuses: [{ restartCount: 1, state: { waiting: { reason: 'CrashLoopBackOff' } } }],
      },
    });
  });

  it('sidecars start in order, stay, and end last in reverse order', async () => {
    const n = await node(acting({ one: {}, two: {}, three: { exitAfter: SECOND }, c: { stopAfter: 2 * SECOND } }));
    await n.create({
      name: 'p',
      initContainers: [
        { ...sidecar('one'), startupProbe: { exec: { command: ['up'] }, initialDelaySeconds: 2 } },
        sidecar('two'),
        init('three'),
      ],
    });
    await n.settle(SECOND);
    expect(started(n)).toEqual(['one#0']);
    await n.settle(4 * SECOND);
    expect(started(n)).toEqual(['one#0', 'two#0', 'three#0', 'c#0']);
    expect(conditionsOf(await n.pod('p'))).toContain('Ready=True');
    const ids = (await n.runtime.listContainers()).filter((c) => c.state === 'running');
    const id = (name: string) => ids.find((c) => c.name === name)!.id;
    n.runtime.calls.length = 0;
    await remove(n, 'p');
    await n.settle(SECOND);
    const stops = () => n.runtime.calls.filter((c) => c.startsWith('stopContainer'));
    expect(stops()).toEqual([`stopContainer ${id('c')} 30s`]);
    await n.settle(2 * SECOND);
    expect(stops().slice(1)).toEqual([`stopContainer ${id('two')} 28s`, `stopContainer ${id('one')} 28s`]);
  });

  it('sidecars do not keep a finished job alive', async () => {
    const n = await node(acting({ helper: {}, c: { exitAfter: SECOND } }));
    await n.create({ name: 'job', restartPolicy: 'OnFailure', initContainers: [sidecar('helper')] });
    await n.settle(3 * SECOND);
    expect((await n.pod('job'))?.status?.phase).toBe('Succeeded');
  });

  it('sidecars restart even where nothing else does', async () => {
    const n = await node(
      acting({ helper: ({ attempt }) => (attempt === 0 ? { exitAfter: SECOND, exitCode: 1 } : {}) }),
    );
    await n.create({ name: 'p', restartPolicy: 'Never', initContainers: [sidecar('helper')] });
    await n.settle(3 * SECOND);
    expect(started(n)).toEqual(['helper#0', 'c#0', 'helper#1']);
    expect((await n.pod('p'))?.status?.phase).toBe('Running');
  });
});

describe('images', () => {
  it('are pulled, with the events of a pull', async () => {
    const n = await node({ simulate: { images: [], pullDelay: 1500 } });
    await n.create({ name: 'p' });
    await n.settle(3 * SECOND);
    expect(n.events).toContain('Pulling: Pulling image "busybox:1"');
    expect(n.events).toContain(
      'Pulled: Successfully pulled image "busybox:1" in 1.5s (1.5s including waiting). Image size: 1000 bytes.',
    );
  });

  it('that cannot be pulled: ErrImagePull, then ImagePullBackOff, then another try', async () => {
    let tries = 0;
    const pull = () => {
      if (++tries < 3) throw new Error('no such image');
    };
    const n = await node({ simulate: { images: [], pull } });
    await n.create({ name: 'p' });
    await n.settle(500);
    const waiting = async () => (await n.pod('p'))?.status?.containerStatuses?.[0]?.state?.waiting;
    expect(await waiting()).toEqual({ reason: 'ErrImagePull', message: 'no such image' });
    await n.settle(5 * SECOND);
    expect(await waiting()).toEqual({
      reason: 'ImagePullBackOff',
      message: 'Back-off pulling image "busybox:1": ErrImagePull: no such image',
    });
    await n.settle(26 * SECOND);
    expect(tries).toBe(3);
    expect((await n.pod('p'))?.status?.phase).toBe('Running');
    expect(n.events.filter((e) => /^(Failed|BackOff)/.test(e)).slice(0, 4)).toEqual([
      'Failed: Failed to pull image "busybox:1": no such image',
      'Failed: Error: ErrImagePull',
      'BackOff: Back-off pulling image "busybox:1"',
      'Failed: Error: ImagePullBackOff',
    ]);
  });

  it.each([
    [{ imagePullPolicy: 'Never' }, 'ErrImageNeverPull', /not present with pull policy of Never/],
    [{ image: 'Not:Valid:Name' }, 'InvalidImageName', /invalid reference format/],
  ])('%o waits with %s', async (container, reason, message) => {
    const n = await node({ simulate: { images: [] } });
    await n.create({ name: 'p', containers: [container] });
    await n.settle(SECOND);
    const waiting = (await n.pod('p'))?.status?.containerStatuses?.[0]?.state?.waiting;
    expect(waiting?.reason).toBe(reason);
    expect(waiting?.message).toMatch(message);
  });
});
