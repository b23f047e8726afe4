// One small shell that stays, in a network namespace, and runs short programs one after the other. Starting a program from
// a process of hundreds of megabytes costs tens of milliseconds; from this one it costs one or two. It ends with its input,
// so with this process, however that ends.

import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { SYSTEM_PATH } from './run.ts';

export interface ShellResult {
  readonly code: number;
  /** What the command wrote to both its outputs. */
  readonly output: string;
}

interface Waiting {
  readonly late: NodeJS.Timeout;
  readonly resolve: (result: ShellResult) => void;
  readonly reject: (error: Error) => void;
}

/** Milliseconds; a full table of 10,000 Services takes one or two thousand on a busy machine. */
const LONGEST_RUN = 120_000;
const END = 'coracle-end-of-command';
const RESULT = new RegExp(`${END} (\\d+)\\n`);

/**
 * A command with its input as the shell reads it. Cut short, by the end of this process, it is no whole command, and nothing
 * of it runs: a shell takes the end of its input for the end of a command's input, and half a transaction may be a valid one.
 */
export const toShell = (command: string, input: string) =>
  `if :; then {\n${command}\n} 2>&1 <<'${END}'\n${input}\n${END}\nfi\necho "${END} $?"\n`;

export class NetShell {
  readonly #netns: string | undefined;
  readonly #longest: number;
  #session: Session | undefined;

  /** `netns` is the path of a network namespace; the current one unless told. `longest`: milliseconds of one command. */
  constructor(netns?: string, longest = LONGEST_RUN) {
    this.#netns = netns;
    this.#longest = longest;
  }

  /**
   * Runs a shell command with `input` on its standard input, after those before it have ended. Resolves whatever its exit
   * code is; rejects when the shell is gone, or was ended because a command hangs, and the next call starts another.
   */
  run(command: string, input = ''): Promise<ShellResult> {
    if (!this.#session?.alive) this.#session = new Session(this.#netns, this.#longest);
    return this.#session.run(command, input);
  }

  /** Ends the shell once what it was told is done. */
  close(): void {
    this.#session?.end();
    this.#session = undefined;
  }
}

/** One life of the shell. */
class Session {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #longest: number;
  readonly #waiting: Waiting[] = [];
  #output = '';
  alive = true;

  constructor(netns: string | undefined, longest: number) {
    this.#longest = longest;
    const [program, ...args] = netns ? ['nsenter', `--net=${netns}`, 'sh'] : ['sh'];
    const env = { ...process.env, PATH: SYSTEM_PATH, LC_ALL: 'C' };
    const child = spawn(program!, args, { env, stdio: ['pipe', 'pipe', 'ignore'] });
    this.#child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.#said(text));
    const lost = (error: Error) => {
      this.alive = false;
      for (const { reject, late } of this.#waiting.splice(0)) {
        clearTimeout(late);
        reject(error);
      }
    };
    child.on('error', lost);
    // Killed, it leaves nothing worth waiting for; a program it had started may hold its output open.
    child.on('exit', (_code, signal) => {
      if (signal) lost(new Error(`the shell for network commands was killed by ${signal}`));
    });
    child.on('close', (code) => lost(new Error(`the shell for network commands ended with ${code}`)));
    // Its end is told by `exit` and `close`.
    child.stdin.on('error', () => undefined);
    this.#hold(false);
  }

  run(command: string, input: string): Promise<ShellResult> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => this.#child.kill('SIGKILL'), this.#longest).unref();
      if (this.#waiting.push({ resolve, reject, late }) === 1) this.#hold(true);
      this.#child.stdin.write(toShell(command, input));
    });
  }

  end(): void {
    this.#child.stdin.end();
  }

  #said(text: string): void {
    this.#output += text;
    for (let found = RESULT.exec(this.#output); found; found = RESULT.exec(this.#output)) {
      const output = this.#output.slice(0, found.index);
      this.#output = this.#output.slice(found.index + found[0].length);
      const done = this.#waiting.shift();
      clearTimeout(done?.late);
      done?.resolve({ code: Number(found[1]), output });
    }
    if (this.#waiting.length === 0) this.#hold(false);
  }

  /** Only while something is under way does the shell keep this process from ending. */
  #hold(hold: boolean): void {
    const how = hold ? 'ref' : 'unref';
    this.#child[how]();
    (this.#child.stdin as Socket)[how]();
    (this.#child.stdout as Socket)[how]();
  }
}
