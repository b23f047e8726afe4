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

export class Measured {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(file: string, args: readonly string[], nodeArgs: readonly string[]) {
    this.#child = fork(file, args, { execArgv: [...nodeArgs], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
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

  residentMb(): number {
    return (Number(readFileSync(`/proc/${this.#child.pid}/statm`, 'utf8').split(' ')[1]) * 4096) / 1e6;
  }

  async end(): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await this.#ended;
    clearTimeout(timer);
  }
}
