// What `npm start` and `npm stop` do: a cluster, an example application, and a page that answers through its Service.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pc from 'picocolors';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { Pod } from '../api/kinds/core/pod.ts';
import { Service } from '../api/kinds/core/service.ts';
import { builtinKinds } from '../api/kinds/index.ts';
import type { Draft, KubeObject } from '../api/object.ts';
import { parseYamlDocuments } from '../api/yaml.ts';
import { createLogger } from '../base/log.ts';
import { realEnv } from '../base/real-env.ts';
import { table } from '../cli/output.ts';
import { UserError, type Platform, type Step } from '../cli/platform.ts';
import { Client } from '../client/client.ts';
import { buildImage } from '../host/images/build.ts';
import { httpTransport } from '../host/http-transport.ts';
import { readKubeconfig } from '../host/kubeconfig.ts';
import { logSink } from '../host/log-sink.ts';
import { findProgram } from '../host/run.ts';
import { pathsOf } from './paths.ts';

const NAME = 'coracle';
const CLUSTER = { name: NAME, dataDir: undefined };
export const DEMO_IMAGE = 'coracle.local/hello:1';
const ROLLOUT_TIMEOUT = 120_000;

const manifest = () => {
  for (const up of ['../examples/hello/hello.yaml', '../../examples/hello/hello.yaml']) {
    const path = fileURLToPath(new URL(up, import.meta.url));
    if (existsSync(path)) return path;
  }
  throw new Error('examples/hello/hello.yaml is missing: the installation is damaged');
};

export async function demoUp(platform: Platform, write: (text: string) => void): Promise<void> {
  const began = performance.now();
  const step = (s: Step) => {
    if (s.seconds !== undefined) write(`  ${pc.green('ok')} ${s.name} ${pc.dim(`${s.seconds.toFixed(2)} s`)}\n`);
    else write(`  .. ${s.name}\n`);
  };
  const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work();
    step({ name, seconds: (performance.now() - start) / 1000 });
    return result;
  };
  write(`Coracle ${platform.version.coracle}: Kubernetes ${platform.version.kubernetes}\n`);
  const options = {
    name: NAME,
    dataDir: undefined,
    port: undefined,
    store: 'disk',
    nodes: 'auto',
    nodeCount: 1,
    wait: true,
    logLevels: undefined,
  } as const;
  const result = await platform.up(options, step);
  if (!result.started) {
    write(`The cluster is up already at ${result.status.server}: nothing changed. npm stop takes it down.\n`);
    return;
  }
  const simulated = result.status.nodes === 'simulated';
  if (result.notice) write(`\n${pc.yellow(result.notice)}\n\n`);
  if (!simulated) await timed('demo image built and loaded', () => loadDemoImage(platform));
  const { client, close } = connect();
  try {
    await timed('examples/hello applied', () => applyFile(client, manifest()));
    await timed('3 pods Ready', () => rolledOut(client));
    write(`\n${await podTable(client)}\n`);
    const url = await serviceUrl(client, result.status.server);
    if (simulated) write(`The Service's address is ${url}, but behind simulated pods nothing answers.\n`);
    else
      write(
        `${pc.bold(url)} answers through the Service: ${(await timed('first answer', () => answerOf(url))).trim()}\n`,
      );
  } finally {
    close();
  }
  write(usage(result.context));
  write(`\nReady after ${((performance.now() - began) / 1000).toFixed(1)} s. npm stop takes everything down.\n`);
}

export async function demoDown(platform: Platform, write: (text: string) => void): Promise<void> {
  const began = performance.now();
  const did = await platform.delete(CLUSTER, () => {});
  write(
    did
      ? `The cluster is gone and left nothing behind (${((performance.now() - began) / 1000).toFixed(1)} s).\n`
      : 'There is no cluster to take down.\n',
  );
}

function usage(context: string): string {
  const kubectl = findProgram('kubectl') ? 'kubectl' : 'kubectl (not installed here: any version from 1.27 on will do)';
  return `\nUse it with ${kubectl}:\n  kubectl --context ${context} get pods -o wide\n  kubectl --context ${context} scale deployment hello --replicas 5\n`;
}

/** busybox as a tiny web server: what the example runs. */
async function loadDemoImage(platform: Platform): Promise<void> {
  const busybox = findProgram('busybox');
  if (!busybox) throw new UserError('busybox is missing for the demo image: apt-get install busybox-static');
  const dir = mkdtempSync(join(tmpdir(), 'coracle-demo-'));
  try {
    const { file } = await buildImage({
      name: DEMO_IMAGE,
      output: join(dir, 'hello.tar'),
      files: [{ path: '/bin/busybox', source: busybox, mode: 0o755 }],
      entrypoint: ['/bin/busybox', 'sh', '-c'],
      cmd: [
        '/bin/busybox mkdir -p /www && echo "Hello from $HOSTNAME" > /www/index.html && exec /bin/busybox httpd -f -p 8080 -h /www',
      ],
    });
    await platform.loadImage(CLUSTER, file);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function connect(): { client: Client; close(): void } {
  const env = realEnv(createLogger({ level: 'error', sink: logSink(2, 'text') }));
  const access = readKubeconfig([pathsOf(CLUSTER).adminKubeconfig]).access();
  const transport = httpTransport({ env, ...access });
  return { client: new Client(transport, 'coracle-demo'), close: () => transport.close() };
}

async function applyFile(client: Client, file: string): Promise<void> {
  for (const object of parseYamlDocuments(readFileSync(file, 'utf8')) as Draft<KubeObject>[]) {
    const kind = builtinKinds.find((k) => k.apiVersion === object.apiVersion && k.kind === object.kind);
    if (!kind) throw new Error(`${file}: ${object.apiVersion} ${object.kind} is not served`);
    const namespaced = { ...object, metadata: { namespace: 'default', ...object.metadata } };
    await client.apply(kind, namespaced, { fieldManager: 'coracle-demo', force: true });
  }
}

async function rolledOut(client: Client): Promise<void> {
  const ref = { namespace: 'default', name: 'hello' };
  for (const began = performance.now(); ;) {
    const { spec, status } = await client.get(Deployment, ref);
    if (status?.availableReplicas === spec.replicas && status?.updatedReplicas === spec.replicas) return;
    if (performance.now() - began > ROLLOUT_TIMEOUT)
      throw new UserError('the example did not become ready: look at `kubectl describe pods`');
    await delay(25);
  }
}

async function podTable(client: Client): Promise<string> {
  const { items } = await client.list(Pod, { namespace: 'default', labelSelector: 'app=hello' });
  const now = Date.now();
  const cells = (pod: Pod) => (Pod.row?.(pod, now) ?? []).slice(0, 7).map((cell) => String(cell));
  return table([['NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE', 'IP', 'NODE'], ...items.map(cells)]);
}

async function serviceUrl(client: Client, server: string): Promise<string> {
  const service = await client.get(Service, { namespace: 'default', name: 'hello' });
  return `http://${new URL(server).hostname}:${service.spec.ports?.[0]?.nodePort}/`;
}

async function answerOf(url: string): Promise<string> {
  for (let tries = 0; ; tries++) {
    try {
      return await get(url);
    } catch (error) {
      if (tries >= 100) throw new UserError(`${url} does not answer: ${(error as Error).message}`);
      await delay(50);
    }
  }
}

function get(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { timeout: 2000, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve(text));
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer in two seconds')));
    sent.on('error', reject);
    sent.end();
  });
}
