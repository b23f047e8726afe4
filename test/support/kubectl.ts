// Real kubectl against a real server: finds the installed versions and runs them.

import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Version (`1.33`) -> path. Beside `kubectl` there may be `kubectl.1.27` and the like. */
export function kubectls(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  let main: string;
  try {
    main = execFileSync('sh', ['-c', 'command -v kubectl']).toString().trim();
  } catch {
    return found;
  }
  const dir = dirname(realpathSync(main));
  for (const name of readdirSync(dir)) {
    const match = /^kubectl\.(\d+\.\d+)$/.exec(name);
    if (match && existsSync(join(dir, name))) found.set(match[1]!, join(dir, name));
  }
  if (found.size === 0) found.set('installed', main);
  return new Map([...found].sort(([a], [b]) => Number(a.split('.')[1]) - Number(b.split('.')[1])));
}

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Inherited {
  readonly flags?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** So that `stop` ends what all of a family started. */
  readonly children?: Set<ChildProcess>;
}

export class Kubectl {
  readonly #binary: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #flags: readonly string[];
  readonly #children: Set<ChildProcess>;

  /** `cacheDir` keeps discovery, apart from other servers' at the same address. */
  constructor(binary: string, kubeconfig: string, cacheDir: string, from: Inherited = {}) {
    this.#binary = binary;
    const own = { PATH: process.env['PATH'], HOME: cacheDir, KUBECACHEDIR: cacheDir, KUBECONFIG: kubeconfig };
    this.#env = { ...own, ...from.env };
    this.#flags = from.flags ?? [];
    this.#children = from.children ?? new Set();
  }

  /** The same with flags before every command, as `-n`, `name`. */
  with(flags: readonly string[], env: NodeJS.ProcessEnv = {}): Kubectl {
    const { KUBECONFIG = '', HOME = '' } = this.#env;
    return new Kubectl(this.#binary, KUBECONFIG, HOME, {
      flags: [...this.#flags, ...flags],
      env: { ...this.#env, ...env },
      children: this.#children,
    });
  }

  /** Runs to the end; never rejects. */
  run(args: readonly string[], stdin = ''): Promise<Outcome> {
    return new Promise((resolve) => {
      const child = execFile(
        this.#binary,
        [...this.#flags, ...args],
        { env: this.#env, timeout: 60_000 },
        (error, out, err) => {
          const code = error ? (typeof error.code === 'number' ? error.code : 255) : 0;
          // Version skew is on purpose.
          resolve({ code, out, err: err.replace(/^WARNING: version difference.*\n/gm, '') });
        },
      );
      // One that fails early reads nothing: its exit tells.
      child.stdin?.on('error', () => undefined).end(stdin);
    });
  }

  /** Runs to the end; rejects with what kubectl said when it fails. */
  async ok(command: string, stdin?: string): Promise<string> {
    const { code, out, err } = await this.run(words(command), stdin);
    if (code !== 0) throw new Error(`kubectl ${command}: exit ${code}\n${out}${err}`);
    return out;
  }

  /** What kubectl says on standard error when it fails. */
  async fails(command: string, stdin?: string): Promise<string> {
    const { code, out, err } = await this.run(words(command), stdin);
    if (code === 0) throw new Error(`kubectl ${command} did not fail: ${out}`);
    return err.trim();
  }

  /** Runs in a terminal of that size, with `keys` typed into it. `out` is what the terminal showed. */
  typed(command: string, keys: string, { rows, columns }: { rows: number; columns: number }): Promise<Outcome> {
    const quoted = [this.#binary, ...this.#flags, ...words(command)].map((word) => `'${word}'`).join(' ');
    const script = `stty rows ${rows} cols ${columns}; exec ${quoted}`;
    return new Promise((resolve) => {
      const child = spawn('script', ['-qec', script, '/dev/null'], { env: this.#env, stdio: 'pipe' });
      this.#children.add(child);
      let [out, err] = ['', ''];
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
      child.once('close', (code) => {
        this.#children.delete(child);
        resolve({ code: code ?? 255, out, err });
      });
      child.stdin.on('error', () => undefined).end(keys);
    });
  }

  /** Starts a command that goes on; `line` resolves with the next line it prints. */
  start(command: string): { line(): Promise<string>; stop(): void } {
    const child = spawn(this.#binary, [...this.#flags, ...words(command)], {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#children.add(child);
    const lines: string[] = [];
    let rest = '';
    let wake = () => {};
    child.stdout.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop()!;
      lines.push(...parts);
      wake();
    });
    child.once('exit', () => this.#children.delete(child));
    return {
      async line() {
        while (lines.length === 0) await new Promise<void>((resolve) => (wake = resolve));
        return lines.shift()!;
      },
      stop: () => void child.kill(),
    };
  }

  /** Ends what `start` has begun. */
  stop(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }
}

/** Splits at spaces outside of single quotes. */
function words(command: string): string[] {
  return [...command.matchAll(/'([^']*)'|(\S+?)='([^']*)'|(\S+)/g)].map((m) =>
    m[2] ? `${m[2]}=${m[3]!}` : (m[1] ?? m[4]!),
  );
}
