// The kernel's side of Services: one nftables table of maps. A frontend leads by a verdict map to a chain made for its
// number of backends; that chain picks one at random from a map by (frontend, index). Session affinity keeps the index of
// each client in a map with a timeout. Frontends without backends are refused in the filter hooks, before NAT.
// Changes go as single elements through a shell that stays: what nft needs to know for them does not grow with the table.
// https://wiki.nftables.org/wiki-nftables/index.php/Verdict_Maps_(vmaps)

import type { Backend, Rule, RuleChange, RuleSink } from '../proxy/rule-set.ts';
import { NetShell } from './net-shell.ts';
import {
  addElement,
  addRule,
  BASE_CHAINS,
  dropSame,
  OWN_SETS,
  skeleton,
  type Chains,
  type Elements,
  type NftablesTable,
} from './nftables-script.ts';
import { forgetChanged, forgetStale } from './udp-flows.ts';

export interface NftablesOptions extends NftablesTable {
  /** Runs in this network namespace (a path); the current one unless told. */
  readonly netns?: string;
  /** Told what went wrong with the flows of gone endpoints; the rules are right all the same. */
  readonly warn?: (message: string) => void;
}

const flush = (table: string) => (set: string) => {
  const [what, name] = set.split(' ');
  return `flush ${what} ip ${table} ${name}`;
};

/** Longer scripts get a shell of their own: the one that stays would keep their memory. */
const LONGEST = 128 * 1024;

export class NftablesSink implements RuleSink {
  readonly #options: NftablesOptions;
  readonly #shell: NetShell;
  /** For conntrack, which must not keep a transaction waiting. */
  readonly #flowShell: NetShell;
  readonly #chains = new Set<string>();
  /** How many rules use each backend address: its hairpin element lives as long as one does. */
  readonly #hairpin = new Map<string, number>();
  #flows: Promise<void> = Promise.resolve();

  constructor(options: NftablesOptions) {
    this.#options = options;
    this.#shell = new NetShell(options.netns);
    this.#flowShell = new NetShell(options.netns);
  }

  /** Clients with affinity stay where they are when the table was this one's before. */
  async replace(rules: Iterable<Rule>): Promise<void> {
    const all = [...rules];
    this.#chains.clear();
    this.#hairpin.clear();
    const elements: Elements = new Map();
    const chains: Chains = { wanted: new Map() };
    for (const rule of all) {
      addRule(rule, elements, chains);
      for (const { ip } of rule.backends) this.#hairpin.set(ip, (this.#hairpin.get(ip) ?? 0) + 1);
    }
    for (const ip of this.#hairpin.keys()) addElement(elements, 'hairpin', `${ip} . ${ip}`, '');
    const { table } = this.#options;
    const { maps, hooks } = skeleton(this.#options);
    const contents = [hooks, this.#declareChains(chains), ...this.#elements('add', elements)];
    const emptied = [`flush table ip ${table}`, ...OWN_SETS.map(flush(table))];
    try {
      await this.#commit([maps, ...emptied, ...contents]).catch(() =>
        // What is there is of another shape: another version's, or somebody else's.
        this.#commit([`table ip ${table} {}`, `delete table ip ${table}`, maps, ...contents]),
      );
    } catch (error) {
      this.#chains.clear();
      throw error;
    }
    this.#afterwards(() => forgetStale(this.#flowShell, all, this.#options.serviceCidr));
  }

  async change(changes: readonly RuleChange[]): Promise<void> {
    const gone: Elements = new Map();
    const come: Elements = new Map();
    const chains: Chains = { wanted: new Map() };
    const uses = new Map<string, number>();
    const count = (backends: readonly Backend[], by: number) => {
      for (const { ip } of backends) uses.set(ip, (uses.get(ip) ?? 0) + by);
    };
    for (const { before, after } of changes) {
      if (before) addRule(before, gone, { wanted: new Map() });
      if (after) addRule(after, come, chains);
      count(before?.backends ?? [], -1);
      count(after?.backends ?? [], 1);
    }
    for (const [ip, by] of uses) {
      const used = this.#hairpin.get(ip) ?? 0;
      if (used === 0 && by > 0) addElement(come, 'hairpin', `${ip} . ${ip}`, '');
      if (used > 0 && used + by === 0) addElement(gone, 'hairpin', `${ip} . ${ip}`, '');
    }
    dropSame(gone, come);
    await this.#commit([
      this.#declareChains(chains),
      ...this.#elements('delete', gone),
      ...this.#elements('add', come),
    ]);
    for (const [ip, by] of uses) {
      const used = (this.#hairpin.get(ip) ?? 0) + by;
      if (used > 0) this.#hairpin.set(ip, used);
      else this.#hairpin.delete(ip);
    }
    this.#afterwards(() => forgetChanged(this.#flowShell, changes));
  }

  /** Whether the table stands: `nft flush ruleset` and the removal of a chain show, a lost element does not. */
  async intact(): Promise<boolean> {
    // Of all listings this one reads no elements, so that it costs the same whatever the table holds.
    const { code, output } = await this.#shell.run('nft list chains ip');
    if (code !== 0) throw new Error(`nft list chains ip: ${output.trim().slice(0, 1000)}`);
    const start = output.indexOf(`table ip ${this.#options.table} {`);
    if (start < 0) return false;
    const own = output.slice(start, output.indexOf('\n}', start));
    const there = new Set([...own.matchAll(/^\s*chain (\S+) \{/gm)].map((match) => match[1]));
    return [...BASE_CHAINS, ...this.#chains].every((name) => there.has(name));
  }

  /** Ends what is kept running; the rules stay. Resolves when gone endpoints' flows have been seen to. */
  async close(): Promise<void> {
    await this.#flows;
    this.#shell.close();
    this.#flowShell.close();
  }

  /** Removes the table. */
  async remove(): Promise<void> {
    const { table } = this.#options;
    await this.#commit([`table ip ${table} {}`, `delete table ip ${table}`]);
    await this.close();
  }

  /** One transaction. Rejects with nft's words when nothing was done. */
  async #commit(lines: readonly string[]): Promise<void> {
    const script = lines.filter((line) => line !== '').join('\n');
    if (script === '') return;
    const shell = script.length > LONGEST ? new NetShell(this.#options.netns) : this.#shell;
    const done = shell.run('nft -f -', script);
    if (shell !== this.#shell) shell.close();
    const { code, output } = await done;
    if (code !== 0) throw new Error(`nft: ${output.trim().split('\n').slice(0, 3).join('; ')}`);
  }

  #afterwards(work: () => Promise<void>): void {
    this.#flows = this.#flows.then(work).catch((error: unknown) => this.#options.warn?.((error as Error).message));
  }

  #declareChains(chains: Chains): string {
    const lines: string[] = [];
    for (const [name, rules] of chains.wanted) {
      if (this.#chains.has(name)) continue;
      this.#chains.add(name);
      const { table } = this.#options;
      lines.push(
        `add chain ip ${table} ${name}`,
        `flush chain ip ${table} ${name}`,
        ...rules.map((rule) => `add rule ip ${table} ${name} ${rule}`),
      );
    }
    return lines.join('\n');
  }

  #elements(verb: 'add' | 'delete', elements: Elements): string[] {
    return [...elements].flatMap(([map, entries]) => {
      if (entries.size === 0) return [];
      const list = [...entries].map(([key, value]) => (verb === 'add' && value ? `${key} : ${value}` : key));
      return [`${verb} element ip ${this.#options.table} ${map} { ${list.join(', ')} }`];
    });
  }
}
