// A start is broken off at every moment of it, as by a kill -9 of who asked for it: what the runtime calls interrupted has
// never run.

import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { realEnv } from '../../src/base/real-env.ts';
import { criRuntime } from '../../src/host/cri/runtime.ts';
import type { ContainerStatus } from '../../src/kubelet/runtime.ts';
import { startRealNode, whyNoRealNodes, type RealNode } from '../fixtures/real-node.ts';

const impossible = await whyNoRealNodes();
/** Milliseconds after the call at which its connection ends, but for the last. A start takes 30 to 80. */
const MOMENTS = [0, 10, 20, 35, 50, 65, 80, 2_000];

describe.skipIf(impossible)('a start that is broken off', () => {
  let node: RealNode;
  beforeAll(async () => {
    node = await startRealNode('is', '10.199.1.0/24');
  });
  afterAll(async () => expect(await node.remove()).toEqual([]));

  test('at every moment of it', async () => {
    const { runtime, paths } = node.containerd;
    const runs = join(node.dir, 'runs');
    mkdirSync(runs);
    const config = node.sandbox('starts');
    const sandboxId = await runtime.runSandbox(config);
    const mounts = [{ containerPath: '/runs', hostPath: runs, readonly: false, propagation: 'private' as const }];
    const ends: ContainerStatus[] = [];
    for (const ms of MOMENTS) {
      const name = `after-${ms}`;
      appendFileSync(join(runs, name), '');
      const script = `echo ran >> /runs/${name}; sleep 1000`;
      const id = await runtime.createContainer(sandboxId, node.container(name, script, { mounts }), config);
      const asking = criRuntime({ env: realEnv(), socket: paths.socket, streamDir: node.dir });
      await asking.info();
      const answer = asking.startContainer(id).catch((error: unknown) => error);
      await delay(ms);
      asking.close();
      await answer;
      const status = async () => {
        const now = (await runtime.containerStatus(id))!;
        expect(now.state, name).not.toBe('created');
        return now;
      };
      ends.push(await vi.waitFor(status, { timeout: 10_000, interval: 10 }));
    }
    const ran = ({ name }: ContainerStatus) => readFileSync(join(runs, name), 'utf8') !== '';
    const brief = ends.map((s) => `${s.name} ${s.state} ${s.interrupted ?? false} ${ran(s)} ${s.message}`).join('\n');
    for (const one of ends) {
      if (one.interrupted) expect(ran(one), brief).toBe(false);
      else
        expect(one.state === 'running' || one.message.startsWith('failed to start containerd task'), brief).toBe(true);
    }
    expect(
      ends.some((one) => one.interrupted),
      brief,
    ).toBe(true);
    expect(ends.at(-1), brief).toMatchObject({ state: 'running' });
  });
});
