// What is left of a node of real containers that is taken away: nothing but its images, however it was left.

import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { realEnv } from '../src/base/real-env.ts';
import { findShims } from '../src/host/containerd/daemon.ts';
import { findLeftovers } from '../src/host/leftovers.ts';
import { tearDownNode } from '../src/host/node-teardown.ts';
import { signalProcess } from '../src/host/processes.ts';
import { BUSYBOX_IMAGE } from './fixtures/busybox.ts';
import { startRealNode, whyNoRealNodes } from './fixtures/real-node.ts';

const impossible = await whyNoRealNodes();
if (impossible) console.warn(`tests of real containers are skipped: ${impossible}`);

describe.skipIf(impossible)('removal', () => {
  test('of a node whose processes were all killed', async () => {
    const node = await startRealNode('ck', '10.198.0.0/24');
    await node.run('one', 'sleep 1000');
    await node.run('two', 'trap "" TERM; sleep 1000');
    node.containerd.release();
    const { daemon, paths } = node.containerd;
    for (const one of [daemon.process, ...findShims(paths.socket)]) signalProcess(one, 'SIGKILL');
    expect(await node.remove()).toEqual([]);
    const open = await new Promise((resolve) =>
      connect(paths.socket, () => resolve(true)).once('error', () => resolve(false)),
    );
    expect(open).toBe(false);
  });

  test('keeps images and nothing else for the next start', async () => {
    const node = await startRealNode('cs', '10.196.0.0/24');
    await Promise.all(['one', 'two', 'three'].map((name) => node.run(name, 'echo x > /file; sleep 1000')));
    node.containerd.release();
    await tearDownNode({ env: realEnv(), ...node.parts });
    expect(await findLeftovers(node.parts)).toEqual([]);
    const { runtime, paths } = await node.restart();
    expect(await runtime.listSandboxes()).toEqual([]);
    expect(await runtime.listContainers()).toEqual([]);
    expect(await runtime.imageStatus(BUSYBOX_IMAGE)).toMatchObject({ tags: [BUSYBOX_IMAGE] });
    const snapshots = join(paths.root, 'io.containerd.snapshotter.v1.overlayfs', 'snapshots');
    // One for each image: the sandbox's and busybox.
    expect(readdirSync(snapshots)).toHaveLength(2);
    await node.network.setRange({ podCidr: '10.196.0.0/24' });
    expect(await node.remove()).toEqual([]);
  });

  test('of a node that runs, and once more', async () => {
    const node = await startRealNode('cr', '10.197.0.0/24');
    await node.run('one', 'sleep 1000');
    expect(await node.remove()).toEqual([]);
    expect(await node.remove()).toEqual([]);
  });
});
