// The kubeconfig that the user's kubectl reads: clusters add their context to it and take it away again.

import { accessSync, constants, existsSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname } from 'node:path';
import type { Env } from '../base/env.ts';
import { UserError } from '../cli/platform.ts';
import { kubeconfigPaths, readKubeconfig, removeContext, writeContext } from '../host/kubeconfig.ts';

/** What is left when a file that we made has lost its last context. kubectl writes the keys in another order. */
const EMPTY = 'apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\ncurrent-context: ""\nusers: []\n';

/** Where kubectl looks: the first file of $KUBECONFIG, or ~/.kube/config. */
const userFile = () => kubeconfigPaths(process.env, homedir())[0]!;

const HELP = 'name another file with the environment variable KUBECONFIG';

/** Throws a UserError when no context could be added: asked before anything is started. */
export function checkUserKubeconfig(): void {
  const path = userFile();
  try {
    void readKubeconfig([path]);
  } catch (error) {
    const why = (error as Error).message.replace(/^error loading config file "[^"]*": /, '');
    throw new UserError(`${path} is no kubeconfig (${why.split('\n')[0]}): repair it, or ${HELP}`);
  }
  for (const place of existsSync(path) ? [path, dirname(path)] : [nearestFolder(dirname(path))]) {
    try {
      accessSync(place, constants.W_OK);
    } catch {
      throw new UserError(`${path} cannot be written, so kubectl would not find the cluster: ${HELP}`);
    }
  }
}

const nearestFolder = (path: string): string => (existsSync(path) ? path : nearestFolder(dirname(path)));

/** Adds the context, copied from the cluster's own kubeconfig; makes it the current one when there is none. */
export async function addToUserKubeconfig(env: Env, name: string, adminKubeconfig: string): Promise<void> {
  const { server, ca = '', cert = '', key = '' } = readKubeconfig([adminKubeconfig]).access();
  const path = userFile();
  const makeCurrent = !existsSync(path) || !readKubeconfig([path]).currentContext;
  await writeContext(env, path, { name, server, ca, cert, key }, { makeCurrent });
}

/** Brings the context up to date, where the user has it. */
export async function refreshUserKubeconfig(env: Env, name: string, adminKubeconfig: string): Promise<void> {
  const path = userFile();
  if (existsSync(path) && readKubeconfig([path]).has(name)) await addToUserKubeconfig(env, name, adminKubeconfig);
}

/** Takes the context away, and the file and its folder when nothing else is in them and we made them. */
export async function removeFromUserKubeconfig(env: Env, name: string): Promise<void> {
  const path = userFile();
  if (!existsSync(path)) return;
  await removeContext(env, path, name);
  if (readFileSync(path, 'utf8') !== EMPTY) return;
  rmSync(path);
  if (basename(dirname(path)) === '.kube') removeIfEmpty(dirname(path));
}

export function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Somebody uses it, or it is not there.
  }
}
