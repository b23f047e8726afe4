// containerd is killed, twice in a row, while twenty pods run: what is healthy stays as it is, and what happened in between
// (exits, deletions, probes that could not be made) is known afterwards as it was.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Pod as PodObject } from '../../src/api/generated/core-v1.ts';
import { Pod } from '../../src/api/kinds/core/pod.ts';
import { signalProcess, waitForExit } from '../../src/host/processes.ts';
import { startRealKubelet, type RealKubelet } from '../fixtures/real-kubelet.ts';
import { until } from '../support/cluster.ts';

const SLEEP = 'trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done';
/** Ends once when it is told to, and writes down when. */
const onWord = (code: number) =>
  `[ -f /v/done ] && exec sleep 1000; until [ -f /v/go ]; do usleep 10000; done; date +%s > /v/done; exit ${code}`;
const VOLUME = {
  volumes: [{ name: 'v', emptyDir: {} }],
  container: { volumeMounts: [{ name: 'v', mountPath: '/v' }] },
};
const PROBED = {
  container: {
    livenessProbe: { exec: { command: ['true'] }, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 1 },
    readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 1 },
  },
};
const isReady = (pod: PodObject | undefined) =>
  pod?.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True';
const statusOf = (pod: PodObject | undefined) => pod?.status?.containerStatuses?.[0];

describe.skipIf(process.getuid?.() !== 0)('an outage of the container runtime', () => {
  let k: RealKubelet;
  beforeAll(async () => {
    k = await startRealKubelet('ro', '10.195.0.0/24');
  });
  afterAll(async () => {
    expect(await k.remove()).toEqual([]);
  });

  const inVolume = (name: string, file: string) => {
    const { uid } = k.pod(name)!.metadata;
    return join(k.rootDirectory, 'pods', uid!, 'volumes/kubernetes.io~empty-dir/v', file);
  };
  /** Seconds since the epoch at which it says it ended. */
  const endOf = (name: string) => Number(readFileSync(inVolume(name, 'done'), 'utf8'));
  const secondsOf = (time: string | undefined) => Date.parse(time ?? '') / 1000;

  test('healthy pods stay, exits and deletions meanwhile are told as they were', async () => {
    const healthy = Array.from({ length: 16 }, (_, i) => `healthy-${i}`);
    await Promise.all([
      ...healthy.map((name, i) => k.create(name, SLEEP, i % 2 ? PROBED : {})),
      k.create('over', onWord(7), { ...VOLUME, restartPolicy: 'Never' }),
      k.create('again', onWord(3), VOLUME),
      k.create('deleted', SLEEP),
      k.create('forced', SLEEP),
    ]);
    const names = [...healthy, 'over', 'again', 'deleted', 'forced'];
    await Promise.all(names.map((name) => k.until(name, isReady)));
    const before = new Map(healthy.map((name) => [name, statusOf(k.pod(name))]));

    for (const pass of ['first', 'second']) {
      const { process: containerd } = k.node.containerd.daemon;
      signalProcess(containerd, 'SIGKILL');
      expect(await waitForExit(containerd, 5000)).toBe(true);
      if (pass === 'first') {
        for (const name of ['over', 'again']) writeFileSync(inVolume(name, 'go'), '');
        await k.client.delete(Pod, { namespace: 'default', name: 'deleted' });
        await k.client.delete(Pod, { namespace: 'default', name: 'forced' }, { gracePeriodSeconds: 0 });
      }
      // The replacement, which is killed too: the next one is given a second's pause.
      await until('containerd is started again', () => k.node.containerd.daemon.process.pid !== containerd.pid);
    }

    const over = await k.until('over', (pod) => pod?.status?.phase === 'Failed');
    expect(statusOf(over)).toMatchObject({ restartCount: 0, state: { terminated: { exitCode: 7, reason: 'Error' } } });
    const ended = secondsOf(statusOf(over)?.state?.terminated?.finishedAt);
    expect(Math.abs(ended - endOf('over'))).toBeLessThanOrEqual(1);
    const again = await k.until('again', (pod) => statusOf(pod)?.restartCount === 1 && isReady(pod));
    expect(statusOf(again)?.lastState?.terminated).toMatchObject({ exitCode: 3, reason: 'Error' });
    const first = secondsOf(statusOf(again)?.lastState?.terminated?.finishedAt);
    expect(Math.abs(first - endOf('again'))).toBeLessThanOrEqual(1);
    await Promise.all(['deleted', 'forced'].map((name) => k.until(name, (pod) => pod === undefined)));
    const { runtime } = k.node.containerd;
    await expect
      .poll(async () => (await runtime.listSandboxes()).map((one) => one.pod.name).sort(), { timeout: 20_000 })
      .toEqual([...healthy, 'again', 'over'].sort());

    for (const name of healthy) {
      expect(isReady(k.pod(name))).toBe(true);
      expect(statusOf(k.pod(name))).toEqual(before.get(name));
    }
    // What happens from now on is heard again.
    await k.exec('healthy-0', 'kill', '1');
    const restarted = await k.until('healthy-0', (pod) => statusOf(pod)?.restartCount === 1 && isReady(pod));
    expect(statusOf(restarted)?.lastState?.terminated).toMatchObject({ exitCode: 0, reason: 'Completed' });
  });
});
