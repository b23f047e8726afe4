// Probes, hooks, and what goes wrong with containers, sandboxes and events, in virtual time.

import { afterEach, describe, expect, it } from 'vitest';
import { Pod } from '../api/kinds/core/pod.ts';
import { closeNodes, node, acting, SECOND, conditionsOf, remove, started } from '../cluster/test-pods.ts';

afterEach(closeNodes);

describe('probes', () => {
  const probe = (more = {}) => ({ exec: { command: ['check'] }, periodSeconds: 1, ...more });

  it('readiness comes and goes at once, without restarts', async () => {
    let healthy = true;
    const n = await node(acting({ c: { exec: () => ({ exitCode: healthy ? 0 : 1, output: 'no' }) } }));
    await n.create({
      name: 'p',
      containers: [{ readinessProbe: probe({ initialDelaySeconds: 2, failureThreshold: 2 }) }],
    });
    await n.settle(1500);
    expect((await n.pod('p'))?.status?.containerStatuses?.[0]).toMatchObject({ ready: false, started: true });
    expect((await n.pod('p'))?.status?.conditions?.find((c) => c.type === 'Ready')).toMatchObject({
      reason: 'ContainersNotReady',
      message: 'containers with unready status: [c]',
    });
    await n.settle(600);
    expect(conditionsOf(await n.pod('p'))).toContain('Ready=True');
    healthy = false;
    await n.settle(2 * SECOND);
    expect(conditionsOf(await n.pod('p'))).toContain('Ready=False(ContainersNotReady)');
    expect(n.events.filter((e) => e.startsWith('Unhealthy'))[0]).toBe('Unhealthy: Readiness probe failed: no');
    expect(started(n)).toEqual(['c#0']);
  });

  it('liveness kills and restarts, with its own grace', async () => {
    const n = await node(
      acting({ c: { stopAfter: 600 * SECOND, exec: (_, since) => ({ exitCode: since > 3 * SECOND ? 1 : 0 }) } }),
    );
    const livenessProbe = probe({ failureThreshold: 2, terminationGracePeriodSeconds: 5 });
    await n.create({ name: 'p', containers: [{ livenessProbe }] });
    await n.settle(7 * SECOND);
    expect(n.events).toContain('Killing: Container c failed liveness probe, will be restarted');
    expect(started(n)).toEqual(['c#0']);
    await n.settle(4 * SECOND);
    expect(started(n)).toEqual(['c#0', 'c#1']);
    expect((await n.pod('p'))?.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { exitCode: 137 } },
    });
  });

  it('nothing else is probed before the startup probe has succeeded', async () => {
    const n = await node(
      acting({ c: { exec: ([command], since) => ({ exitCode: command === 'boot' && since < 3 * SECOND ? 1 : 0 }) } }),
    );
    await n.create({
      name: 'p',
      containers: [
        {
          startupProbe: { exec: { command: ['boot'] }, periodSeconds: 1, failureThreshold: 30 },
          livenessProbe: probe(),
          readinessProbe: probe(),
        },
      ],
    });
    await n.settle(2500);
    expect(n.runtime.calls).not.toContain('execSync check');
    expect((await n.pod('p'))?.status?.containerStatuses?.[0]).toMatchObject({ started: false, ready: false });
    await n.settle(SECOND);
    expect((await n.pod('p'))?.status?.containerStatuses?.[0]).toMatchObject({ started: true, ready: true });
  });

  it('a probe that takes too long failed; one that cannot be made says nothing', async () => {
    const n = await node(acting({ c: { exec: () => ({ delay: 5 * SECOND }) } }));
    await n.create({ name: 'slow', containers: [{ readinessProbe: probe() }] });
    await n.create({ name: 'odd', containers: [{ readinessProbe: { httpGet: { port: 'nope' } } }] });
    await n.settle(3 * SECOND);
    expect(n.events).toContain('Unhealthy: Readiness probe failed: command timed out: "check" timed out after 1s');
    expect(n.events).toContain(
      'Unhealthy: Readiness probe errored and resulted in unknown state: strconv.Atoi: parsing "nope": invalid syntax',
    );
  });

  it('readiness gates hold the pod back until somebody sets them', async () => {
    const n = await node();
    await n.create({ name: 'p', readinessGates: [{ conditionType: 'x.io/ok' }] });
    await n.settle(SECOND);
    const pod = (await n.pod('p'))!;
    expect(conditionsOf(pod)).toContain('Ready=False(ReadinessGatesNotReady)');
    expect(conditionsOf(pod)).toContain('ContainersReady=True');
    const conditions = [...pod.status!.conditions!, { type: 'x.io/ok', status: 'True' }];
    await n.client.update(Pod, { ...pod, status: { ...pod.status, conditions } }, { subresource: 'status' });
    await n.settle(SECOND);
    expect(conditionsOf(await n.pod('p'))).toContain('Ready=True');
    expect(conditionsOf(await n.pod('p'))).toContain('x.io/ok=True');
  });
});

describe('hooks', () => {
  it('postStart holds the container back, and kills it when it fails', async () => {
    let hooks = 0;
    const n = await node(acting({ c: { exec: () => (++hooks === 1 ? { delay: 2 * SECOND } : { exitCode: 1 }) } }));
    const lifecycle = { postStart: { exec: { command: ['hook'] } } };
    await n.create({ name: 'good', containers: [{ lifecycle }] });
    await n.settle(SECOND);
    expect((await n.pod('good'))?.status?.phase).toBe('Pending');
    await n.settle(2 * SECOND);
    expect((await n.pod('good'))?.status?.phase).toBe('Running');
    await n.create({ name: 'bad', containers: [{ lifecycle }] });
    await n.settle(SECOND);
    expect(n.events).toContain('FailedPostStartHook: PostStartHook failed');
    expect((await n.pod('bad'))?.status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe('PostStartHookError');
  });

  it('preStop runs within the grace; its failure is told', async () => {
    const n = await node(acting({ c: { stopAfter: 60 * SECOND, exec: () => ({ delay: 4 * SECOND, exitCode: 1 }) } }));
    const lifecycle = { preStop: { exec: { command: ['bye'] } } };
    await n.create({ name: 'p', terminationGracePeriodSeconds: 10, containers: [{ lifecycle }] });
    await n.settle(SECOND);
    await remove(n, 'p');
    await n.settle(5 * SECOND);
    expect(n.events).toContain('FailedPreStopHook: PreStopHook failed');
    expect(n.runtime.calls.at(-1)).toMatch(/^stopContainer \w+ 6s$/);
    await n.settle(6 * SECOND);
    expect(await n.pod('p')).toBeUndefined();
  });
});

describe('trouble', () => {
  it('a killed pause process: the sandbox is made anew', async () => {
    const n = await node();
    await n.create({ name: 'p' });
    await n.settle(SECOND);
    const [sandbox] = await n.runtime.listSandboxes();
    n.runtime.killSandbox(sandbox!.id);
    await n.settle(2 * SECOND);
    expect(n.events).toContain('SandboxChanged: Pod sandbox changed, it will be killed and re-created.');
    const pod = await n.pod('p');
    expect(pod?.status).toMatchObject({ phase: 'Running', podIP: '10.64.0.2' });
    expect(pod?.status?.containerStatuses?.[0]?.restartCount).toBe(1);
  });

  it('an OOM kill shows as such', async () => {
    const n = await node();
    await n.create({ name: 'p' });
    await n.settle(SECOND);
    const [container] = await n.runtime.listContainers();
    n.runtime.crash(container!.id, 137, 'OOMKilled');
    await n.settle(100);
    expect((await n.pod('p'))?.status?.containerStatuses?.[0]?.lastState?.terminated?.reason).toBe('OOMKilled');
  });

  it('the deadline of a pod fails it', async () => {
    const n = await node(acting({ c: { stopAfter: 3 * SECOND } }));
    await n.create({ name: 'p', activeDeadlineSeconds: 10 });
    await n.settle(11 * SECOND);
    expect((await n.pod('p'))?.status?.phase).toBe('Running');
    await n.settle(3 * SECOND);
    expect((await n.pod('p'))?.status).toMatchObject({
      phase: 'Failed',
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    });
  });

  it.each([
    [
      { containers: [{ resources: { requests: { cpu: '64' } } }] },
      'OutOfcpu',
      /requested: 64000, used: 0, capacity: 32000/,
    ],
    [{ nodeSelector: { disk: 'ssd' } }, 'NodeAffinity', /didn't match Pod's node affinity/],
    [{ containers: [{ ports: [{ containerPort: 80, hostPort: 80 }] }] }, 'NodePorts', /free ports/],
    [{ securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } }, 'SysctlForbidden', /not allowlisted/],
  ])('%j is rejected: %s', async (spec, reason, message) => {
    const n = await node();
    await n.create({ name: 'first', containers: [{ ports: [{ containerPort: 80, hostPort: 80, protocol: 'TCP' }] }] });
    await n.settle(10);
    await n.create({ name: 'p', ...(spec as object) });
    await n.settle(SECOND);
    const pod = await n.pod('p');
    expect(pod?.status).toMatchObject({ phase: 'Failed', reason });
    expect(pod?.status?.message).toMatch(message);
    await remove(n, 'p');
    await n.settle(SECOND);
    expect(await n.pod('p')).toBeUndefined();
  });

  it('a failing sandbox is told of and tried again', async () => {
    const n = await node();
    n.runtime.runSandbox = (
      (original) => (config) =>
        n.server.clock.monotonic() < 3 * SECOND ? Promise.reject(new Error('no network')) : original(config)
    )(n.runtime.runSandbox.bind(n.runtime));
    await n.create({ name: 'p' });
    await n.settle(8 * SECOND);
    expect(n.events).toContain('FailedCreatePodSandBox: Failed to create pod sandbox: no network');
    expect((await n.pod('p'))?.status?.phase).toBe('Running');
  });

  it('an exit is seen even while an older answer is under way', async () => {
    const n = await node();
    const slow = n.runtime as unknown as { containerStatus: (id: string) => Promise<unknown> };
    const original = slow.containerStatus.bind(n.runtime);
    let first = true;
    slow.containerStatus = async (id) => {
      const answer = await original(id);
      if (!first) return answer;
      first = false;
      // It ends right after the runtime has said that it runs.
      n.runtime.crash(id, 3);
      await new Promise<void>((resolve) => void n.server.clock.setTimer(SECOND, resolve));
      return answer;
    };
    await n.create({ name: 'p', restartPolicy: 'Never' });
    await n.settle(3 * SECOND);
    expect((await n.pod('p'))?.status).toMatchObject({
      phase: 'Failed',
      containerStatuses: [{ state: { terminated: { exitCode: 3 } } }],
    });
  });

  it('events that were missed are made up for by listing', async () => {
    const n = await node();
    await n.create({ name: 'p', restartPolicy: 'Never' });
    await n.settle(SECOND);
    const [container] = await n.runtime.listContainers();
    const silent = n.runtime as unknown as { containerStatus: (id: string) => Promise<unknown> };
    const original = silent.containerStatus;
    silent.containerStatus = async () => container;
    n.runtime.crash(container!.id, 0, 'Completed');
    await n.settle(5 * SECOND);
    expect((await n.pod('p'))?.status?.phase).toBe('Running');
    silent.containerStatus = original;
    n.runtime.lose();
    await n.settle(SECOND);
    expect((await n.pod('p'))?.status?.phase).toBe('Succeeded');
  });
});
