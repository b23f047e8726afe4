// Why a container could not be started: the reason and message its status shows while it waits for the next try.

export interface RetryPlan {
  /** Milliseconds until the next try; upstream's sync period unless told. */
  readonly delay?: number;
  /** What is shown instead once `after` milliseconds have passed. */
  readonly later?: { readonly after: number; readonly reason: string; readonly message: string };
}

export class StartFailure extends Error {
  readonly reason: string;
  readonly retry: RetryPlan;

  constructor(reason: string, message: string, retry: RetryPlan = {}) {
    super(message);
    this.name = 'StartFailure';
    this.reason = reason;
    this.retry = retry;
  }
}
