// The service proxy as a component: watches Services and EndpointSlices, plans the Services that changed, and hands the
// difference to the kernel at once. Changes that come while a transaction runs go into the next one together.

import { Node } from '../api/kinds/core/node.ts';
import { Service } from '../api/kinds/core/service.ts';
import { EndpointSlice } from '../api/kinds/discovery/endpoint-slice.ts';
import { keyOf } from '../api/object.ts';
import { sleep, type Env, type Timer } from '../base/env.ts';
import type { InformerFactory, Lister } from '../client/informer.ts';
import { FrontendClaims } from './frontend-claims.ts';
import { ProxyMetrics } from './proxy-metrics.ts';
import { proxySpans } from './proxy-spans.ts';
import { planHealthCheck, type HealthSink } from './health-checks.ts';
import { keepSlots, planService, type ProxyNode } from './plan.ts';
import { frontendKey, type Rule, type RuleChange, type RuleSink } from './rule-set.ts';

export interface ProxyOptions {
  readonly env: Env;
  readonly informers: InformerFactory;
  readonly nodeName: string;
  readonly sink: RuleSink;
  /** For Services with a `healthCheckNodePort`: without it nobody answers there. */
  readonly health?: HealthSink;
  /** Told after every transaction: how many rules there are and how long it took, in milliseconds. */
  readonly observe?: (sync: { readonly rules: number; readonly changes: number; readonly ms: number }) => void;
  /** Told whether the kernel has what it should, after every look and every failure. */
  readonly synced?: (ok: boolean) => void;
}

const BY_SERVICE = 'proxy-service';
const ZONE = 'topology.kubernetes.io/zone';
const FIRST_RETRY = 1_000;
const LAST_RETRY = 30_000;
/** The kernel's rules are put in place anew this often, should somebody else have touched them. */
const FULL_SYNC = 60 * 60_000;
/** A look this often shows whether somebody else has flushed them. */
const LOOK = 15_000;

/** Runs until the signal aborts. The rules stay: running connections must outlive a restart. */
export async function runProxy(options: ProxyOptions, { signal }: { signal: AbortSignal }): Promise<void> {
  const proxy = new ServiceProxy(options);
  await proxy.run(signal);
}

interface Sources {
  readonly services: Lister<Service>;
  readonly slices: Lister<EndpointSlice>;
}

class ServiceProxy {
  readonly #options: ProxyOptions;
  /** Service -> its rules as the kernel has them (or is about to). */
  readonly #rules = new Map<string, ReadonlyMap<string, Rule>>();
  readonly #claims = new FrontendClaims();
  readonly #metrics: ProxyMetrics | undefined;
  /** Services to plan, each with the revision that was the first to ask for it. */
  readonly #dirty = new Map<string, number>();
  #node: ProxyNode;
  #full = true;
  #look = false;
  /** How many rules `#rules` holds. */
  #count = 0;
  #wake: (() => void) | undefined;

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.#node = { name: options.nodeName };
    const { metrics } = options.env;
    this.#metrics = metrics && new ProxyMetrics(metrics, options.env);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { informers, env, nodeName } = this.#options;
    const services = informers.informer(Service);
    const slices = informers.informer(EndpointSlice);
    const nodes = informers.informer(Node, { fieldSelector: `metadata.name=${nodeName}` });
    slices.addIndex(BY_SERVICE, (slice) => serviceKeyOf(slice) ?? []);
    await Promise.all([services.synced, slices.synced, nodes.synced]);
    const stop = [
      nodes.on((node) => this.#onNode(node)),
      services.on((service, old) => {
        this.#metrics?.services.add();
        this.#touch(keyOf((service ?? old)!), services.revision);
      }),
      slices.on((slice, old) => {
        this.#metrics?.endpoints.add();
        for (const key of [...serviceKeyOf(slice), ...serviceKeyOf(old)]) this.#touch(key, slices.revision);
      }),
    ];
    signal.addEventListener('abort', () => this.#wake?.(), { once: true });
    const fullAgain = this.#every(FULL_SYNC, () => (this.#full = true), signal);
    this.#every(LOOK, () => (this.#look = true), signal);
    let retry = 0;
    while (!signal.aborted) {
      const began = this.#full;
      try {
        if (this.#look) await this.#check();
        await this.#sync({ services, slices });
        this.#options.synced?.(true);
        retry = 0;
      } catch (error) {
        this.#metrics?.failed();
        this.#options.synced?.(false);
        env.log.child('proxy').error('cannot write the Service rules', { error });
        this.#full = true;
        // What failed may be one change of something that is no longer there: all anew, at once, is the cure for that.
        if (retry || began) await sleep(env, Math.max(retry, FIRST_RETRY), { signal }).catch(() => {});
        retry = Math.min(Math.max(retry * 2, FIRST_RETRY), LAST_RETRY);
        continue;
      }
      if (began) fullAgain();
      if (this.#dirty.size === 0 && !this.#full && !this.#look && !signal.aborted)
        await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    for (const unsubscribe of stop) unsubscribe();
    await Promise.all([this.#options.sink.close(), this.#options.health?.close()]);
  }

  /** Wakes the loop at intervals of `ms` until the signal aborts; what it returns starts the interval anew. */
  #every(ms: number, due: () => void, signal: AbortSignal): () => void {
    let timer: Timer | undefined;
    const again = () => {
      timer?.cancel();
      if (signal.aborted) return;
      const end = () => {
        due();
        this.#wake?.();
        again();
      };
      timer = this.#options.env.clock.setTimer(ms, end, { unref: true });
    };
    again();
    signal.addEventListener('abort', () => timer?.cancel(), { once: true });
    return again;
  }

  async #check(): Promise<void> {
    const { env, sink } = this.#options;
    this.#look = false;
    if (await sink.intact()) return;
    env.log.child('proxy').warn('somebody else removed the Service rules: writing them anew');
    this.#full = true;
  }

  #touch(key: string, revision: number): void {
    if (!this.#dirty.has(key)) this.#dirty.set(key, revision);
    this.#metrics?.queued();
    this.#wake?.();
  }

  #again(): void {
    this.#full = true;
    this.#wake?.();
  }

  #onNode(node: Node | undefined): void {
    const zone = node?.metadata.labels?.[ZONE];
    if (zone === this.#node.zone) return;
    this.#node = { name: this.#options.nodeName, zone };
    this.#again();
  }

  async #sync(sources: Sources): Promise<void> {
    const { env, sink, observe } = this.#options;
    const began = env.clock.monotonic();
    const full = this.#full;
    const keys = full ? [...this.#rules.keys(), ...sources.services.list().map(keyOf)] : [];
    for (const key of keys) if (!this.#dirty.has(key)) this.#dirty.set(key, 0);
    const asked = new Map(this.#dirty);
    this.#full = false;
    this.#metrics?.begin();
    const changes: RuleChange[] = [];
    // Planning one Service may free a frontend that another waits for: that one is then dirty, and planned as well.
    while (this.#dirty.size) {
      const batch = [...this.#dirty.keys()];
      this.#dirty.clear();
      for (const key of batch) changes.push(...this.#plan(key, sources));
    }
    if (full) await sink.replace([...this.#rules.values()].flatMap((rules) => [...rules.values()]));
    else if (changes.length) await sink.change(merge(changes));
    else return this.#metrics?.nothing();
    this.#metrics?.done(full, env.clock.monotonic() - began);
    if (env.tracer) proxySpans(env.tracer, asked, began);
    observe?.({ rules: this.#count, changes: changes.length, ms: env.clock.monotonic() - began });
  }

  /** Plans one Service; its new rules stand in `#rules`. */
  #plan(key: string, { services, slices }: Sources): RuleChange[] {
    const before = this.#rules.get(key) ?? new Map<string, Rule>();
    const service = services.get(key);
    const own = slices.byIndex(BY_SERVICE, key);
    const planned = service ? planService(service, own, this.#node) : [];
    this.#options.health?.set(key, service && planHealthCheck(service, own, this.#node.name));
    const after = new Map<string, Rule>();
    const { owned, lost, freed } = this.#claims.claim(
      key,
      planned.map((rule) => frontendKey(rule.frontend)),
    );
    if (lost.length) this.#options.env.log.child('proxy').warn('another Service has this address', { key, lost });
    for (const waiting of freed) this.#dirty.set(waiting, 0);
    for (const rule of planned) {
      const frontend = frontendKey(rule.frontend);
      if (owned.has(frontend)) after.set(frontend, settle(rule, before.get(frontend)));
    }
    const changes: RuleChange[] = [];
    for (const [frontend, rule] of after)
      if (rule !== before.get(frontend)) changes.push({ before: before.get(frontend), after: rule });
    for (const [frontend, rule] of before) if (!after.has(frontend)) changes.push({ before: rule, after: undefined });
    this.#count += after.size - before.size;
    if (after.size) this.#rules.set(key, after);
    else this.#rules.delete(key);
    return changes;
  }
}

/** One change for each frontend: one Service may have given up what another has taken over. */
function merge(changes: readonly RuleChange[]): RuleChange[] {
  const merged = new Map<string, RuleChange>();
  for (const change of changes) {
    const frontend = frontendKey((change.after ?? change.before)!.frontend);
    const known = merged.get(frontend);
    merged.set(
      frontend,
      known ? { before: known.before ?? change.before, after: change.after ?? known.after } : change,
    );
  }
  return [...merged.values()];
}

/** The rule with its backends in the slots they had; the old value itself when nothing changed. */
function settle(rule: Rule, before: Rule | undefined): Rule {
  if (!before) return rule;
  const settled = { ...rule, backends: keepSlots(rule.backends, before.backends) };
  return JSON.stringify(settled) === JSON.stringify(before) ? before : settled;
}

function serviceKeyOf(slice: EndpointSlice | undefined): string[] {
  const name = slice?.metadata.labels?.['kubernetes.io/service-name'];
  return slice && name ? [`${slice.metadata.namespace}/${name}`] : [];
}
