// The cgroups above the pods': best-effort pods share what the others leave, burstable ones weigh what they ask for.
// https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/

import type { Pod } from '../api/kinds/core/pod.ts';
import type { NodeContext } from './node-context.ts';
import { qosClassOf } from './pod-spec.ts';
import { cpuShares, podTotals } from './resources.ts';

const PERIOD = 100_000;
/** A burst of pods leads to one write. */
const SETTLE = 500;

export class QosCgroups {
  readonly #node: NodeContext;
  readonly #pods: () => readonly Pod[];
  #burstable = -1;
  #waiting = false;

  constructor(node: NodeContext, pods: () => readonly Pod[]) {
    this.#node = node;
    this.#pods = pods;
  }

  async begin(): Promise<void> {
    const { host, config } = this.#node;
    if (!config.manageCgroups) return;
    await host.cgroups.apply(`${config.cgroupRoot}/besteffort`, { cpuShares: cpuShares(0), cpuPeriod: PERIOD });
    await this.#apply();
  }

  /** Pods came or went. */
  changed(): void {
    const { env, config, signal } = this.#node;
    if (this.#waiting || !config.manageCgroups) return;
    this.#waiting = true;
    env.clock.setTimer(
      SETTLE,
      () => {
        this.#waiting = false;
        if (signal.aborted) return;
        this.#apply().catch((error: unknown) => env.log.warn('cannot weigh burstable pods', { error }));
      },
      { unref: true },
    );
  }

  async #apply(): Promise<void> {
    const { host, config } = this.#node;
    const burstable = this.#pods().filter((pod) => qosClassOf(pod) === 'Burstable');
    const milli = burstable.reduce((sum, pod) => sum + (podTotals(pod, 'requests')['cpu']?.milliValue ?? 0), 0);
    if (milli === this.#burstable) return;
    this.#burstable = milli;
    await host.cgroups.apply(`${config.cgroupRoot}/burstable`, { cpuShares: cpuShares(milli), cpuPeriod: PERIOD });
  }
}
