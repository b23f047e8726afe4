// The containerd services beside CRI that are used: events as they happen, and processes with streams of their own.
// https://github.com/containerd/containerd/tree/main/api

import { Any, Empty, message, type Fields, type Message } from '../rpc/message.ts';
import type { Method } from '../rpc/grpc.ts';

const service =
  (name: string) =>
  <I extends Fields, O extends Fields>(method: string, request: Message<I>, response: Message<O>): Method<I, O> => ({
    path: `/containerd.services.${name}/${method}`,
    request,
    response,
  });
const events = service('events.v1.Events');
const containers = service('containers.v1.Containers');
const leases = service('leases.v1.Leases');
const tasks = service('tasks.v1.Tasks');

const Process = message({ containerId: [1, 'string'], execId: [2, 'string'] });

/** TaskExit; TaskCreate, TaskStart, TaskOOM have only the container ID. `id` is the process: the container's own or an exec. */
export const TaskEvent = message({ containerId: [1, 'string'], id: [2, 'string'] });
export const TaskDelete = message({ containerId: [1, 'string'], id: [5, 'string'] });

export const Containerd = {
  publish: events('Publish', message({ topic: [1, 'string'], event: [2, Any] }), Empty),
  subscribe: events(
    'Subscribe',
    message({ filters: [1, 'strings'] }),
    message({ namespace: [2, 'string'], topic: [3, 'string'], event: [4, Any] }),
  ),
  getContainer: containers(
    'Get',
    message({ id: [1, 'string'] }),
    message({ container: [1, message({ id: [1, 'string'], spec: [5, Any] })] }),
  ),

  listContainers: containers(
    'List',
    message({ filters: [1, 'strings'] }),
    message({
      containers: [1, [message({ id: [1, 'string'], snapshotter: [6, 'string'], snapshotKey: [7, 'string'] })]],
    }),
  ),
  deleteContainer: containers('Delete', message({ id: [1, 'string'] }), Empty),
  removeSnapshot: service('snapshots.v1.Snapshots')(
    'Remove',
    message({ snapshotter: [1, 'string'], key: [2, 'string'] }),
    Empty,
  ),
  createLease: leases('Create', message({ id: [1, 'string'] }), Empty),
  /** `sync`: returns once the garbage has been collected. */
  deleteLease: leases('Delete', message({ id: [1, 'string'], sync: [2, 'bool'] }), Empty),
  version: service('version.v1.Version')('Version', Empty, message({ version: [1, 'string'] })),

  exec: tasks(
    'Exec',
    message({
      containerId: [1, 'string'],
      stdin: [2, 'string'],
      stdout: [3, 'string'],
      stderr: [4, 'string'],
      terminal: [5, 'bool'],
      spec: [6, Any],
      execId: [7, 'string'],
    }),
    Empty,
  ),
  start: tasks('Start', Process, message({ pid: [1, 'int'] })),
  wait: tasks('Wait', Process, message({ exitStatus: [1, 'int'] })),
  kill: tasks(
    'Kill',
    message({ containerId: [1, 'string'], execId: [2, 'string'], signal: [3, 'int'], all: [4, 'bool'] }),
    Empty,
  ),
  resizePty: tasks(
    'ResizePty',
    message({ containerId: [1, 'string'], execId: [2, 'string'], width: [3, 'int'], height: [4, 'int'] }),
    Empty,
  ),
  closeIO: tasks('CloseIO', message({ containerId: [1, 'string'], execId: [2, 'string'], stdin: [3, 'bool'] }), Empty),
  deleteProcess: tasks('DeleteProcess', Process, message({ exitStatus: [3, 'int'] })),
} as const;
