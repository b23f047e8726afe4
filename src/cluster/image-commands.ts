// `coracle image build|load|ls`.

import { statSync } from 'node:fs';
import { UserError, type ClusterSelector, type ImageBuildOptions, type ImageInfo } from '../cli/platform.ts';
import { createLogger } from '../base/log.ts';
import { realEnv } from '../base/real-env.ts';
import { containerdPaths } from '../host/containerd/start.ts';
import { criRuntime, type CriRuntime } from '../host/cri/runtime.ts';
import { buildImage } from '../host/images/build.ts';
import { loadImages } from '../host/images/load.ts';
import { logSink } from '../host/log-sink.ts';
import { networkOf, slotOf } from './networks.ts';
import { pathsOf } from './paths.ts';
import { nodeParts } from './real-node.ts';
import { runningState } from './state-file.ts';

export async function buildImageFile(options: ImageBuildOptions): Promise<{ file: string; digest: string }> {
  const { source, tag, output, entrypoint, cmd, env, workdir, user } = options;
  const stat = statSync(source, { throwIfNoEntry: false });
  if (!stat)
    throw new UserError(`there is no ${source}: name a folder that becomes the image's root, or a static binary`);
  const labels = Object.fromEntries(
    options.labels.map((label) => {
      const at = label.indexOf('=');
      if (at < 1) throw new UserError(`--label ${label}: write it as name=value`);
      return [label.slice(0, at), label.slice(at + 1)];
    }),
  );
  const built = await buildImage({
    name: tag,
    output,
    ...(stat.isDirectory() ? { rootfsDir: source } : { singleBinary: source }),
    ...(entrypoint.length ? { entrypoint } : {}),
    ...(cmd.length ? { cmd } : {}),
    env,
    labels,
    ...(workdir ? { workdir } : {}),
    ...(user ? { user } : {}),
  });
  return { file: built.file, digest: built.digest };
}

/** Connects to the containerd of a running cluster for one call. */
async function withRuntime<T>(
  cluster: ClusterSelector,
  use: (runtime: CriRuntime, socket: string) => Promise<T>,
): Promise<T> {
  const paths = pathsOf(cluster);
  const state = runningState(paths.stateFile);
  if (!state) throw new UserError(`cluster ${cluster.name} is not running: start it with coracle up`);
  if (state.nodes === 'simulated')
    throw new UserError(`cluster ${cluster.name} has simulated nodes: they hold no images`);
  const { socket, streamDir } = containerdPaths(nodeParts(cluster.name, paths, networkOf(slotOf(paths) ?? 0)));
  const env = realEnv(createLogger({ level: 'warn', sink: logSink(2, 'text') }));
  const runtime = criRuntime({ env, socket, streamDir });
  try {
    return await use(runtime, socket);
  } finally {
    runtime.close();
  }
}

export function loadImageFile(cluster: ClusterSelector, file: string): Promise<readonly string[]> {
  return withRuntime(cluster, (runtime, socket) => loadImages({ socket, runtime }, file));
}

export function listImages(cluster: ClusterSelector): Promise<readonly ImageInfo[]> {
  return withRuntime(cluster, async (runtime) =>
    (await runtime.listImages()).map(({ id, tags, size }) => ({ id, tags, size })),
  );
}
