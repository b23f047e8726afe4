// What happens to containers, as containerd tells it. An exit is passed on when the task has been deleted as well, which
// containerd's interface does before it takes note of the exit: whoever asks it then need not ask twice.

import { sleep, type Env, type Timer } from '../../base/env.ts';
import { RuntimeError, type RuntimeEvent } from '../../kubelet/runtime.ts';
import { Containerd, TaskDelete, TaskEvent } from '../containerd/messages.ts';
import type { GrpcChannel } from '../rpc/grpc.ts';

export interface EventSource {
  readonly env: Env;
  readonly channel: GrpcChannel;
}

const MARK_TOPIC = '/coracle/mark';
const FILTERS = ['namespace==k8s.io,topic~="^/tasks/(exit|oom|delete)$"', `namespace==k8s.io,topic=="${MARK_TOPIC}"`];
const RECONNECT_MS = 50;
const MARK_MS = 5;
/** An exit is told without the deletion after this long. */
const DELETION_MS = 500;

interface Envelope {
  readonly topic: string;
  readonly event: { readonly value: Uint8Array } | undefined;
}

type TaskHappening = { readonly what: 'exit' | 'oom' | 'delete'; readonly containerId: string };

/** What happened to a container itself; undefined for exec processes and unknown topics. */
export function happeningOf({ topic, event }: Envelope): TaskHappening | undefined {
  const bytes = event?.value ?? new Uint8Array();
  if (topic === '/tasks/delete') {
    const { containerId, id } = TaskDelete.decode(bytes);
    return id === '' || id === containerId ? { what: 'delete', containerId } : undefined;
  }
  const { containerId, id } = TaskEvent.decode(bytes);
  if (topic === '/tasks/exit') return id === containerId ? { what: 'exit', containerId } : undefined;
  return topic === '/tasks/oom' ? { what: 'oom', containerId } : undefined;
}

/** Turns happenings into events: one for each end, of which containerd tells twice. */
class Ends {
  readonly #env: Env;
  readonly #sink: (event: RuntimeEvent) => void;
  readonly #waiting = new Map<string, Timer>();

  constructor(env: Env, sink: (event: RuntimeEvent) => void) {
    this.#env = env;
    this.#sink = sink;
  }

  note({ what, containerId }: TaskHappening): void {
    if (what === 'oom') return this.#sink({ type: 'oom', containerId });
    if (what === 'delete') return this.#tell(containerId);
    this.#waiting.get(containerId)?.cancel();
    this.#waiting.set(
      containerId,
      this.#env.clock.setTimer(DELETION_MS, () => this.#tell(containerId)),
    );
  }

  forget(): void {
    for (const timer of this.#waiting.values()) timer.cancel();
    this.#waiting.clear();
  }

  #tell(containerId: string): void {
    this.#waiting.get(containerId)?.cancel();
    this.#waiting.delete(containerId);
    this.#sink({ type: 'exited', containerId });
  }
}

/** One subscription, until it breaks or the signal aborts. It is known to work once it hears a mark published for it. */
async function subscribeOnce(
  source: EventSource,
  onMessage: (envelope: Envelope) => void,
  onOpen: () => void,
  signal: AbortSignal,
): Promise<void> {
  const open = new AbortController();
  const stopped = AbortSignal.any([signal, open.signal]);
  const subscription = source.channel.subscribe(
    Containerd.subscribe,
    { filters: FILTERS },
    (envelope) => {
      if (envelope.topic !== MARK_TOPIC) return onMessage(envelope);
      if (open.signal.aborted) return;
      open.abort();
      onOpen();
    },
    { signal },
  );
  const mark = async () => {
    for (let wait = MARK_MS; !stopped.aborted; wait *= 2) {
      const event = { typeUrl: 'containerd.events.TaskStart', value: new Uint8Array() };
      await source.channel.call(Containerd.publish, { topic: MARK_TOPIC, event }, { signal: stopped });
      await sleep(source.env, wait, { signal: stopped });
    }
  };
  // What fails here fails the subscription too, which is where it is reported.
  const marking = mark().catch(() => undefined);
  try {
    await subscription;
  } finally {
    open.abort();
    await marking;
  }
}

/** Passes events on until the signal aborts; `lost` comes first, and again after each gap. */
export async function watchEvents(
  source: EventSource,
  sink: (event: RuntimeEvent) => void,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const ends = new Ends(source.env, sink);
  const onMessage = (envelope: Envelope) => {
    const happening = happeningOf(envelope);
    if (happening) ends.note(happening);
  };
  const onOpen = () => {
    ends.forget();
    sink({ type: 'lost', containerId: '' });
  };
  while (!signal.aborted) {
    try {
      await subscribeOnce(source, onMessage, onOpen, signal);
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      source.env.log.info('lost the connection to containerd', { error: error.message });
      await sleep(source.env, RECONNECT_MS, { signal }).catch(() => undefined);
    }
  }
  ends.forget();
}
