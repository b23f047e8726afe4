// What can go wrong, one value each. A fault says how it is drawn and what it does to the world; those of messages are
// armed on a line and strike the next message they fit.

import type { ApiOp, NoUser } from '../../src/api/op.ts';
import { components } from './components.ts';
import type { Deed, DeedKind, Draw } from './history.ts';
import { LOST, type Armed } from './link.ts';
import type { World } from './world.ts';

export interface Fault extends DeedKind {
  run(world: World, deed: Deed): void | Promise<void>;
}

/** Components that write most are struck most. */
const WHO = ['manager-1', 'manager-1', 'manager-1', 'scheduler', 'node-1', 'node-2', 'user', 'user'];
const who = (draw: Draw) => ({ of: draw.of(WHO) });
const VERBS = ['create', 'update', 'patch', 'delete', 'write', 'any'];
const READS: ReadonlySet<string> = new Set(['get', 'list', 'watch']);

function fits(verb: string): (op: NoUser<ApiOp>) => boolean {
  if (verb === 'any') return (op) => op.verb !== 'watch';
  if (verb === 'write') return (op) => !READS.has(op.verb);
  return (op) => op.verb === verb;
}

/** Milliseconds that a message may be under way. */
export const LONGEST_DELAY = 10_000;

function linkOf(world: World, name: string) {
  return name === 'user' ? world.userLink : world.processes.get(name)?.link;
}

/** A fault of the next messages of one component. */
function message(
  name: string,
  strike: (deed: Deed) => Armed['strike'],
  more: (draw: Draw) => Readonly<Record<string, number | string>> = () => ({}),
): Fault {
  return {
    name,
    weight: 3,
    draw: (draw) => ({ ...who(draw), verb: draw.of(VERBS), times: draw.of([1, 1, 1, 2, 5]), ...more(draw) }),
    run(world, deed) {
      const armed: Armed = {
        name,
        left: deed['times'] as number,
        fits: fits(deed['verb'] as string),
        strike: strike(deed),
      };
      linkOf(world, deed['of'] as string)?.armed.push(armed);
    },
  };
}

const delayRequest = message(
  'delayRequest',
  (deed) => async (go, link) => {
    await link.pass(deed['ms'] as number);
    return go();
  },
  (draw) => ({ ms: draw.of([10, 100, 1000, LONGEST_DELAY]) }),
);

const delayAnswer = message(
  'delayAnswer',
  (deed) => async (go, link) => {
    const result = await go();
    await link.pass(deed['ms'] as number);
    return result;
  },
  (draw) => ({ ms: draw.of([10, 100, 1000, LONGEST_DELAY]) }),
);

/** It never reaches the server. */
const dropRequest = message('dropRequest', () => async () => {
  throw LOST();
});

/** It is carried out, and its sender is told that the connection broke. */
const dropAnswer = message('dropAnswer', () => async (go, link, op) => {
  link.doubt(op);
  await go().catch(() => {});
  throw LOST();
});

/** It is carried out twice, as when a connection is retried; the sender gets the first answer, or the second. */
const duplicate = message(
  'duplicate',
  (deed) => async (go, link) => {
    const first = go();
    first.catch(() => {});
    if ((deed['ms'] as number) > 0) await link.pass(deed['ms'] as number);
    else await first.catch(() => {});
    const second = go();
    second.catch(() => {});
    return deed['answer'] === 'first' ? first : second;
  },
  (draw) => ({ ms: draw.of([0, 0, 1, 500]), answer: draw.of(['first', 'second']) }),
);

/** It waits until another component's next request has been answered, or a second has passed. */
const swap: Fault = {
  name: 'swap',
  weight: 3,
  draw: (draw) => ({ of: draw.of(WHO), with: draw.of(WHO), verb: draw.of(VERBS) }),
  run(world, deed) {
    let overtaken!: () => void;
    const other = new Promise<void>((resolve) => (overtaken = resolve));
    linkOf(world, deed['of'] as string)?.armed.push({
      name: 'swap',
      left: 1,
      fits: fits(deed['verb'] as string),
      async strike(go, link) {
        await Promise.race([other, link.pass(1000)]);
        return go();
      },
    });
    linkOf(world, deed['with'] as string)?.armed.push({
      name: 'swap, the other',
      left: 1,
      fits: fits('write'),
      async strike(go) {
        try {
          return await go();
        } finally {
          overtaken();
        }
      },
    });
  },
};

const RESOURCES = ['pods', 'replicasets', 'deployments', 'nodes', 'endpointslices', 'all'];

/** A fault of the watches a component has open. */
function watches(
  name: string,
  act: (watch: ReturnType<NonNullable<ReturnType<typeof linkOf>>['watches']>[number], deed: Deed) => void,
  more: (draw: Draw) => Readonly<Record<string, number>> = () => ({}),
): Fault {
  return {
    name,
    weight: 2,
    draw: (draw) => ({ of: draw.of(components), resource: draw.of(RESOURCES), ...more(draw) }),
    run(world, deed) {
      const resource = deed['resource'] as string;
      for (const watch of linkOf(world, deed['of'] as string)?.watches(resource === 'all' ? undefined : resource) ??
        []) {
        world.count(`fault ${name}`);
        act(watch, deed);
      }
    },
  };
}

const cutWatch = watches('cutWatch', (watch) => watch.cut());
const expireWatch = watches('expireWatch', (watch) => watch.expire());
const stallWatch = watches(
  'stallWatch',
  (watch, deed) => watch.stall(deed['ms'] as number),
  (draw) => ({ ms: draw.of([50, 500, 5000, 40_000]) }),
);

/** A component dies and comes back. */
const crash: Fault = {
  name: 'crash',
  weight: 4,
  draw: (draw) => ({ of: draw.of(components), down: draw.of([0, 1, 100, 5000, 60_000]) }),
  run(world, deed) {
    const name = deed['of'] as string;
    if (!world.processes.has(name)) return;
    world.count('fault crash');
    world.kill(name);
    world.clock.setTimer(deed['down'] as number, () => world.start(name));
  },
};

/** A component stands still, as under SIGSTOP or in a starved machine, and goes on with what it knew. */
const pause: Fault = {
  name: 'pause',
  weight: 2,
  draw: (draw) => ({ of: draw.of(components), ms: draw.of([100, 3000, 12_000, 20_000, 60_000]) }),
  run(world, deed) {
    const process = world.processes.get(deed['of'] as string);
    if (!process || process.clock.stopped) return;
    world.count('fault pause');
    process.clock.stop();
    world.clock.setTimer(deed['ms'] as number, () => process.clock.goOn());
  },
};

/** The API server dies with what it had not made durable, and comes back. */
const crashServer: Fault = {
  name: 'crashServer',
  weight: 2,
  draw: (draw) => ({ kept: draw.below(4), down: draw.of([1, 100, 3000, 30_000]) }),
  async run(world, deed) {
    if (!world.serving) return;
    world.count('fault crashServer');
    await world.killServer(deed['kept'] as number);
    await new Promise<void>((resolve) => world.clock.setTimer(deed['down'] as number, resolve));
    await world.startServer();
  },
};

/** The store forgets its history: with the next start of the server, no watch can go on where it was. */
const compact: Fault = {
  name: 'compact',
  async run(world) {
    world.count('fault compact');
    await world.disk.durable.compact(world.disk.durable.revision);
  },
};

export const faults: readonly Fault[] = [
  delayRequest,
  delayAnswer,
  dropRequest,
  dropAnswer,
  duplicate,
  swap,
  cutWatch,
  expireWatch,
  stallWatch,
  crash,
  pause,
  crashServer,
  compact,
];
