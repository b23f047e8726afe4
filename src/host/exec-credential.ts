// Credentials from a program, as kubeconfigs name one: it prints an ExecCredential, which is kept until it expires.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins

import { execFile } from 'node:child_process';
import type { Env } from '../base/env.ts';
import type { ExecConfig } from './kubeconfig.ts';

export interface Credential {
  readonly token?: string;
  /** PEM, as is `key`. */
  readonly cert?: string;
  readonly key?: string;
}

const VERSIONS: readonly unknown[] = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'];
/** Asked for again this long before it ends. */
const EARLY = 10_000;

export class ExecCredentials {
  readonly #config: ExecConfig;
  readonly #env: Env;
  #current: Promise<{ readonly credential: Credential; readonly until: number }> | undefined;

  /** Throws for a configuration that cannot work. */
  constructor(config: ExecConfig, env: Env) {
    if (!VERSIONS.includes(config.apiVersion))
      throw new Error(`exec plugin: apiVersion ${JSON.stringify(config.apiVersion)} is not supported`);
    this.#config = config;
    this.#env = env;
  }

  /** Rejects with an Error that names the program. */
  async get(): Promise<Credential> {
    let known = this.#current && (await this.#current.catch(() => undefined));
    if (!known || known.until <= this.#env.clock.now()) {
      this.#current = this.#run();
      known = await this.#current;
    }
    return known.credential;
  }

  /** The server refused what the program gave: ask it again. */
  forget(): void {
    this.#current = undefined;
  }

  #run(): Promise<{ credential: Credential; until: number }> {
    const { apiVersion, command, args = [], env = [] } = this.#config;
    const info = JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: { interactive: false } });
    const own = Object.fromEntries(env.map(({ name, value }) => [name, value]));
    const options = { env: { ...process.env, ...own, KUBERNETES_EXEC_INFO: info }, timeout: 60_000 };
    return new Promise((resolve, reject) => {
      execFile(command, [...args], options, (error, stdout, stderr) => {
        if (error) {
          const said = stderr.trim();
          return reject(new Error(`getting credentials: exec: ${said || error.message}`, { cause: error }));
        }
        try {
          resolve(read(stdout, apiVersion));
        } catch (cause) {
          reject(new Error(`getting credentials: exec plugin ${command}: ${(cause as Error).message}`, { cause }));
        }
      });
    });
  }
}

function read(text: string, apiVersion: string): { credential: Credential; until: number } {
  const answer = JSON.parse(text) as { apiVersion?: unknown; kind?: unknown; status?: Record<string, unknown> } | null;
  if (answer?.kind !== 'ExecCredential' || answer.apiVersion !== apiVersion)
    throw new Error(`it did not print an ExecCredential of ${apiVersion}`);
  const string = (name: string) => {
    const value = answer.status?.[name];
    return typeof value === 'string' && value ? value : undefined;
  };
  const [token, cert, key] = [string('token'), string('clientCertificateData'), string('clientKeyData')];
  if (!token && !(cert && key)) throw new Error('it gave neither a token nor a certificate with its key');
  const ends = string('expirationTimestamp');
  const until = ends === undefined ? Infinity : Date.parse(ends) - EARLY;
  return { credential: { ...(token ? { token } : {}), ...(cert && key ? { cert, key } : {}) }, until };
}
