// Certificates that this process makes itself, kept good while it runs: looked at now and then, made anew in time.

import type { Env } from '../base/env.ts';
import type { KeyPair } from '../host/pki.ts';

/** Reading two files and comparing a date costs nothing, and a clock may be set forward. */
const CHECK = 10 * 60_000;

/**
 * Calls `use` whenever `make` gives another certificate than before, from now until the signal aborts. What fails, for
 * want of a file descriptor or of room on the disk, is tried again: the certificate at hand still holds.
 */
export function keepRenewed(
  {
    env,
    what,
    make,
    use,
  }: {
    readonly env: Env;
    /** For the log. */
    readonly what: string;
    readonly make: () => KeyPair;
    readonly use: (pair: KeyPair) => void | Promise<void>;
  },
  current: KeyPair,
  { signal }: { signal: AbortSignal },
): void {
  let last = current.cert;
  const check = async () => {
    const pair = make();
    if (pair.cert === last) return;
    await use(pair);
    last = pair.cert;
    env.log.info('certificate renewed', { what });
  };
  const later = () => {
    const timer = env.clock.setTimer(
      CHECK,
      () => {
        signal.removeEventListener('abort', timer.cancel);
        check()
          .catch((error: unknown) => env.log.warn('cannot renew a certificate, trying again', { what, error }))
          .finally(() => !signal.aborted && later());
      },
      { unref: true },
    );
    signal.addEventListener('abort', timer.cancel, { once: true });
  };
  if (!signal.aborted) later();
}
