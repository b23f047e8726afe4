// The writer of a pod's status beside another writer: what the kubelet says of its conditions is what stays.

import { expect, it } from 'vitest';
import type { PodStatus } from '../api/generated/core-v1.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { Client } from '../client/client.ts';
import { createTestServer } from '../cluster/test-server.ts';
import { StatusWriter } from './status-writer.ts';

const ready = (status: 'True' | 'False'): PodStatus => ({ phase: 'Running', conditions: [{ type: 'Ready', status }] });

it('overrules who overruled it before its own answer was there', async () => {
  await using stack = new AsyncDisposableStack();
  const { client, server, env, clock } = stack.adopt(createTestServer(), (s) => s.close());
  const spec = { containers: [{ name: 'c', image: 'i' }] };
  const pod = await client.create(Pod, { metadata: { namespace: 'default', name: 'p' }, spec });
  const ref = { namespace: 'default', name: 'p' };
  const transport = server.transport({ name: 'admin', groups: ['system:masters'] }, 'kubelet');
  let answer = () => {};
  let held: Promise<void> | undefined = new Promise((resolve) => (answer = resolve));
  // The first answer comes late.
  const slow = new Client(async (op, options) => {
    const result = await transport(op, options);
    await held;
    held = undefined;
    return result;
  }, 'kubelet');
  const writer = new StatusWriter(slow, env, pod, new AbortController().signal);
  writer.set(ready('True'));
  await clock.advance(1000);
  const written = await client.get(Pod, ref);
  expect(written.status?.conditions?.[0]?.status).toBe('True');
  writer.observe(written);
  writer.observe(await client.update(Pod, { ...written, status: ready('False') }, { subresource: 'status' }));
  answer();
  await clock.advance(60_000);
  const now = await client.get(Pod, ref);
  expect(now.status?.conditions?.[0]?.status).toBe('True');
});

it('leaves an end that somebody else has told of as it is', async () => {
  await using stack = new AsyncDisposableStack();
  const { client, env, clock } = stack.adopt(createTestServer(), (s) => s.close());
  const spec = { containers: [{ name: 'c', image: 'i' }] };
  const ref = { namespace: 'default', name: 'p' };
  const pod = await client.create(Pod, { metadata: ref, spec });
  const writer = new StatusWriter(client, env, pod, new AbortController().signal);
  // The node was taken for lost; the kubelet has not heard of it.
  const lost: PodStatus = { phase: 'Failed', reason: 'NodeLost', message: 'gone' };
  await client.update(Pod, { ...pod, status: lost }, { subresource: 'status' });
  writer.set({ phase: 'Succeeded', conditions: [{ type: 'Ready', status: 'False' }] });
  await clock.advance(60_000);
  const { status } = await client.get(Pod, ref);
  expect(status).toMatchObject({ ...lost, conditions: [{ type: 'Ready', status: 'False' }] });
});
