// Listening to a signal that many listen to. One listener on the signal itself stands for all of them: a component's signal
// has hundreds of waiters, an EventTarget looks through all of its listeners to add or remove one, and some runtimes take
// more than ten for a leak and say so.

const listening = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `fn` once when the signal aborts, in the order of registration; never for one that has aborted already. The answer
 * takes it back; doing so twice, or afterwards, does nothing. Each registration needs a function of its own.
 */
export function onAbort(signal: AbortSignal, fn: () => void): () => void {
  if (signal.aborted) return () => {};
  let all = listening.get(signal);
  if (!all) {
    listening.set(signal, (all = new Set()));
    signal.addEventListener('abort', () => callAll(signal), { once: true });
  }
  all.add(fn);
  return () => void all.delete(fn);
}

/** Resolves when the signal aborts, at once when it has aborted already. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else onAbort(signal, () => resolve());
  });
}

function callAll(signal: AbortSignal): void {
  const all = listening.get(signal)!;
  for (const fn of all) {
    try {
      fn();
    } catch (error) {
      // As an EventTarget does: the others are called, and the error is nobody's to catch.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
  all.clear();
}
