import { afterEach, describe, expect, it } from 'vitest';
import { Pod } from '../api/kinds/core/pod.ts';
import { testNode, type TestNode } from '../cluster/test-node.ts';

const open: TestNode[] = [];
async function node(options: Parameters<typeof testNode>[0] = {}): Promise<TestNode> {
  const made = await testNode(options);
  open.push(made);
  return made;
}
afterEach(async () => {
  for (const n of open.splice(0)) await n.close();
});

describe('a simple pod', () => {
  it('runs and is deleted', async () => {
    const n = await node();
    await n.create({ name: 'web' });
    await n.settle();
    const pod = await n.pod('web');
    expect(pod?.status?.phase).toBe('Running');
    await n.client.delete(Pod, { namespace: 'default', name: 'web' });
    await n.settle(1000);
    expect(await n.pod('web')).toBeUndefined();
    expect(await n.runtime.listSandboxes()).toEqual([]);
  });
});
