// What the command line needs of the rest: the verbs of a cluster's life and the components that run on their own.
// src/cluster implements it; the commands only parse, call and print.

import type { ChangeLife } from '../base/change-life.ts';
import type { LogLevel } from '../base/log.ts';

export type NodesMode = 'auto' | 'real' | 'simulated';

export interface UpOptions {
  readonly name: string;
  readonly dataDir: string | undefined;
  /** Undefined: 6443, or the next free one. */
  readonly port: number | undefined;
  readonly store: 'memory' | 'disk';
  readonly nodes: NodesMode;
  /** How many simulated nodes. */
  readonly nodeCount: number;
  readonly wait: boolean;
  /** Of single components, as `kubelet=debug,apiserver=warn`; info for all others. */
  readonly logLevels: string | undefined;
}

/** Where a cluster lies: its name and, when it is not the default, its folder. */
export interface ClusterSelector {
  readonly name: string;
  readonly dataDir: string | undefined;
}

export interface ClusterStatus {
  readonly name: string;
  readonly state: 'running' | 'starting' | 'stopped' | 'absent';
  readonly nodes: 'real' | 'simulated';
  readonly server: string;
  readonly dataDir: string;
  readonly pid: number;
  /** Milliseconds since the epoch; 0 when stopped. */
  readonly startedAt: number;
  /** When this was asked, in milliseconds since the epoch. */
  readonly now: number;
  readonly residentBytes: number;
  readonly components: readonly { readonly name: string; readonly healthy: boolean; readonly message: string }[];
  /** Of a running cluster: how many nodes and pods are in which state, as kubectl calls it; restarts of all containers. */
  readonly workload?: {
    readonly nodes: Readonly<Record<string, number>>;
    readonly pods: Readonly<Record<string, number>>;
    readonly restarts: number;
  };
  /** The first to end first; `notAfter` is RFC 3339. */
  readonly certificates?: readonly { readonly name: string; readonly notAfter: string }[];
  /** Figures of a running cluster, by name. */
  readonly figures?: readonly (readonly [name: string, text: string])[];
}

export interface Step {
  readonly name: string;
  /** Undefined while it runs. */
  readonly seconds?: number;
  readonly detail?: string;
}
export type StepSink = (step: Step) => void;

export interface UpResult {
  /** False when the cluster was up already. */
  readonly started: boolean;
  readonly status: ClusterStatus;
  readonly context: string;
  /** One sentence when simulated nodes stand in for real ones. */
  readonly notice: string | undefined;
}

/** As kubectl names objects: `resource` may be short, singular, with its group. */
export interface TracedObject {
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
}

/** Whom a kubeconfig is for. `server` replaces the address that the cluster goes by. */
export type KubeconfigFor = { readonly server?: string } & (
  | { readonly as: 'admin' }
  /** A node that joins: user system:node:<name>, group system:nodes. */
  | { readonly as: 'node'; readonly name: string }
  | { readonly as: 'component'; readonly name: 'scheduler' | 'controller-manager' | 'proxy' }
  | { readonly as: 'user'; readonly name: string; readonly groups: readonly string[] }
);

export interface ImageBuildOptions {
  readonly tag: string;
  /** A rootfs folder or a single static binary. */
  readonly source: string;
  readonly output: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  readonly workdir: string | undefined;
  readonly user: string | undefined;
  readonly labels: readonly string[];
}

export interface ImageInfo {
  readonly id: string;
  readonly tags: readonly string[];
  readonly size: number;
}

export interface LogOptions {
  /** One component's lines only. */
  readonly component: string | undefined;
  /** Lines of this level and worse. */
  readonly level: LogLevel | undefined;
  readonly follow: boolean;
  readonly tail: number | undefined;
}

export interface Platform {
  readonly version: { readonly coracle: string; readonly kubernetes: string };
  /** Starts a cluster; an abort takes back what was begun. */
  up(options: UpOptions, steps: StepSink, context?: { signal?: AbortSignal }): Promise<UpResult>;
  /** Runs the whole cluster in this process until the signal aborts. */
  foreground(options: UpOptions, steps: StepSink, context: { signal: AbortSignal }): Promise<void>;
  /** Stops the cluster; its data stays. False when it was not running. */
  down(cluster: ClusterSelector, steps: StepSink): Promise<boolean>;
  /** Stops the cluster and removes its data and its kubeconfig context. */
  delete(cluster: ClusterSelector, steps: StepSink): Promise<boolean>;
  status(cluster: ClusterSelector): Promise<ClusterStatus>;
  /** What followed from the last change of an object. Rejects with a UserError when nothing of it is remembered. */
  trace(cluster: ClusterSelector, about: TracedObject): Promise<ChangeLife>;
  /** A kubeconfig as YAML. */
  kubeconfig(cluster: ClusterSelector, whom: KubeconfigFor): Promise<string>;
  buildImage(options: ImageBuildOptions): Promise<{ readonly file: string; readonly digest: string }>;
  loadImage(cluster: ClusterSelector, file: string): Promise<readonly string[]>;
  images(cluster: ClusterSelector): Promise<readonly ImageInfo[]>;
  /** Writes a component's log lines; ends with the file unless `follow`. */
  logs(
    cluster: ClusterSelector,
    options: LogOptions,
    write: (line: string) => void,
    context: { signal: AbortSignal },
  ): Promise<void>;
  /** Brings the demo up or takes it down: what `npm start` and `npm stop` do. */
  demo(what: 'up' | 'down', write: (text: string) => void): Promise<void>;
  /** Runs one component on its own, with upstream's flags. */
  component(
    name: ComponentName,
    flags: Readonly<Record<string, string>>,
    context: { signal: AbortSignal },
  ): Promise<void>;
}

export type ComponentName = 'server' | 'agent' | 'scheduler' | 'controller-manager' | 'proxy';

/** A mistake of the user's or a state of the machine: printed as one sentence, exit code 1. */
export class UserError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = 'UserError';
    this.exitCode = exitCode;
  }
}
