// A control plane with thousands of Services, their pods, and a proxy on a real table: what the endpoint benchmark asks.

import { execFileSync } from 'node:child_process';
import type { Pod as PodObject } from '../../src/api/generated/core-v1.ts';
import { Node } from '../../src/api/kinds/core/node.ts';
import { Pod } from '../../src/api/kinds/core/pod.ts';
import { Service } from '../../src/api/kinds/core/service.ts';
import { EndpointSlice } from '../../src/api/kinds/discovery/endpoint-slice.ts';
import { createLogger } from '../../src/base/log.ts';
import { realEnv } from '../../src/base/real-env.ts';
import type { Client } from '../../src/client/client.ts';
import { createInformerFactory } from '../../src/client/create-informer.ts';
import { createControlPlane, type ControlPlane } from '../../src/cluster/control-plane.ts';
import { LOOPBACK, nodeUser, PROXY } from '../../src/cluster/identities.ts';
import { logSink } from '../../src/host/log-sink.ts';
import { NftablesSink } from '../../src/host/nftables.ts';
import { runProxy } from '../../src/proxy/proxy.ts';
import type { Rule, RuleChange, RuleSink } from '../../src/proxy/rule-set.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { backends, sleep, TABLE } from './measure.ts';

const namespace = 'default';
const NODES = 20;
const CONTROLLERS =
  'namespace-controller,service-account-controller,endpointslice-controller,endpoint-controller,endpointslicemirroring-controller';

/** When each hop was behind, in milliseconds of `performance.now()`. */
export interface Stamps {
  readonly began: number;
  readonly written: number;
  readonly slice: number;
  readonly planned: number;
  readonly kernel: number;
}

const podName = (service: number, i: number) => `pod-${service}-${i}`;
const podIp = (n: number) => `10.${64 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;

export class EndpointsWorld implements AsyncDisposable {
  readonly #plane: ControlPlane;
  readonly #client: Client;
  readonly #kubelets: readonly Client[];
  readonly #netns: string;
  readonly #services: number;
  readonly #stop = new AbortController();
  readonly #env = realEnv(createLogger({ level: 'warn', sink: logSink(2, 'text') }));
  #running: Promise<unknown>[] = [];
  #slice = 0;
  #planned = 0;
  #kernel = 0;
  /** Rules written, by the address of their Service. */
  readonly #waiting = new Map<string, (rule: Rule | undefined) => void>();
  #replaced = () => {};
  #seed = 1;
  #made = 0;
  readonly kernelTimes: number[] = [];
  tookToFill = 0;

  static async start(options: { netns: string; services: number }): Promise<EndpointsWorld> {
    const world = new EndpointsWorld(options);
    await world.#fill();
    return world;
  }

  private constructor({ netns, services }: { netns: string; services: number }) {
    this.#netns = netns;
    this.#services = services;
    this.#plane = createControlPlane({
      env: this.#env,
      store: new MemoryStore(),
      selectControllers: CONTROLLERS,
    });
    this.#client = this.#plane.clientOf(LOOPBACK, 'bench');
    this.#kubelets = Array.from({ length: NODES }, (_, i) => this.#plane.clientOf(nodeUser(`node-${i}`), 'kubelet'));
  }

  /** The same numbers in every run. */
  random(below: number): number {
    this.#seed = (Math.imul(this.#seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return this.#seed % below;
  }

  async #fill(): Promise<void> {
    await this.#plane.bootstrap();
    const { signal } = this.#stop;
    this.#running.push(this.#plane.runControllers({ signal }));
    for (let i = 0; i < NODES; i++) await this.#client.create(Node, { metadata: { name: `node-${i}` } } as never);
    await sleep(500);
    const began = performance.now();
    const each = async (i: number) => {
      for (const k of [0, 1]) await this.#createPod(i, k);
      await this.#client.create(Service, this.#service(`svc-${i}`, i) as never);
    };
    let next = 0;
    const worker = async () => {
      while (next < this.#services) await each(next++);
    };
    await Promise.all(Array.from({ length: 32 }, worker));
    for (;;) {
      const { items } = await this.#client.list(EndpointSlice, {});
      const full = items.filter((slice) => slice.endpoints?.length === 2 && slice.endpoints[1]!.conditions?.ready);
      if (full.length >= this.#services) break;
      await sleep(200);
    }
    this.tookToFill = performance.now() - began;
  }

  #service(name: string, i: number) {
    return {
      metadata: { namespace, name },
      spec: { selector: { app: `app-${i}` }, ports: [{ port: 80, targetPort: 8080 }] },
    };
  }

  async #createPod(service: number, i: number): Promise<void> {
    const n = service * 2 + i;
    const pod = await this.#client.create(Pod, {
      metadata: { namespace, name: podName(service, i), labels: { app: `app-${service}`, tier: 'web' } },
      spec: { nodeName: `node-${n % NODES}`, containers: [{ name: 'c', image: 'app:1' }] },
    } as never);
    await this.#write(pod, true, podIp(n));
  }

  /** As the kubelet's status writer does. */
  #write(pod: PodObject, ready: boolean, ip: string): Promise<PodObject> {
    const lastTransitionTime = new Date().toISOString().replace(/\.\d+/, '');
    const conditions = ['Ready', 'ContainersReady'].map((type) => ({
      type,
      status: ready ? 'True' : 'False',
      lastTransitionTime,
    }));
    const status = { ...pod.status, phase: 'Running', conditions, podIP: ip, podIPs: [{ ip }], hostIP: '192.0.2.1' };
    const kubelet = this.#kubelets[Number(pod.spec.nodeName!.slice(5))]!;
    return kubelet.update(Pod, { ...pod, status } as PodObject, { subresource: 'status' });
  }

  /** Resolves to the milliseconds until all rules are in the kernel. */
  async startProxy(): Promise<number> {
    const { signal } = this.#stop;
    const informers = createInformerFactory(
      { client: this.#plane.clientOf(PROXY, 'kube-proxy'), env: this.#env },
      { signal },
    );
    const began = performance.now();
    const done = new Promise<void>((resolve) => (this.#replaced = resolve));
    this.#running.push(runProxy({ env: this.#env, informers, nodeName: 'node-0', sink: this.#sink() }, { signal }));
    await done;
    const took = performance.now() - began;
    informers.informer(EndpointSlice).on(() => (this.#slice = performance.now()));
    return took;
  }

  #sink(): RuleSink {
    const real = new NftablesSink({
      table: TABLE,
      podCidr: '10.64.0.0/11',
      serviceCidr: '10.96.0.0/12',
      netns: this.#netns,
    });
    const timed = async <T>(work: () => Promise<T>): Promise<T> => {
      this.#planned = performance.now();
      const result = await work();
      this.#kernel = performance.now();
      this.kernelTimes.push(this.#kernel - this.#planned);
      return result;
    };
    return {
      intact: () => real.intact(),
      close: () => real.close(),
      replace: async (rules) => {
        await timed(() => real.replace(rules));
        this.#replaced();
      },
      change: async (changes: readonly RuleChange[]) => {
        await timed(() => real.change(changes));
        for (const { before, after } of changes) {
          const ip = (after ?? before)!.frontend.ip;
          if (ip) this.#waiting.get(ip)?.(after);
        }
      },
    };
  }

  #ruleOf(ip: string, good: (rule: Rule | undefined) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.set(ip, (rule) => {
        if (!good(rule)) return;
        this.#waiting.delete(ip);
        resolve();
      });
    });
  }

  async #prepared(service: number) {
    const { spec } = await this.#client.get(Service, { namespace, name: `svc-${service}` });
    const pod = await this.#client.get(Pod, { namespace, name: podName(service, 1) });
    const ready = pod.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True';
    return { ip: spec.clusterIP!, pod, ready };
  }

  /** Turns the readiness of one pod of the Service. */
  async flip(service: number): Promise<Stamps> {
    const { ip, pod, ready } = await this.#prepared(service);
    const done = this.#ruleOf(ip, (rule) => rule?.backends.length === (ready ? 1 : 2));
    const began = performance.now();
    await this.#write(pod, !ready, pod.status!.podIP!);
    const written = performance.now();
    await done;
    return { began, written, slice: this.#slice, planned: this.#planned, kernel: this.#kernel };
  }

  /** Milliseconds until the last of the pods of this many Services is in the kernel, all turned at once. */
  async flipMany(count: number): Promise<number> {
    const chosen = new Set<number>();
    while (chosen.size < count) chosen.add(this.random(this.#services));
    const prepared = await Promise.all([...chosen].map((service) => this.#prepared(service)));
    const began = performance.now();
    const done = prepared.map(({ ip, ready }) => this.#ruleOf(ip, (rule) => rule?.backends.length === (ready ? 1 : 2)));
    await Promise.all(prepared.map(({ pod, ready }) => this.#write(pod, !ready, pod.status!.podIP!)));
    await Promise.all(done);
    return performance.now() - began;
  }

  /** Milliseconds from the request to create a Service over two pods until it leads to them. */
  async createService(): Promise<number> {
    // The first addresses of the range are not given out by themselves.
    const n = this.#made++;
    const ip = `10.96.0.${n + 20}`;
    const service = this.random(this.#services);
    const made = this.#service(`more-${n}`, service);
    const done = this.#ruleOf(ip, (rule) => (rule?.backends.length ?? 0) > 0);
    const began = performance.now();
    await this.#client.create(Service, { ...made, spec: { ...made.spec, clusterIP: ip } } as never);
    await done;
    return performance.now() - began;
  }

  /** Milliseconds until everything is back that somebody else has flushed. */
  async flush(): Promise<number> {
    const done = new Promise<void>((resolve) => (this.#replaced = resolve));
    execFileSync('nsenter', [`--net=${this.#netns}`, 'nft', 'flush', 'ruleset']);
    const began = performance.now();
    await done;
    return performance.now() - began;
  }

  /** How many elements of the kernel's map are missing, too many or wrong, by the API's EndpointSlices. */
  async differences(): Promise<number> {
    await sleep(1_000);
    const wanted = new Map<string, Set<string>>();
    const services = new Map((await this.#client.list(Service, {})).items.map((s) => [s.metadata.name, s]));
    for (const slice of (await this.#client.list(EndpointSlice, {})).items) {
      const ip = services.get(slice.metadata.labels!['kubernetes.io/service-name']!)?.spec.clusterIP;
      const ready = slice.endpoints?.filter((e) => e.conditions?.ready) ?? [];
      if (ip) wanted.set(ip, new Set(ready.map((e) => `${e.addresses[0]} . 8080`)));
    }
    let wrong = 0;
    const seen = new Map<string, number>();
    for (const [key, to] of backends(this.#netns)) {
      const ip = key.split(' . ')[0]!;
      seen.set(ip, (seen.get(ip) ?? 0) + 1);
      if (!wanted.get(ip)?.has(to)) wrong++;
    }
    for (const [ip, targets] of wanted) if ((seen.get(ip) ?? 0) !== targets.size) wrong++;
    return wrong;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the benchmark is over'));
    await Promise.allSettled(this.#running);
    this.#plane.close();
  }
}
