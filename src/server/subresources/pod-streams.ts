// pods/exec, attach and portforward: conversations with a container or pod, carried by its node.

import { badRequest } from '../../api/errors.ts';
import type { ExecOptions } from '../../api/node-api.ts';
import type { ConnectResult } from '../../api/op.ts';
import { requireAllowed } from '../authorize.ts';
import { requireVerb, type Call } from '../call.ts';
import { flag } from './pod-log.ts';
import { chooseContainer, nodeOf, podOf, targetOf } from './pod-target.ts';

export async function podExec(call: Call): Promise<ConnectResult> {
  const { query, pod, container, node } = await conversation(call);
  const command = query.getAll('command');
  if (command.length === 0) throw badRequest('you must specify at least one command for the container');
  const options = streamOptions(query);
  const target = targetOf(pod, container);
  return {
    type: 'connect',
    stream: {
      kind: 'exec',
      options,
      check: async () => node.check?.(target),
      run: (streams, context) => node.exec(target, { ...options, command }, streams, context),
    },
  };
}

export async function podAttach(call: Call): Promise<ConnectResult> {
  const { query, pod, container, node } = await conversation(call);
  const options = streamOptions(query);
  const target = targetOf(pod, container);
  return {
    type: 'connect',
    stream: {
      kind: 'attach',
      options,
      check: async () => node.check?.(target),
      async run(streams, context) {
        await node.attach(target, options, streams, context);
        return 0;
      },
    },
  };
}

export async function podPortForward(call: Call): Promise<ConnectResult> {
  requireVerb(call, 'connect');
  requireCreate(call);
  const pod = await podOf(call);
  const node = nodeOf(call, pod);
  const { container: _, ...target } = targetOf(pod, '');
  return {
    type: 'connect',
    stream: {
      kind: 'portforward',
      check: async () => node.check?.(target),
      run: (port, streams, context) => node.portForward(target, port, streams, context),
    },
  };
}

/** A WebSocket begins with a GET, but to read a pod is not to be allowed to run something in it. */
function requireCreate({ op, server }: Call): void {
  if (op.connect?.method === 'GET') requireAllowed(server.authorizer, { ...op, verb: 'create' });
}

async function conversation(call: Call) {
  requireVerb(call, 'connect');
  requireCreate(call);
  const query = call.op.options.query ?? new URLSearchParams();
  const pod = await podOf(call);
  const container = chooseContainer(pod, query.get('container'));
  return { query, pod, container, node: nodeOf(call, pod) };
}

/** Which streams the client wants. Throws BadRequest when it is none, as the node would. */
function streamOptions(query: URLSearchParams): Omit<ExecOptions, 'command'> {
  const tty = flag(query, 'tty');
  const options = {
    stdin: flag(query, 'stdin'),
    stdout: flag(query, 'stdout'),
    // A terminal has one output.
    stderr: flag(query, 'stderr') && !tty,
    tty,
  };
  if (!options.stdin && !options.stdout && !options.stderr) {
    throw badRequest('you must specify at least 1 of stdin, stdout, stderr');
  }
  return options;
}
