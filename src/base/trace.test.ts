import { expect, test } from 'vitest';
import { changeLife } from './change-life.ts';
import { spanData } from './span-data.ts';
import { parseTraceparent, Tracer } from './trace.ts';
import { seededRandom, VirtualClock } from './virtual-clock.ts';

const tracerOf = (size?: number) => {
  const clock = new VirtualClock(1_000_000);
  return { clock, tracer: new Tracer({ clock, random: seededRandom(1), ...(size ? { size } : {}) }) };
};
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

test('the ring forgets the oldest, and the revisions they wrote', () => {
  const { tracer } = tracerOf(4);
  for (let i = 1; i <= 10; i++) {
    const span = tracer.begin('apiserver', 'Create');
    span.wrote(100 + i);
    span.finish();
  }
  expect(tracer.spans().map((s) => s.seq)).toEqual([7, 8, 9, 10]);
  expect(tracer.writeOf(110)?.seq).toBe(10);
  expect(tracer.writeOf(101)).toBeUndefined();
  expect(tracer.count).toBe(10);
});

test('what sees a revision is part of the trace that wrote it', async () => {
  const { tracer, clock } = tracerOf();
  const write = tracer.begin('apiserver', 'Create', { traceId: TRACE, spanId: '00f067aa0ba902b7', sampled: true });
  await clock.advance(3);
  write.phase('store', 1_000_000);
  write.wrote(7);
  write.finish();
  const seen = tracer.begin('deployment-controller', 'Reconcile', undefined, 7);
  expect([seen.trace, seen.parent, seen.sampled]).toEqual([TRACE, write.seq, true]);
  const alone = tracer.begin('deployment-controller', 'Reconcile', undefined, 8);
  expect([alone.trace, alone.parent, alone.sampled]).toEqual([alone.seq, 0, false]);
  expect(spanData(tracer, write)).toMatchObject({ start: 1_000_000, ms: 3, revision: 7 });
  expect(spanData(tracer, seen).ms).toBeUndefined();
});

test('traceparent: what is sent is what is read', () => {
  const { tracer } = tracerOf();
  const span = tracer.begin('kubelet', 'WriteStatus');
  const header = tracer.traceparent(span);
  expect(header).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  expect(parseTraceparent(header)).toEqual({
    traceId: tracer.traceId(span.trace),
    spanId: tracer.spanId(span.seq),
    sampled: false,
  });
  expect(parseTraceparent(`00-${TRACE}-00f067aa0ba902b7-01`)?.sampled).toBe(true);
  expect(parseTraceparent(`01-${TRACE}-00f067aa0ba902b7-03-more`)?.sampled).toBe(true);
});

test.each([
  undefined,
  '',
  'nonsense',
  `00-${TRACE}-00f067aa0ba902b7`,
  `00-${TRACE}-00f067aa0ba902b7-01-more`,
  `ff-${TRACE}-00f067aa0ba902b7-01`,
  `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  `00-${TRACE.toUpperCase()}-00f067aa0ba902b7-01`,
])('traceparent %s says nothing', (header) => expect(parseTraceparent(header)).toBeUndefined());

test('a life: what was asked for, what saw a revision, what was done for its objects; nothing else', () => {
  const at = (id: number, more: object) => ({
    id,
    component: 'apiserver',
    name: 'Update',
    start: id * 10,
    ms: 5,
    resource: 'pods',
    objectName: `o${id}`,
    ...more,
  });
  const spans = [
    at(1, { revision: 10, uid: 'd', resource: 'deployments.apps', objectName: 'web', generation: 1 }),
    at(2, { revision: 11, uid: 'd', resource: 'deployments.apps', objectName: 'web', generation: 2 }),
    at(3, { revision: 12, uid: 'x', name: 'Create' }),
    at(4, { component: 'c', name: 'Reconcile', cause: 11 }),
    at(5, { parent: 4, revision: 13, uid: 'rs', owner: 'd', name: 'Create' }),
    at(6, { component: 'c', name: 'Reconcile', cause: 12 }),
    // Its cause was forgotten, its object is known.
    at(7, { component: 'kubelet', name: 'RunPodSandbox', cause: 2, uid: 'rs' }),
    // Nothing came of it.
    at(8, { component: 'c', name: 'Reconcile', cause: 13 }),
    at(9, { revision: 14, uid: 'd', resource: 'deployments.apps', objectName: 'web', generation: 2, start: 100_000 }),
  ];
  const life = changeLife(spans, { resource: 'deployments.apps', namespace: '', name: 'web' })!;
  const ids = (node: typeof life.root): unknown => [node.span.id, ...node.children.map(ids)];
  expect(ids(life.root)).toEqual([2, [4, [5, [7]]]]);
  expect([life.count, life.end]).toEqual([4, 75]);
  expect(changeLife(spans, { resource: 'pods', namespace: 'a', name: 'web' })).toBeUndefined();
});
