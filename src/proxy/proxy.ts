// The service proxy as a component: watches Services and EndpointSlices, plans the Services that changed, and hands the
// difference to the kernel at once. Changes that come while a transaction runs go into the next one together.

import { Service } from '../api/kinds/core/service.ts';
import { EndpointSlice } from '../api/kinds/discovery/endpoint-slice.ts';
import { keyOf } from '../api/object.ts';
import { sleep, type Env } from '../base/env.ts';
import type { InformerFactory, Lister } from '../client/informer.ts';
import { keepSlots, planService } from './plan.ts';
import { frontendKey, type Rule, type RuleChange, type RuleSink } from './rule-set.ts';

export interface ProxyOptions {
  readonly env: Env;
  readonly informers: InformerFactory;
  readonly nodeName: string;
  readonly sink: RuleSink;
  /** Told after every transaction: how many rules there are and how long it took, in milliseconds. */
  readonly observe?: (sync: { readonly rules: number; readonly changes: number; readonly ms: number }) => void;
}

const BY_SERVICE = 'proxy-service';
const RETRY = 1_000;
/** The kernel's rules are put in place anew this often, should somebody else have touched them. */
const FULL_SYNC = 60 * 60_000;

/** Runs until the signal aborts. The rules stay: running connections must outlive a restart. */
export async function runProxy(options: ProxyOptions, { signal }: { signal: AbortSignal }): Promise<void> {
  const proxy = new ServiceProxy(options);
  await proxy.run(signal);
}

class ServiceProxy {
  readonly #options: ProxyOptions;
  /** Service -> its rules as the kernel has them (or is about to). */
  readonly #rules = new Map<string, ReadonlyMap<string, Rule>>();
  readonly #dirty = new Set<string>();
  #wake: (() => void) | undefined;

  constructor(options: ProxyOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { informers, env } = this.#options;
    const log = env.log.child('proxy');
    const services = informers.informer(Service);
    const slices = informers.informer(EndpointSlice);
    slices.addIndex(BY_SERVICE, (slice) => serviceKeyOf(slice) ?? []);
    await Promise.all([services.synced, slices.synced]);
    const stop = [
      services.on((service, old) => this.#touch(keyOf((service ?? old)!))),
      slices.on((slice, old) => {
        for (const key of [...serviceKeyOf(slice), ...serviceKeyOf(old)]) this.#touch(key);
      }),
    ];
    signal.addEventListener('abort', () => this.#wake?.(), { once: true });
    let full = true;
    let nextFull = 0;
    while (!signal.aborted) {
      if (env.clock.monotonic() >= nextFull) full = true;
      try {
        await this.#sync(full, services, slices);
        if (full) nextFull = env.clock.monotonic() + FULL_SYNC;
        full = false;
      } catch (error) {
        log.error('cannot write the Service rules', { error });
        full = true;
        await sleep(env, RETRY, { signal }).catch(() => {});
        continue;
      }
      if (this.#dirty.size === 0 && !signal.aborted) await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    for (const unsubscribe of stop) unsubscribe();
  }

  #touch(key: string): void {
    this.#dirty.add(key);
    this.#wake?.();
  }

  async #sync(full: boolean, services: Lister<Service>, slices: Lister<EndpointSlice>): Promise<void> {
    const { env, sink, observe, nodeName } = this.#options;
    const began = env.clock.monotonic();
    const changes: RuleChange[] = [];
    const keys = full
      ? new Set([...this.#dirty, ...this.#rules.keys(), ...services.list().map(keyOf)])
      : new Set(this.#dirty);
    this.#dirty.clear();
    for (const key of keys) {
      const before = this.#rules.get(key) ?? new Map<string, Rule>();
      const service = services.get(key);
      const planned = service ? planService(service, slices.byIndex(BY_SERVICE, key), nodeName) : [];
      const after = new Map(
        planned.map((rule) => [frontendKey(rule.frontend), settle(rule, before.get(frontendKey(rule.frontend)))]),
      );
      for (const [frontend, rule] of after)
        if (rule !== before.get(frontend)) changes.push({ before: before.get(frontend), after: rule });
      for (const [frontend, rule] of before) if (!after.has(frontend)) changes.push({ before: rule, after: undefined });
      if (after.size) this.#rules.set(key, after);
      else this.#rules.delete(key);
    }
    if (full) await sink.replace([...this.#rules.values()].flatMap((rules) => [...rules.values()]));
    else if (changes.length) await sink.change(changes);
    else return;
    observe?.({ rules: this.#rules.size, changes: changes.length, ms: env.clock.monotonic() - began });
  }
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
