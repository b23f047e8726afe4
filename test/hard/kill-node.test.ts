// The cluster's process is killed with SIGKILL at random moments, and now and then its containerd, while real containers run,
// come and go. What was healthy runs on as it was; what ended meanwhile is told as it ended; nothing is doubled or left over;
// a watch that is resumed sees every change once.
//
// CORACLE_HARD_NODE_ROUNDS (4) kills; CORACLE_HARD_SEED repeats the choices of a run.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { seededRandom } from '../../src/base/virtual-clock.ts';
import { nodeParts } from '../../src/cluster/real-node.ts';
import { findContainerds } from '../../src/host/containerd/daemon.ts';
import { containerdPaths } from '../../src/host/containerd/start.ts';
import { signalProcess } from '../../src/host/processes.ts';
import {
  canRunClusters,
  podManifest,
  startTestCluster,
  until,
  webManifest,
  type TestCluster,
} from '../support/cluster.ts';
import type { Kubectl } from '../support/kubectl.ts';
import { ApiClient, ConnectionLost } from './support/api-client.ts';
import { History, ReplayedWatch } from './support/history.ts';

const ROUNDS = Number(process.env['CORACLE_HARD_NODE_ROUNDS'] ?? 4);
const SEED = Number(process.env['CORACLE_HARD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** Every so many rounds containerd is killed as well, or alone. */
const CONTAINERD = 3;
const CHURN = 3;

interface PodSeen {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly status: {
    readonly phase: string;
    readonly containerStatuses?: readonly {
      readonly containerID: string;
      readonly ready: boolean;
      readonly restartCount: number;
      readonly state: {
        readonly running?: { readonly startedAt: string };
        readonly terminated?: { readonly exitCode: number; readonly reason: string; readonly message?: string };
      };
    }[];
  };
}

describe.skipIf(!canRunClusters)(`kill -9 beside real containers, ${ROUNDS} times, seed ${SEED}`, () => {
  let cluster: TestCluster;
  let kubectl: Kubectl;
  const random = seededRandom(SEED);
  const pick = (below: number) => Math.floor(random.next() * below);
  const history = new History(SEED);

  beforeAll(async () => {
    cluster = await startTestCluster('kn');
    kubectl = await cluster.namespace('kill');
  });
  afterAll(async () => {
    if (cluster) expect(await cluster.delete()).toEqual([]);
  });

  const containerd = () => containerdPaths(nodeParts(cluster.name, cluster.paths, cluster.network));
  const pods = async (app: string) =>
    (JSON.parse(await kubectl.ok(`get pods -l app=${app} -o json`)) as { items: PodSeen[] }).items;

  /** What of healthy pods must never change. */
  const identities = async (app: string) =>
    (await pods(app))
      .map(({ metadata, status }) => {
        const [own] = status.containerStatuses!;
        const { containerID, restartCount, state } = own!;
        return `${metadata.name} ${metadata.uid} ${containerID} ${state.running?.startedAt} restarts ${restartCount}`;
      })
      .sort();

  const healthy = async (app: string, count: number) => {
    const all = await pods(app);
    const good = all.filter((p) => !p.metadata.deletionTimestamp && p.status.containerStatuses?.every((c) => c.ready));
    return all.length === count && good.length === count;
  };

  /** Running containers and sandboxes of the namespace, as containerd has them: `uid name`. */
  const running = () => {
    const ctr = (...args: string[]) =>
      execFileSync('ctr', ['-a', containerd().socket, '-n', 'k8s.io', ...args], { encoding: 'utf8' });
    const tasks = new Map(
      ctr('tasks', 'ls')
        .split('\n')
        .slice(1)
        .map((line) => line.trim().split(/\s+/))
        .map(([id = '', , state = '']) => [id, state]),
    );
    return ctr('containers', 'ls', '-q')
      .split('\n')
      .filter((id) => tasks.get(id) === 'RUNNING')
      .flatMap((id) => {
        const { Labels: labels } = JSON.parse(ctr('containers', 'info', id)) as { Labels: Record<string, string> };
        if (labels['io.kubernetes.pod.namespace'] !== namespace()) return [];
        return [`${labels['io.kubernetes.pod.uid']} ${labels['io.kubernetes.container.name'] ?? 'sandbox'}`];
      })
      .sort();
  };
  const namespace = () => kubectlNamespace;
  let kubectlNamespace = '';

  const access = () => {
    const config = parse(readFileSync(cluster.paths.adminKubeconfig, 'utf8')) as {
      clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
      users: { user: { 'client-certificate-data': string; 'client-key-data': string } }[];
    };
    const text = (data: string) => Buffer.from(data, 'base64').toString();
    const { cluster: where } = config.clusters[0]!;
    const { user } = config.users[0]!;
    return {
      port: Number(new URL(where.server).port),
      ca: text(where['certificate-authority-data']),
      cert: text(user['client-certificate-data']),
      key: text(user['client-key-data']),
    };
  };

  /** Watches the namespace's pods from a list on, coming back each time where it was. */
  async function follow(signal: AbortSignal): Promise<{ watch: ReplayedWatch; ended: Promise<void> }> {
    const client = new ApiClient(access());
    const path = `/api/v1/namespaces/${namespace()}/pods`;
    const list = (await client.ok('GET', path)) as unknown as ConstructorParameters<typeof ReplayedWatch>[1];
    const watch = new ReplayedWatch('pods', list, history);
    const ended = (async () => {
      while (!signal.aborted) {
        try {
          const query = `?watch=true&allowWatchBookmarks=true&resourceVersion=${watch.last}`;
          const watching = await client.watch(path + query, (event) => watch.see(event));
          watch.resumed++;
          signal.addEventListener('abort', () => watching.stop(), { once: true });
          await watching.ended;
        } catch (error) {
          if (!(error instanceof ConnectionLost)) throw error;
        }
        await delay(20);
      }
      client.close();
    })();
    ended.catch(() => {});
    return { watch, ended };
  }

  async function kill(round: number): Promise<void> {
    const both = round % CONTAINERD === 0;
    if (both) for (const one of findContainerds(cluster.paths.run)) signalProcess(one, 'SIGKILL');
    if (both && pick(2)) return void history.add('killer', `round ${round}: containerd alone`);
    history.add('killer', `round ${round}${both ? ' with containerd' : ''}`);
    await cluster.kill();
    await delay(pick(1_500));
    await cluster.up();
  }

  async function oneRound(round: number): Promise<void> {
    // Ends while nobody looks, or just before, or just after. A second run would end with another code.
    const script = `echo >> /runs/all; sleep ${(pick(15) / 10).toFixed(1)}; exit $((6 + $(wc -l < /runs/all)))`;
    const manifest = podManifest(`ends-${round}`, script, {
      metadata: { labels: { app: 'ends' } },
      spec: { restartPolicy: 'Never', volumes: [{ name: 'runs', emptyDir: {} }] },
      container: { volumeMounts: [{ name: 'runs', mountPath: '/runs' }] },
    });
    await kubectl.ok('apply -f -', manifest);
    const churn = await pods('churn');
    await kubectl.ok(`delete pod ${churn[pick(churn.length)]!.metadata.name} --wait=false --ignore-not-found`);
    await delay(pick(700));
    await kill(round);
    await until(`ends-${round} is told as it ended`, async () => {
      const pod = (await pods('ends')).find(({ metadata }) => metadata.name === `ends-${round}`);
      return pod?.status.phase === 'Failed';
    });
    const pod = (await pods('ends')).find(({ metadata }) => metadata.name === `ends-${round}`)!;
    const { terminated } = pod.status.containerStatuses![0]!.state;
    // The runtime ends with us a start that we asked for. Had it a process already, that may have run: it is not run again.
    if (terminated!.message?.startsWith('failed to start containerd task')) {
      return expect(terminated).toMatchObject({ exitCode: 128, reason: 'StartError' });
    }
    expect(terminated).toMatchObject({ exitCode: 7, reason: 'Error' });
  }

  test(
    'healthy containers run on, others come and go as they should',
    { timeout: 120_000 + ROUNDS * 60_000 },
    async () => {
      kubectlNamespace = (await kubectl.ok(`get sa default -o jsonpath={.metadata.namespace}`)).trim();
      await kubectl.ok('apply -f -', webManifest('steady', { replicas: 3 }));
      await kubectl.ok('apply -f -', webManifest('churn', { replicas: CHURN }));
      for (const app of ['steady', 'churn']) await kubectl.ok(`rollout status deployment ${app} --timeout=60s`);
      const before = await identities('steady');
      const stop = new AbortController();
      const { watch, ended } = await follow(stop.signal);
      for (let round = 1; round <= ROUNDS; round++) {
        await Promise.race([oneRound(round), ended.then(() => Promise.reject(new Error('the watch ended')))]);
        expect(await identities('steady'), `after round ${round}`).toEqual(before);
      }
      await until('the other Deployment has its pods', () => healthy('churn', CHURN));
      await kubectl.ok('delete pods -l app=ends');
      const uids = [...(await pods('steady')), ...(await pods('churn'))].map((pod) => pod.metadata.uid);
      const wanted = uids.flatMap((uid) => [`${uid} sandbox`, `${uid} web`]).sort();
      await until(
        'no container is doubled or left over',
        () => JSON.stringify(running()) === JSON.stringify(wanted),
      ).catch(() => expect(running()).toEqual(wanted));
      const names = async () =>
        [...(await pods('steady')), ...(await pods('churn'))].map((pod) => pod.metadata.name).sort();
      const listed = await names();
      await until('the watch has seen it all', () => watch.objects.size === listed.length);
      expect([...watch.objects.keys()].sort()).toEqual(listed);
      expect(watch.resumed).toBeGreaterThan(ROUNDS / 2);
      stop.abort(new Error('done'));
      await ended;
      expect(await identities('steady')).toEqual(before);
    },
  );
});
