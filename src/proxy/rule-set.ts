// What the kernel must know of Services, as plain elements of maps: no chain per Service, so that one change is a few
// elements whatever the size of the cluster. The driver in host/ turns elements into nftables; tests read them as they are.

export type Protocol = 'tcp' | 'udp' | 'sctp';

/** Where traffic arrives: an address and port of a Service, or a port of every node. */
export interface Frontend {
  /** Absent: a node port. */
  readonly ip?: string;
  readonly protocol: Protocol;
  readonly port: number;
}

export interface Backend {
  readonly ip: string;
  readonly port: number;
}

export interface Rule {
  readonly frontend: Frontend;
  /** In stable slots; empty refuses connections, or drops them when `drop`. */
  readonly backends: readonly Backend[];
  /** Refuse silently: a node without local endpoints, where others have some. */
  readonly drop: boolean;
  /** Seconds a client stays with its backend; 0 is no affinity. */
  readonly affinitySeconds: number;
  /** Keep the client's address for connections that come in at a node port (externalTrafficPolicy Local). */
  readonly keepSource: boolean;
  /** Only clients in these blocks (`192.0.2.0/24`) get through, others are dropped silently; absent: everybody. */
  readonly sources?: readonly string[];
}

export const frontendKey = ({ ip, protocol, port }: Frontend) => `${ip ?? '*'} ${protocol} ${port}`;

/** What changed between two states of the rules. */
export interface RuleChange {
  readonly before: Rule | undefined;
  readonly after: Rule | undefined;
}

/** Takes rules to the kernel. */
export interface RuleSink {
  /** Puts these rules in place of whatever is there. */
  replace(rules: Iterable<Rule>): Promise<void>;
  /** Applies changes in one transaction. Rejects when nothing was applied. */
  change(changes: readonly RuleChange[]): Promise<void>;
  /** Whether what was written is still there, as far as that can be told at the cost of a look. */
  intact(): Promise<boolean>;
  /** Ends what the sink keeps running; the rules stay. */
  close(): Promise<void>;
}
