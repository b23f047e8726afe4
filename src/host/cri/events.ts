// What happens to containers, as containerd tells it. An exit is passed on only once the runtime interface shows it, for
// containerd publishes the event a moment before its own interface has taken note.

import { sleep, type Env } from '../../base/env.ts';
import { RuntimeError, type RuntimeEvent } from '../../kubelet/runtime.ts';
import { Containerd, TaskDelete, TaskEvent } from '../containerd/messages.ts';
import type { GrpcChannel } from '../rpc/grpc.ts';

export interface EventSource {
  readonly env: Env;
  readonly channel: GrpcChannel;
  /** Whether the interface already knows that the container or sandbox is gone. */
  hasExited(id: string): Promise<boolean>;
}

const MARK_TOPIC = '/coracle/mark';
const FILTERS = [
  'namespace==k8s.io,topic~="^/tasks/(create|start|exit|oom|delete)$"',
  `namespace==k8s.io,topic=="${MARK_TOPIC}"`,
];
const RECONNECT_MS = 50;
const MARK_MS = 5;
const EXIT_VISIBLE_MS = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

interface Envelope {
  readonly topic: string;
  readonly event: { readonly value: Uint8Array } | undefined;
}

/** The event an envelope stands for; undefined for those of exec processes and unknown topics. */
export function eventOf({ topic, event }: Envelope): RuntimeEvent | undefined {
  const bytes = event?.value ?? new Uint8Array();
  if (topic === '/tasks/delete') {
    const { containerId, id } = TaskDelete.decode(bytes);
    return id === '' || id === containerId ? { type: 'deleted', containerId } : undefined;
  }
  const { containerId, id } = TaskEvent.decode(bytes);
  if (topic === '/tasks/exit') return id === containerId ? { type: 'exited', containerId } : undefined;
  if (topic === '/tasks/create') return { type: 'created', containerId };
  if (topic === '/tasks/start') return { type: 'started', containerId };
  return topic === '/tasks/oom' ? { type: 'oom', containerId } : undefined;
}

async function whenExitIsVisible(source: EventSource, id: string, signal: AbortSignal): Promise<void> {
  for (const ms of EXIT_VISIBLE_MS) {
    if (ms > 0) await sleep(source.env, ms, { signal });
    if (await source.hasExited(id)) return;
  }
  source.env.log.warn('an exit did not show up in the runtime interface', { containerId: id });
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
  const onMessage = (envelope: Envelope) => {
    const event = eventOf(envelope);
    if (!event) return;
    if (event.type !== 'exited') return sink(event);
    whenExitIsVisible(source, event.containerId, signal).then(
      () => sink(event),
      (error: unknown) => {
        if (signal.aborted) return;
        source.env.log.debug('cannot see whether a container exited', { error });
        sink(event);
      },
    );
  };
  const onOpen = () => sink({ type: 'lost', containerId: '' });
  while (!signal.aborted) {
    try {
      await subscribeOnce(source, onMessage, onOpen, signal);
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      source.env.log.info('lost the connection to containerd', { error: error.message });
      await sleep(source.env, RECONNECT_MS, { signal }).catch(() => undefined);
    }
  }
}
