import { describe, expect, it } from 'vitest';
import type { Container, PodSpec } from '../api/generated/core-v1.ts';
import type { Pod } from '../api/kinds/core/pod.ts';
import type { BackoffEntry } from './backoff.ts';
import { planPod } from './plan.ts';
import type { PlanInput, ProbeVerdict } from './plan-steps.ts';
import { PodRuntime } from './pod-runtime.ts';
import type { ContainerStatus } from './runtime.ts';

const NOW = Date.UTC(2026, 0, 1, 1);
const c = (name: string, more: Partial<Container> = {}): Container => ({ name, image: 'i:1', ...more });
const sidecar = (name: string, more: Partial<Container> = {}) => c(name, { restartPolicy: 'Always', ...more });
const pod = (spec: Partial<PodSpec> = {}, more: object = {}): Pod =>
  ({ metadata: { name: 'p', namespace: 'n', uid: 'u' }, spec: { containers: [c('app')], ...spec }, ...more }) as Pod;

/** `app:running`, `app#1:exited(3)`, with `@old` behind for an instance of an earlier sandbox. */
function runtime(sandbox: 'ready' | 'notready' | 'none', ...containers: string[]): PodRuntime {
  const made = new PodRuntime();
  const box = (id: string, attempt: number, state: 'ready' | 'notready') =>
    made.putSandbox({
      id,
      pod: { name: 'p', namespace: 'n', uid: 'u' },
      attempt,
      state,
      createdAt: NOW - 100_000,
      ips: ['10.0.0.1'],
      labels: {},
      annotations: {},
    });
  if (containers.some((text) => text.endsWith('@old'))) box('old', 0, 'notready');
  if (sandbox !== 'none') box('box', 1, sandbox);
  made.markStopped('old');
  for (const text of containers) {
    const [, name = '', attempt = '0', state = '', code = '0', old] =
      /^(\w+)(?:#(\d+))?:(\w+)(?:\((\d+)\))?(@old)?$/.exec(text)!;
    made.put({
      id: `${name}-${attempt}`,
      sandboxId: old ? 'old' : 'box',
      name,
      attempt: Number(attempt),
      state: state as ContainerStatus['state'],
      createdAt: NOW - 50_000 + Number(attempt),
      startedAt: NOW - 50_000,
      finishedAt: state === 'exited' ? NOW - 1000 : 0,
      exitCode: Number(code),
      reason: '',
      message: '',
      image: 'i:1',
      imageId: '',
      logPath: '',
      labels: {},
      annotations: {},
    });
  }
  return made;
}

function plan(p: Pod, r: PodRuntime, more: Partial<PlanInput> = {}) {
  const result = planPod({
    pod: p,
    now: NOW,
    runtime: r,
    stop: undefined,
    verdict: () => ({}),
    volumes: 'ready',
    busy: new Set(),
    backoffs: new Map(),
    blocks: new Map(),
    ...more,
  });
  const does = result.actions.map((a) =>
    a.do === 'start'
      ? `start ${a.key}#${a.attempt}`
      : a.do === 'kill'
        ? `kill ${a.name} ${a.graceSeconds}s`
        : 'id' in a
          ? `${a.do} ${a.id}`
          : a.do,
  );
  return { ...result, does };
}

describe('a running pod', () => {
  it.each<[string, Pod, PodRuntime, string[], Partial<PlanInput>?]>([
    ['volumes come first', pod(), runtime('none'), ['mount'], { volumes: 'unknown' }],
    ['then the sandbox', pod(), runtime('none'), ['createSandbox']],
    ['nothing while that is under way', pod(), runtime('none'), [], { busy: new Set(['sandbox']) }],
    ['then the container', pod(), runtime('ready'), ['start app#0']],
    ['containers start one by one', pod({ containers: [c('a'), c('b')] }), runtime('ready'), ['start a#0']],
    [
      'the next while the first is done',
      pod({ containers: [c('a'), c('b')] }),
      runtime('ready', 'a:running'),
      ['start b#0'],
    ],
    [
      'not while it is under way',
      pod({ containers: [c('a'), c('b')] }),
      runtime('ready'),
      [],
      { busy: new Set(['a']) },
    ],
    [
      'restarts do not wait for others',
      pod({ containers: [c('a'), c('b')] }),
      runtime('ready', 'b:exited(1)'),
      ['start b#1'],
      { busy: new Set(['a']) },
    ],
    ['all is well', pod(), runtime('ready', 'app:running'), []],
    ['a container that was made and never started', pod(), runtime('ready', 'app:created'), ['start app#1']],
    ['an unknown one is killed first', pod(), runtime('ready', 'app:unknown'), ['kill app 30s']],
    ['a dead sandbox: what runs in it is killed', pod(), runtime('notready', 'app:running'), ['kill app 30s']],
    ['then it is stopped', pod(), runtime('notready', 'app:exited(137)'), ['stopSandbox box']],
    [
      'three instances are one too many',
      pod(),
      runtime('ready', 'app#0:exited', 'app#1:exited', 'app#2:running'),
      ['removeContainer app-0'],
    ],
    ['an empty old sandbox goes', pod(), withOldSandbox(), ['removeSandbox old']],
  ])('%s', (_, p, r, expected, more) => {
    expect(plan(p, r, more).does).toEqual(expected);
  });

  it('starts again from the init containers in a new sandbox, and counts on', () => {
    const p = pod({ initContainers: [c('i'), c('j')] });
    expect(plan(p, runtime('ready', 'i:exited(0)@old', 'j:exited(0)@old', 'app:exited(137)@old')).does).toEqual([
      'start i#1',
    ]);
  });

  it('needs no new sandbox when it would not run again', () => {
    const over = plan(pod({ restartPolicy: 'Never' }), runtime('notready', 'app:exited(1)'));
    expect(over).toMatchObject({ does: [], finished: true });
  });

  it('restarts a container whose image was changed', () => {
    const r = runtime('ready', 'app:running');
    r.put({ ...r.latest('app')!, annotations: { 'io.kubernetes.container.hash': 'another' } });
    const result = plan(pod(), r);
    expect(result.actions).toMatchObject([
      { do: 'kill', message: 'Container app definition changed, will be restarted' },
    ]);
  });

  it('waits out the crash-loop back-off and says until when', () => {
    const backoffs = new Map<string, BackoffEntry>([['app', { delay: 40_000, updated: NOW - 60_000 }]]);
    const result = plan(pod(), runtime('ready', 'app:exited(1)'), { backoffs });
    expect(result.does).toEqual([]);
    expect(result.wake).toBe(NOW - 1000 + 40_000);
    expect(result.waiting.get('app')).toEqual({
      reason: 'CrashLoopBackOff',
      message: 'back-off 40s restarting failed container=app pod=p_n(u)',
    });
  });

  it('shows a failed step, later under its other name', () => {
    const later = { at: NOW + 10, reason: 'ImagePullBackOff', message: 'b' };
    const blocks = new Map([['app', { reason: 'ErrImagePull', message: 'a', until: NOW + 100, later }]]);
    const now = plan(pod(), runtime('ready'), { blocks });
    expect([now.does, now.wake, now.waiting.get('app')]).toEqual([
      [],
      NOW + 10,
      { reason: 'ErrImagePull', message: 'a' },
    ]);
    const after = plan(pod(), runtime('ready'), { blocks, now: NOW + 10 });
    expect([after.does, after.wake, after.waiting.get('app')?.reason]).toEqual([[], NOW + 100, 'ImagePullBackOff']);
    expect(plan(pod(), runtime('ready'), { blocks, now: NOW + 100 }).does).toEqual(['start app#0']);
  });

  it('fails at its deadline', () => {
    const p = pod({ activeDeadlineSeconds: 60 }, { status: { startTime: '2026-01-01T00:59:30Z' } });
    expect(plan(p, runtime('ready', 'app:running')).wake).toBe(NOW + 30_000);
    expect(plan(p, runtime('ready', 'app:running'), { now: NOW + 30_000 }).fail?.reason).toBe('DeadlineExceeded');
  });
});

function withOldSandbox(): PodRuntime {
  const r = runtime('ready', 'app:exited@old');
  r.remove('app-0');
  const running = runtime('ready', 'app#1:running').latest('app')!;
  r.put(running);
  return r;
}

describe('init containers', () => {
  const p = pod({ initContainers: [c('i'), sidecar('s'), c('j')] });
  const probed = pod({ initContainers: [sidecar('s', { startupProbe: { tcpSocket: { port: 1 } } })] });
  it.each<[string, Pod, PodRuntime, string[], ProbeVerdict?]>([
    ['the first', p, runtime('ready'), ['start i#0']],
    ['the first is running', p, runtime('ready', 'i:running'), []],
    ['the sidecar after it', p, runtime('ready', 'i:exited(0)'), ['start s#0']],
    ['the next once the sidecar runs', p, runtime('ready', 'i:exited(0)', 's:running'), ['start j#0']],
    ['the app at last', p, runtime('ready', 'i:exited(0)', 's:running', 'j:exited(0)'), ['start app#0']],
    ['a failed one again', p, runtime('ready', 'i:exited(1)'), ['start i#1']],
    ['a sidecar that ended meanwhile, beside the next', p, runtime('ready', 's:exited(0)', 'j:running'), ['start s#1']],
    ['collected ones are not run again', p, runtime('ready', 's:running', 'app:running'), []],
    ['a collected sidecar is', p, runtime('ready', 'app:running'), ['start s#0']],
    ['nothing before the startup probe', probed, runtime('ready', 's:running'), []],
    ['the app after it', probed, runtime('ready', 's:running'), ['start app#0'], { startup: true }],
    ['killed when it fails', probed, runtime('ready', 's:running'), ['kill s 30s'], { startup: false }],
  ])('%s', (_, spec, r, expected, verdict = {}) => {
    expect(plan(spec, r, { verdict: () => verdict }).does).toEqual(expected);
  });

  it('a failed one ends a pod that never restarts', () => {
    const never = pod({ restartPolicy: 'Never', initContainers: [c('i')] });
    expect(plan(never, runtime('ready', 'i:exited(1)'))).toMatchObject({ finished: true, does: [] });
  });
});

describe('the end of a pod', () => {
  const stop = { graceSeconds: 20, since: NOW - 5000 };
  const p = pod({ initContainers: [sidecar('s'), sidecar('t')] });
  it.each<[string, PodRuntime, string[], Partial<PlanInput>?]>([
    ['app containers first', runtime('ready', 's:running', 't:running', 'app:running'), ['kill app 20s']],
    [
      'then the last sidecar, with what is left',
      runtime('ready', 's:running', 't:running', 'app:exited'),
      ['kill t 15s'],
    ],
    ['then the one before', runtime('ready', 's:running', 't:exited', 'app:exited'), ['kill s 15s']],
    ['a sidecar gets two seconds at least', runtime('ready', 's:running'), ['kill s 2s'], { now: NOW + 60_000 }],
    ['not twice', runtime('ready', 'app:running'), [], { busy: new Set(['kill:app-0']) }],
    ['a start under way is awaited', runtime('ready'), [], { busy: new Set(['app']) }],
    ['then the sandbox', runtime('ready', 'app:exited'), ['stopSandbox box']],
    ['then the volumes', runtime('none'), ['unmount']],
  ])('%s', (_, r, expected, more) => {
    expect(plan(p, r, { stop, ...more }).does).toEqual(expected);
  });

  it('is reached when nothing is held any more', () => {
    expect(plan(p, runtime('none'), { stop, volumes: 'released' })).toMatchObject({ stopped: true, released: true });
  });
});
