// The paths of a node's own endpoint, as upstream's kubelet has them, and the conversations they stand for.

import { badRequest, notFound, StatusError } from '../api/errors.ts';
import type { ContainerTarget, ExecOptions, LogOptions, NodeApi, NodeStream } from '../api/node-api.ts';
import type { HttpExchange } from '../server/http-exchange.ts';

const flag = (query: URLSearchParams, name: string) => query.get(name) === '1' || query.get(name) === 'true';

/** What a request is for: a conversation, or the answer that a container could have one (`/check/`). */
export type NodeRoute =
  | { readonly stream: NodeStream; readonly pod: string }
  | { readonly checked: true }
  /** No path about containers. */
  | undefined;

/** Rejects with a StatusError when the node does. */
export async function nodeRoute(node: NodeApi, exchange: HttpExchange): Promise<NodeRoute> {
  const [action, ...names] = exchange.path.split('/').filter(Boolean).map(decodeURIComponent);
  const query = new URLSearchParams(exchange.query);
  const { signal } = exchange;
  switch (action) {
    case 'containerLogs': {
      const target = containerOf(names);
      return {
        stream: { kind: 'logs', source: await node.logs(target, logOptions(query), { signal }) },
        pod: target.pod,
      };
    }
    case 'exec':
      return { stream: execStream(node, containerOf(names), query), pod: names[1]! };
    case 'attach':
      return { stream: attachStream(node, containerOf(names), query), pod: names[1]! };
    case 'portForward':
      return { stream: portForwardStream(node, podOf(names)), pod: names[1]! };
    case 'check':
      await node.check?.(names.length > 3 ? containerOf(names) : podOf(names));
      return { checked: true };
    default:
      return undefined;
  }
}

/** `{namespace}/{pod}/{container}` or `{namespace}/{pod}/{uid}/{container}`; without the uid any pod of the name will do. */
function containerOf(names: readonly string[]): ContainerTarget {
  const [namespace, pod, third, fourth] = names;
  if (!namespace || !pod || !third || names.length > 4) throw notFound({ resource: 'pods' }, names.join('/'));
  return fourth === undefined
    ? { namespace, pod, uid: '', container: third }
    : { namespace, pod, uid: third, container: fourth };
}

function podOf(names: readonly string[]): Omit<ContainerTarget, 'container'> {
  const [namespace, pod, uid = ''] = names;
  if (!namespace || !pod || names.length > 3) throw notFound({ resource: 'pods' }, names.join('/'));
  return { namespace, pod, uid };
}

function execStream(node: NodeApi, target: ContainerTarget, query: URLSearchParams): NodeStream {
  const options = streamOptions(query);
  const command = query.getAll('command');
  return {
    kind: 'exec',
    options,
    check: async () => node.check?.(target),
    run: (streams, context) => node.exec(target, { ...options, command }, streams, context),
  };
}

function attachStream(node: NodeApi, target: ContainerTarget, query: URLSearchParams): NodeStream {
  const options = streamOptions(query);
  return {
    kind: 'attach',
    options,
    check: async () => node.check?.(target),
    async run(streams, context) {
      await node.attach(target, options, streams, context);
      return 0;
    },
  };
}

function portForwardStream(node: NodeApi, target: Omit<ContainerTarget, 'container'>): NodeStream {
  return {
    kind: 'portforward',
    check: async () => node.check?.(target),
    run: (port, streams, context) => node.portForward(target, port, streams, context),
  };
}

function streamOptions(query: URLSearchParams): Omit<ExecOptions, 'command'> {
  const tty = flag(query, 'tty');
  const [stdin, stdout, stderr] = [flag(query, 'input'), flag(query, 'output'), flag(query, 'error')];
  if (tty && stderr) throw badRequest('tty and stderr cannot both be true');
  if (!stdin && !stdout && !stderr) throw badRequest('you must specify at least 1 of stdin, stdout, stderr');
  return { stdin, stdout, stderr, tty };
}

/** Checked by the API server before; what still makes no sense is refused. */
function logOptions(query: URLSearchParams): LogOptions {
  const number = (name: string) => {
    const text = query.get(name);
    if (text === null) return {};
    const value = Number(text);
    if (!Number.isSafeInteger(value)) throw new StatusError('BadRequest', `{"message": "Unable to decode query."}`);
    return { [name]: value };
  };
  const text = (name: string) => (query.get(name) ? { [name]: query.get(name)! } : {});
  return {
    follow: flag(query, 'follow'),
    previous: flag(query, 'previous'),
    timestamps: flag(query, 'timestamps'),
    ...number('sinceSeconds'),
    ...number('tailLines'),
    ...number('limitBytes'),
    ...text('sinceTime'),
    ...(text('stream') as Pick<LogOptions, 'stream'>),
  };
}

/** The request that asks for the same. */
export function logTarget(target: ContainerTarget, options: LogOptions): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && value !== false) query.set(name, String(value));
  }
  return `/containerLogs/${pathOf(target)}?${query}`;
}

export function commandTarget(
  action: 'exec' | 'attach',
  target: ContainerTarget,
  options: Omit<ExecOptions, 'command'> & { readonly command?: readonly string[] },
): string {
  const query = new URLSearchParams();
  for (const word of options.command ?? []) query.append('command', word);
  const flags = { input: options.stdin, output: options.stdout, error: options.stderr, tty: options.tty };
  for (const [name, on] of Object.entries(flags)) if (on) query.set(name, '1');
  return `/${action}/${pathOf(target)}?${query}`;
}

export function podTarget(
  action: 'portForward' | 'check',
  target: Omit<ContainerTarget, 'container'> & { readonly container?: string },
): string {
  return `/${action}/${pathOf(target)}`;
}

function pathOf({
  namespace,
  pod,
  uid,
  container,
}: Omit<ContainerTarget, 'container'> & { readonly container?: string }) {
  const names = container === undefined ? [namespace, pod, uid] : [namespace, pod, uid, container];
  return names.filter(Boolean).map(encodeURIComponent).join('/');
}
