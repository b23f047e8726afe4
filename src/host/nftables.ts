// The kernel's side of Services: one nftables table of maps. A frontend leads by a verdict map to a chain made for its
// number of backends; that chain picks one at random from a map by (frontend, index). Session affinity keeps the index of
// each client in a map with a timeout. Frontends without backends are refused in the filter hooks, before NAT.
// https://wiki.nftables.org/wiki-nftables/index.php/Verdict_Maps_(vmaps)

import { spawn } from 'node:child_process';
import type { Backend, Protocol, Rule, RuleChange, RuleSink } from '../proxy/rule-set.ts';

export interface NftablesOptions {
  /** The table's name (family ip): one for each cluster on the machine. */
  readonly table: string;
  readonly podCidr: string;
  readonly serviceCidr: string;
  /** Runs in this network namespace (a path); the current one unless told. */
  readonly netns?: string;
}

/** Runs a program in the namespace with text on its standard input. Rejects with what it wrote to stderr. */
function run(netns: string | undefined, command: readonly string[], input: string): Promise<string> {
  const [program, ...args] = netns ? ['nsenter', `--net=${netns}`, ...command] : command;
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', reject);
    child.stdin.on('error', () => {});
    child.on('close', (code) => {
      if (code === 0) return resolve(Buffer.concat(out).toString());
      reject(
        new Error(
          `${command.join(' ')} failed: ${Buffer.concat(err).toString().trim().split('\n').slice(0, 3).join('; ')}`,
        ),
      );
    });
    child.stdin.end(input);
  });
}

const FRONTEND = 'ip daddr . meta l4proto . th dport';
const NODE_FRONTEND = 'meta l4proto . th dport';
const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const;

/** Elements as `map` -> key -> value text; sets have empty values. */
type Elements = Map<string, Map<string, string>>;

function add(elements: Elements, map: string, key: string, value: string): void {
  let entries = elements.get(map);
  if (!entries) elements.set(map, (entries = new Map()));
  entries.set(key, value);
}

interface Chains {
  /** Chain names with their rules, made on demand. */
  readonly wanted: Map<string, string[]>;
}

/**
 * The chain that spreads over `n` backends: for a frontend with an address or a node port, with or without affinity, one
 * for each protocol. nft 1.0 adds a match on TCP to a translation of ports unless the rule names its protocol itself.
 */
function chainFor(rule: Rule, chains: Chains): string {
  const n = rule.backends.length;
  const node = rule.frontend.ip === undefined;
  const { protocol } = rule.frontend;
  const key = `${node ? '' : 'ip daddr . '}${protocol} dport`;
  const kind = node ? 'node' : 'vip';
  const translate = `meta l4proto ${protocol} dnat ip to ${key}`;
  if (rule.affinitySeconds === 0) {
    const name = `${kind}-${protocol}-${n}`;
    chains.wanted.set(name, [`${translate} . numgen random mod ${n} map @${kind}-${protocol}-backends`]);
    return name;
  }
  const name = `${kind}-${protocol}-sticky-${n}-${rule.affinitySeconds}`;
  const sticky = `${kind}-sticky`;
  const client = `${node ? NODE_FRONTEND : FRONTEND} . ip saddr`;
  const remember = `update @${sticky} { ${client} timeout ${rule.affinitySeconds}s : meta mark }`;
  const forward = `${translate} . meta mark map @${kind}-${protocol}-sticky-backends`;
  chains.wanted.set(name, [
    'meta mark set 0',
    `meta mark set ${client} map @${sticky}`,
    // A remembered slot that no longer exists counts as none.
    `meta mark > ${n} meta mark set 0`,
    `meta mark 0 meta mark set numgen random mod ${n} offset 1`,
    remember,
    forward,
  ]);
  return name;
}

function addRule(rule: Rule, elements: Elements, chains: Chains): void {
  const { ip, protocol, port } = rule.frontend;
  const node = ip === undefined;
  const key = node ? `${protocol} . ${port}` : `${ip} . ${protocol} . ${port}`;
  if (rule.backends.length === 0) {
    add(elements, node ? 'node-refused' : 'vip-refused', key, rule.drop ? 'drop' : 'goto refuse');
    return;
  }
  const kind = node ? 'node' : 'vip';
  add(elements, kind, key, `goto ${chainFor(rule, chains)}`);
  rule.backends.forEach((backend, i) => {
    const target = `${backend.ip} . ${backend.port}`;
    const slot = node ? `${port}` : `${ip} . ${port}`;
    if (rule.affinitySeconds === 0) add(elements, `${kind}-${protocol}-backends`, `${slot} . ${i}`, target);
    else add(elements, `${kind}-${protocol}-sticky-backends`, `${slot} . ${i + 1}`, target);
  });
  if (node && rule.keepSource) add(elements, 'keep-source', key, '');
}

export class NftablesSink implements RuleSink {
  readonly #options: NftablesOptions;
  readonly #chains = new Set<string>();
  /** How many rules use each backend address: its hairpin element lives as long as one does. */
  readonly #hairpin = new Map<string, number>();

  constructor(options: NftablesOptions) {
    this.#options = options;
  }

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
    for (const ip of this.#hairpin.keys()) add(elements, 'hairpin', `${ip} . ${ip}`, '');
    const { table } = this.#options;
    const made = this.#declareChains(chains);
    const script = [
      `table ip ${table} {}`,
      `delete table ip ${table}`,
      skeleton(this.#options),
      made,
      ...this.#elements('add', elements),
    ];
    try {
      await run(this.#options.netns, ['nft', '-f', '-'], script.join('\n') + '\n');
    } catch (error) {
      this.#chains.clear();
      throw error;
    }
  }

  async change(changes: readonly RuleChange[]): Promise<void> {
    const gone: Elements = new Map();
    const come: Elements = new Map();
    const chains: Chains = { wanted: new Map() };
    const hairpin = new Map(this.#hairpin);
    const count = (backends: readonly Backend[], by: number) => {
      for (const { ip } of backends) hairpin.set(ip, (hairpin.get(ip) ?? 0) + by);
    };
    for (const { before, after } of changes) {
      if (before) addRule(before, gone, { wanted: new Map() });
      if (after) addRule(after, come, chains);
      count(before?.backends ?? [], -1);
      count(after?.backends ?? [], 1);
    }
    for (const [ip, uses] of hairpin) {
      if (uses > 0 && !this.#hairpin.get(ip)) add(come, 'hairpin', `${ip} . ${ip}`, '');
      if (uses <= 0) {
        add(gone, 'hairpin', `${ip} . ${ip}`, '');
        hairpin.delete(ip);
      }
    }
    dropSame(gone, come);
    const script = [
      this.#declareChains(chains),
      ...this.#elements('delete', gone),
      ...this.#elements('add', come),
    ].filter((line) => line !== '');
    if (script.length) await run(this.#options.netns, ['nft', '-f', '-'], script.join('\n') + '\n');
    this.#hairpin.clear();
    for (const [ip, uses] of hairpin) this.#hairpin.set(ip, uses);
    await this.#forgetUdp(changes);
  }

  /** Removes the table. */
  async remove(): Promise<void> {
    const { table, netns } = this.#options;
    await run(netns, ['nft', '-f', '-'], `table ip ${table} {}\ndelete table ip ${table}\n`);
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

  /** UDP has no end: flows to a backend that went would go on into nothing, so their tracking entries are removed. */
  async #forgetUdp(changes: readonly RuleChange[]): Promise<void> {
    for (const { before, after } of changes) {
      const { protocol, ip, port } = (before ?? after)!.frontend;
      if (protocol !== 'udp') continue;
      const left = new Set(after?.backends.map((b) => b.ip));
      const origin = ip ? ['--orig-dst', ip] : ['--orig-port-dst', String(port)];
      const gone = (before?.backends ?? []).filter((b) => !left.has(b.ip)).map((b) => ['--dst-nat', b.ip]);
      // Packets sent before there was a backend have left entries without translation.
      const first = before?.backends.length === 0 && left.size > 0 ? [[]] : [];
      for (const more of [...gone, ...first]) {
        // Exit code 1 says that there was nothing to delete.
        await run(this.#options.netns, ['conntrack', '-D', '-p', 'udp', ...origin, ...more], '').catch(() => {});
      }
    }
  }
}

/** Leaves alone what is to be deleted and added again with the same value. */
function dropSame(gone: Elements, come: Elements): void {
  for (const [map, entries] of gone) {
    const added = come.get(map);
    for (const [key, value] of entries) {
      if (added?.get(key) !== value) continue;
      entries.delete(key);
      added.delete(key);
    }
  }
}

const map = (name: string, type: string, more = '') => `map ${name} {\n typeof ${type}\n ${more}\n}\n`;

/** Where the slots of frontends lead, apart for each protocol: nft ties the types of ports to one. */
function backendMaps(protocol: Protocol): string {
  const port = `${protocol} dport`;
  const target = `ip daddr . ${port}`;
  const sticky = `${protocol}-sticky-backends`;
  return (
    map(`vip-${protocol}-backends`, `ip daddr . ${port} . numgen random mod 2 : ${target}`) +
    map(`node-${protocol}-backends`, `${port} . numgen random mod 2 : ${target}`) +
    map(`vip-${sticky}`, `ip daddr . ${port} . meta mark : ${target}`) +
    map(`node-${sticky}`, `${port} . meta mark : ${target}`)
  );
}

function skeleton({ table, podCidr, serviceCidr }: NftablesOptions): string {
  return `table ip ${table} {
${map('vip', `${FRONTEND} : verdict`)}${map('node', `${NODE_FRONTEND} : verdict`)}
${map('vip-refused', `${FRONTEND} : verdict`)}${map('node-refused', `${NODE_FRONTEND} : verdict`)}
${PROTOCOLS.map(backendMaps).join('')}
${map('vip-sticky', `${FRONTEND} . ip saddr : meta mark`, 'flags dynamic,timeout\n size 262144')}
${map('node-sticky', `${NODE_FRONTEND} . ip saddr : meta mark`, 'flags dynamic,timeout\n size 262144')}
set hairpin {
 typeof ip saddr . ip daddr
}
set keep-source {
 typeof ${NODE_FRONTEND}
}
chain refuse {
 meta l4proto tcp reject with tcp reset
 reject with icmp type port-unreachable
}
chain services {
 ${FRONTEND} vmap @vip
 fib daddr type local ip daddr != 127.0.0.0/8 jump node-ports
}
chain node-ports {
 ${NODE_FRONTEND} @keep-source ${NODE_FRONTEND} vmap @node
 ct mark set ct mark or 0x4000 ${NODE_FRONTEND} vmap @node
}
chain refused {
 ${FRONTEND} vmap @vip-refused
 fib daddr type local ${NODE_FRONTEND} vmap @node-refused
}
chain prerouting {
 type nat hook prerouting priority -100
 jump services
}
chain output {
 type nat hook output priority -100
 jump services
}
chain postrouting {
 type nat hook postrouting priority 100
 ip saddr . ip daddr @hairpin masquerade
 ct status dnat ct original ip daddr ${serviceCidr} ip saddr != ${podCidr} masquerade
 ct status dnat ct mark and 0x4000 == 0x4000 masquerade
}
chain refuse-forwarded {
 type filter hook prerouting priority -110
 ct state new jump refused
}
chain refuse-local {
 type filter hook output priority -110
 ct state new jump refused
}
}`;
}
