// The measured processes: started, asked how much CPU and memory they took, ended.

import { fork, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { build } from 'esbuild';

const root = new URL('../..', import.meta.url).pathname;
/** As Linux counts CPU time for programs. */
const TICK_MS = 10;

/** One file without type annotations, as the product is built: what loads TypeScript would count as the server's memory. */
export async function bundle(name: string): Promise<string> {
  const outfile = `${root}.cache/bench-${name}.mjs`;
  await build({
    absWorkingDir: root,
    entryPoints: [`bench/api/${name}.ts`],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    minifySyntax: true,
    external: ['lmdb'],
    banner: {
      js: "import { createRequire as __require_ } from 'node:module'; const require = __require_(import.meta.url);",
    },
    logLevel: 'warning',
  });
  return outfile;
}

/** In megabytes. */
export interface Memory {
  /** RSS, what `ps` and `top` show: `own` and `files`. */
  readonly resident: number;
  /** RssAnon: heaps, stacks, buffers. */
  readonly own: number;
  /** RssFile: pages of the Node binary, libraries and the store's file that the system could take back. */
  readonly files: number;
  readonly heap: number;
  readonly heapUsed: number;
  /** Outside V8's heap on its account: buffers. */
  readonly external: number;
}

/** What a measured process is asked by message. */
export interface MemoryQuestion {
  readonly memory: true;
  /** Needs `--expose-gc`. */
  readonly collect?: boolean;
  /** A file for a heap snapshot. */
  readonly snapshot?: string;
}

export class Measured {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(file: string, args: readonly string[], nodeArgs: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.#child = fork(file, args, {
      execArgv: [...nodeArgs],
      env: { ...env, ...process.env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#ended = new Promise((resolve) => this.#child.once('exit', resolve));
  }

  /** The next message. Rejects when the process ends instead. */
  said<T>(): Promise<T> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null) => reject(new Error(`the measured process ended (${code})`));
      this.#child.once('exit', onExit);
      this.#child.once('message', (message) => {
        this.#child.off('exit', onExit);
        resolve(message as T);
      });
    });
  }

  tell(message: object): void {
    this.#child.send(message);
  }

  /** Milliseconds of CPU so far, all threads, user and system. */
  cpuMs(): number {
    const fields = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async memory(question: Omit<MemoryQuestion, 'memory'> = {}): Promise<Memory> {
    this.tell({ memory: true, ...question } satisfies MemoryQuestion);
    const { heapTotal, heapUsed, external } = await this.said<NodeJS.MemoryUsage>();
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    const megabytes = (name: string) =>
      (Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1e6;
    return {
      resident: megabytes('VmRSS'),
      own: megabytes('RssAnon'),
      files: megabytes('RssFile') + megabytes('RssShmem'),
      heap: heapTotal / 1e6,
      heapUsed: heapUsed / 1e6,
      external: external / 1e6,
    };
  }

  async end(): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await this.#ended;
    clearTimeout(timer);
  }
}
