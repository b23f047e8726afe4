// An API server with one pod on a node whose containers are this machine's processes, and kubectl to talk to it.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Node, Pod as PodObject } from '../../src/api/generated/core-v1.ts';
import { Node as NodeKind } from '../../src/api/kinds/core/node.ts';
import { Pod } from '../../src/api/kinds/core/pod.ts';
import type { NodeApi } from '../../src/api/node-api.ts';
import { ServiceAccount } from '../../src/api/kinds/core/service-account.ts';
import type { Draft } from '../../src/api/object.ts';
import { realEnv } from '../../src/base/real-env.ts';
import type { RunningServer } from '../../src/cluster/server.ts';
import type { Client } from '../../src/client/client.ts';
import type { Listener } from '../../src/host/listener.ts';
import { nodeAccess } from '../../src/host/node-access.ts';
import { nodeConnector } from '../../src/host/node-api-client.ts';
import { serveNodeApi } from '../../src/host/node-api-server.ts';
import { headerInflater } from '../../src/host/spdy-headers.ts';
import { streamHandler } from '../../src/server/streams/handler.ts';
import { startApiServer } from './api-server.ts';
import { localNode, type LocalNode } from './local-node.ts';

export interface Ran {
  readonly code: number;
  readonly out: Buffer;
  readonly err: string;
}

export interface RunOptions {
  readonly stdin?: Uint8Array | string;
  /** Never end the standard input. */
  readonly hold?: boolean;
}

export interface StreamCluster {
  /** As an administrator. */
  readonly client: Client;
  /** The port of the node's endpoint, if it has one. */
  readonly nodePort: number | undefined;
  readonly dir: string;
  /** Where commands run. */
  readonly root: string;
  readonly node: LocalNode;
  readonly server: RunningServer;
  readonly kubeconfig: string;
  /** Runs a program, by default with kubectl's environment. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<Ran>;
  start(program: string, args: readonly string[]): Started;
  stop(): Promise<void>;
}

export interface Started {
  /** Resolves with everything printed so far, once it matches. */
  output(pattern: RegExp): Promise<string>;
  write(text: string): void;
  readonly ended: Promise<number>;
  stop(): Promise<void>;
}

/** With `nodeOverHttps` the server reaches the node by its own endpoint, otherwise it calls it. */
export async function streamCluster(options: { readonly nodeOverHttps?: boolean } = {}): Promise<StreamCluster> {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-streams-'));
  const root = join(dir, 'root');
  mkdirSync(root);
  const env = realEnv();
  const node = localNode(root);
  const stop = new AbortController();
  let api: NodeApi = node;
  const { server, kubeconfig } = await startApiServer(dir, stop.signal, { env, nodeConnector: () => api });
  const client = server.plane.clientOf({ name: 'admin', groups: ['system:masters'] }, 'test');
  const endpoint = options.nodeOverHttps ? await serveNode(node, server, client) : undefined;
  if (endpoint) {
    const tls = () => ({ ...server.pki.apiServerKubeletClient(), ca: server.pki.ca });
    api = nodeConnector({ env, tls, node: (name) => client.get(NodeKind, { name }) })('n1');
  }
  await makePod(client, endpoint?.port ?? 10250);
  const childEnv = { ...process.env, KUBECONFIG: kubeconfig, HOME: dir, KUBECACHEDIR: join(dir, 'cache') };
  const started = new Set<Started>();
  return {
    client,
    nodePort: endpoint?.port,
    dir,
    root,
    node,
    server,
    kubeconfig,
    run: (program, args, options = {}) => run(program, args, options, childEnv),
    start(program, args) {
      const one = start(program, args, childEnv);
      started.add(one);
      return one;
    },
    async stop() {
      await Promise.all([...started].map((one) => one.stop()));
      node.stop();
      stop.abort();
      await Promise.all([server.ended, endpoint?.close(1000)]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function serveNode(node: NodeApi, { pki }: RunningServer, client: Client): Promise<Listener> {
  const env = realEnv();
  const { cert, key } = pki.kubeletServing('n1', ['127.0.0.1']);
  return serveNodeApi({
    env,
    node,
    access: nodeAccess({ env, nodeName: 'n1', client }),
    streams: streamHandler({ env, inflater: headerInflater }),
    host: '127.0.0.1',
    port: 0,
    cert,
    key,
    clientCa: pki.ca,
    pages: new Map([['/metrics', () => ({ contentType: 'text/plain', text: 'up 1\n' })]]),
  });
}

async function makePod(client: Client, port: number): Promise<void> {
  const ready = { type: 'Ready', status: 'True' };
  await client.create(NodeKind, {
    metadata: { name: 'n1' },
    status: {
      conditions: [ready],
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
    },
  } as Draft<Node>);
  while (!(await client.list(ServiceAccount, { namespace: 'default' })).items.length) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const pod = await client.create(Pod, {
    metadata: { name: 'p', namespace: 'default' },
    spec: {
      nodeName: 'n1',
      containers: [
        { name: 'c', image: 'busybox', stdin: true, ports: [{ containerPort: 80 }] },
        { name: 'd', image: 'busybox', stdin: true, tty: true },
        { name: 'e', image: 'crashes' },
      ],
    },
  } as unknown as Draft<PodObject>);
  await client.update(
    Pod,
    {
      ...pod,
      status: {
        phase: 'Running',
        conditions: [ready],
        containerStatuses: ['c', 'd'].map((name) => ({
          name,
          ready: true,
          started: true,
          restartCount: 0,
          image: 'busybox',
          imageID: '',
          state: { running: {} },
        })),
      },
    } as unknown as PodObject,
    { subresource: 'status' },
  );
}

function run(program: string, args: readonly string[], options: RunOptions, env: NodeJS.ProcessEnv): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, timeout: 60_000 });
    const out: Buffer[] = [];
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    child.stdin.on('error', () => {});
    if (options.stdin !== undefined) child.stdin.write(options.stdin);
    if (!options.hold) child.stdin.end();
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? -1, out: Buffer.concat(out), err }));
  });
}

function start(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Started {
  const child = spawn(program, args, { env });
  let text = '';
  let wake = () => {};
  const take = (chunk: Buffer) => {
    text += chunk.toString();
    wake();
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  child.stdin.on('error', () => {});
  const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
  void ended.then(() => wake());
  return {
    async output(pattern) {
      while (!pattern.test(text)) {
        if (child.exitCode !== null) throw new Error(`${program} ended and said:\n${text}`);
        await new Promise<void>((resolve) => (wake = resolve));
      }
      return text;
    },
    write: (more) => void child.stdin.write(more),
    ended,
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
