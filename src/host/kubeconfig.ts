// kubeconfig files: read and merged as kubectl does, edited without losing anything, comments included.
// https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/

import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { isMap, isSeq, parseDocument, type Document, type YAMLMap, type YAMLSeq } from 'yaml';
import { sleep, type Env } from '../base/env.ts';
import { parseYaml } from '../api/yaml.ts';
import { writeFileAtomic } from './atomic-file.ts';

/** How to reach a cluster as somebody. */
export interface ClusterAccess {
  readonly server: string;
  /** PEM. */
  readonly ca?: string;
  readonly insecure?: boolean;
  readonly serverName?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  /** The namespace for commands that do not name one. */
  readonly namespace?: string;
  readonly impersonate?: { readonly user: string; readonly groups: readonly string[]; readonly uid?: string };
  /** A program that provides credentials: `user.exec` of the kubeconfig as it stands there. */
  readonly exec?: ExecConfig;
}

export interface ExecConfig {
  readonly apiVersion: string;
  readonly command: string;
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
}

/** A context to write, with a cluster and a user of its own. */
export interface ContextEntry {
  readonly name: string;
  readonly server: string;
  /** PEM, as are `cert` and `key`. */
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
  readonly namespace?: string;
}

type Fields = Record<string, unknown>;
interface Named {
  readonly name: string;
  readonly fields: Fields;
  /** Relative paths count from here. */
  readonly dir: string;
}
const SECTIONS = { clusters: 'cluster', users: 'user', contexts: 'context' } as const;
type Section = keyof typeof SECTIONS;

/** All files together; what comes first wins. */
export class Kubeconfig {
  readonly currentContext: string | undefined;
  readonly #entries: Readonly<Record<Section, ReadonlyMap<string, Named>>>;

  constructor(files: readonly { readonly path: string; readonly text: string }[]) {
    const entries = {
      clusters: new Map<string, Named>(),
      users: new Map<string, Named>(),
      contexts: new Map<string, Named>(),
    };
    let current: string | undefined;
    for (const { path, text } of files) {
      const root = parsedFile(path, text);
      if (typeof root['current-context'] === 'string') current ||= root['current-context'];
      for (const [section, inner] of Object.entries(SECTIONS) as [Section, string][])
        for (const item of (root[section] ?? []) as (Fields | null)[]) {
          const name = item?.['name'];
          if (typeof name !== 'string' || entries[section].has(name)) continue;
          entries[section].set(name, { name, fields: (item![inner] ?? {}) as Fields, dir: dirname(path) });
        }
    }
    this.#entries = entries;
    this.currentContext = current;
  }

  get contexts(): readonly string[] {
    return [...this.#entries.contexts.keys()];
  }

  has(context: string): boolean {
    return this.#entries.contexts.has(context);
  }

  /** Throws with kubectl's words when the context or what it names is missing. */
  access(context = this.currentContext): ClusterAccess {
    if (!context) throw new Error('no configuration has been provided, and no current context is set');
    const chosen = this.#entries.contexts.get(context);
    if (!chosen) throw new Error(`context ${JSON.stringify(context)} does not exist`);
    const { cluster: clusterName, user: userName, namespace } = chosen.fields as Record<string, string | undefined>;
    const cluster = this.#entries.clusters.get(clusterName ?? '');
    if (!cluster) throw new Error(`cluster ${JSON.stringify(clusterName)} does not exist`);
    const user = this.#entries.users.get(userName ?? '');
    if (!user && userName) throw new Error(`auth info ${JSON.stringify(userName)} does not exist`);
    const { server } = cluster.fields;
    if (typeof server !== 'string' || !server) throw new Error(`cluster ${JSON.stringify(clusterName)} has no server`);
    const access: Record<string, unknown> = {
      server,
      ca: pemOf(cluster, 'certificate-authority'),
      insecure: cluster.fields['insecure-skip-tls-verify'] === true || undefined,
      serverName: cluster.fields['tls-server-name'],
      namespace: namespace || undefined,
      ...(user ? credentials(user) : {}),
    };
    return Object.fromEntries(Object.entries(access).filter(([, v]) => v !== undefined)) as unknown as ClusterAccess;
  }
}

function credentials(user: Named): Fields {
  const { fields } = user;
  if (fields['auth-provider']) throw new Error(`user ${user.name}: auth-provider is no longer supported; use exec`);
  const tokenFile = fields['tokenFile'];
  const as = fields['as'];
  return {
    cert: pemOf(user, 'client-certificate'),
    key: pemOf(user, 'client-key'),
    token: fields['token'],
    tokenFile: typeof tokenFile === 'string' ? pathIn(user, tokenFile) : undefined,
    exec: execOf(user),
    ...(as ? { impersonate: { user: as, groups: fields['as-groups'] ?? [], uid: fields['as-uid'] } } : {}),
  };
}

/** A command with a slash counts from the kubeconfig's directory, others are looked up in PATH. */
function execOf(user: Named): ExecConfig | undefined {
  const exec = user.fields['exec'] as ExecConfig | null | undefined;
  if (!exec) return undefined;
  if (typeof exec.command !== 'string' || !exec.command) throw new Error(`user ${user.name}: exec has no command`);
  const command = exec.command.includes('/') ? pathIn(user, exec.command) : exec.command;
  return { ...exec, command, args: exec.args ?? [], env: exec.env ?? [] };
}

const pathIn = ({ dir }: Named, path: string) => (isAbsolute(path) ? path : join(dir, path));

/** `<field>-data` in base64, or the file that `<field>` names. */
function pemOf(entry: Named, field: string): string | undefined {
  const data = entry.fields[`${field}-data`];
  if (typeof data === 'string' && data) return Buffer.from(data, 'base64').toString();
  const path = entry.fields[field];
  if (typeof path !== 'string' || !path) return undefined;
  try {
    return readFileSync(pathIn(entry, path), 'utf8');
  } catch (error) {
    throw new Error(`unable to read ${field} ${path} for ${entry.name}: ${(error as Error).message}`, { cause: error });
  }
}

function parsedFile(path: string, text: string): Fields {
  let value: unknown;
  try {
    ({ value } = parseYaml(text));
  } catch (error) {
    throw new Error(`error loading config file ${JSON.stringify(path)}: ${(error as Error).message}`, { cause: error });
  }
  if (value === undefined || value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Fields;
  throw new Error(`error loading config file ${JSON.stringify(path)}: it holds no mapping`);
}

/** The files kubectl would read: one named, else $KUBECONFIG, else ~/.kube/config. */
export function kubeconfigPaths(
  environment: Readonly<Record<string, string | undefined>>,
  home: string,
  named?: string,
): readonly string[] {
  if (named) return [resolve(named)];
  const list = (environment['KUBECONFIG'] ?? '').split(delimiter).filter(Boolean);
  return list.length > 0 ? [...new Set(list)] : [join(home, '.kube', 'config')];
}

/** Files that do not exist count as empty. */
export function readKubeconfig(paths: readonly string[]): Kubeconfig {
  return new Kubeconfig(paths.filter((p) => existsSync(p)).map((path) => ({ path, text: readFileSync(path, 'utf8') })));
}

/** A kubeconfig of one context. */
export function kubeconfigText(entry: ContextEntry): string {
  return edited('kubeconfig', '', (document) => put(document, entry, true));
}

/** Adds or replaces the context with its cluster and user, all called alike. Everything else stays as it is. */
export async function writeContext(
  env: Env,
  path: string,
  entry: ContextEntry,
  options: { readonly makeCurrent?: boolean } = {},
): Promise<void> {
  await change(env, path, (document) => put(document, entry, options.makeCurrent ?? false));
}

/** Takes the context away, with the cluster and user of its name, and stops it being the current one. */
export async function removeContext(env: Env, path: string, name: string): Promise<void> {
  if (!existsSync(path)) return;
  await change(env, path, (document) => {
    for (const section of Object.keys(SECTIONS)) {
      const list = document.get(section);
      if (!isSeq(list)) continue;
      list.items = list.items.filter((item) => !isMap(item) || item.get('name') !== name);
    }
    if (document.get('current-context') === name) document.set('current-context', '');
  });
}

function put(document: Document, entry: ContextEntry, makeCurrent: boolean): void {
  const { name, server, ca, cert, key, token, namespace } = entry;
  const data = (pem: string) => Buffer.from(pem).toString('base64');
  item(document, 'clusters', name, { 'certificate-authority-data': data(ca), server });
  item(document, 'users', name, {
    ...(cert ? { 'client-certificate-data': data(cert) } : {}),
    ...(key ? { 'client-key-data': data(key) } : {}),
    ...(token ? { token } : {}),
  });
  item(document, 'contexts', name, { cluster: name, ...(namespace ? { namespace } : {}), user: name });
  if (makeCurrent || !document.get('current-context')) document.set('current-context', name);
}

function item(document: Document, section: Section, name: string, fields: Fields): void {
  const inner = SECTIONS[section];
  let list = document.get(section) as YAMLSeq | undefined;
  if (!isSeq(list)) {
    list = document.createNode([]);
    document.set(section, list);
  }
  // An empty list is written `[]`; what is added to it is to stand in lines.
  if (list.items.length === 0) list.flow = false;
  const known = list.items.find((i): i is YAMLMap => isMap(i) && i.get('name') === name);
  if (known) known.set(inner, document.createNode(fields));
  else list.add(document.createNode({ [inner]: fields, name }));
}

function edited(path: string, text: string, edit: (document: Document) => void): string {
  const document = parseDocument(text) as Document;
  const [error] = document.errors;
  if (error) throw new Error(`${path} is no YAML and was left alone: ${error.message}`);
  if (document.contents === null) {
    const empty = { apiVersion: 'v1', kind: 'Config', clusters: [], contexts: [], 'current-context': '', users: [] };
    document.contents = document.createNode(empty);
  }
  if (!isMap(document.contents)) throw new Error(`${path} is no kubeconfig and was left alone`);
  edit(document);
  return document.toString({ lineWidth: 0, indentSeq: false });
}

const LOCK_TRIES = 50;
const LOCK_WAIT = 100;

/** Edits a file under the lock that kubectl takes too, and replaces it in one step. */
async function change(env: Env, path: string, edit: (document: Document) => void): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // A link stays a link.
  const target = existsSync(path) ? realpathSync(path) : path;
  const lock = `${path}.lock`;
  for (let attempt = 1; ; attempt++) {
    try {
      writeFileSync(lock, '', { flag: 'wx', mode: 0o600 });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (attempt === LOCK_TRIES)
        throw new Error(`${path} is being changed by another program; if none is running, remove ${lock}`, {
          cause: error,
        });
      await sleep(env, LOCK_WAIT);
    }
  }
  try {
    const before = existsSync(target) ? readFileSync(target, 'utf8') : '';
    const after = edited(path, before, edit);
    if (after !== before) writeFileAtomic(target, after, { mode: 0o600, durable: true });
  } finally {
    rmSync(lock, { force: true });
  }
}
