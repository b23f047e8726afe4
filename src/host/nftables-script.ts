// Rules as text for nft: elements of maps, the chains that spread over backends, and the table around them. Pure.

import type { Protocol, Rule } from '../proxy/rule-set.ts';

export interface NftablesTable {
  /** The table's name (family ip): one for each cluster on the machine. */
  readonly table: string;
  readonly podCidr: string;
  readonly serviceCidr: string;
}

const FRONTEND = 'ip daddr . meta l4proto . th dport';
const NODE_FRONTEND = 'meta l4proto . th dport';
const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const;

/** Elements as `map` -> key -> value text; sets have empty values. */
export type Elements = Map<string, Map<string, string>>;

export function addElement(elements: Elements, map: string, key: string, value: string): void {
  let entries = elements.get(map);
  if (!entries) elements.set(map, (entries = new Map()));
  entries.set(key, value);
}

export interface Chains {
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

/** Blocks in their shortest form, without those that lie in another: the kernel takes no overlaps. */
function withoutInner(blocks: readonly string[]): string[] {
  const parsed = blocks.map((text) => {
    const [ip = '', length = '32'] = text.split('/');
    const size = 2 ** (32 - Number(length));
    const address = ip.split('.').reduce((all, part) => all * 256 + Number(part), 0);
    return { start: Math.floor(address / size) * size, size, length };
  });
  const outer = parsed.filter(
    (one, i) =>
      !parsed.some(
        (other, j) =>
          i !== j &&
          other.start <= one.start &&
          one.start + one.size <= other.start + other.size &&
          (other.size > one.size || j < i),
      ),
  );
  return outer.map(
    ({ start, length }) => `${[24, 16, 8, 0].map((by) => Math.floor(start / 2 ** by) % 256).join('.')}/${length}`,
  );
}

export function addRule(rule: Rule, elements: Elements, chains: Chains): void {
  const { ip, protocol, port } = rule.frontend;
  const node = ip === undefined;
  const key = node ? `${protocol} . ${port}` : `${ip} . ${protocol} . ${port}`;
  if (rule.sources && !node) {
    addElement(elements, 'restricted', key, '');
    for (const block of withoutInner(rule.sources)) addElement(elements, 'admitted', `${key} . ${block}`, '');
  }
  if (rule.backends.length === 0) {
    addElement(elements, node ? 'node-refused' : 'vip-refused', key, rule.drop ? 'drop' : 'goto refuse');
    return;
  }
  const kind = node ? 'node' : 'vip';
  addElement(elements, kind, key, `goto ${chainFor(rule, chains)}`);
  rule.backends.forEach((backend, i) => {
    const target = `${backend.ip} . ${backend.port}`;
    const slot = node ? `${port}` : `${ip} . ${port}`;
    if (rule.affinitySeconds === 0) addElement(elements, `${kind}-${protocol}-backends`, `${slot} . ${i}`, target);
    else addElement(elements, `${kind}-${protocol}-sticky-backends`, `${slot} . ${i + 1}`, target);
  });
  if (node && rule.keepSource) addElement(elements, 'keep-source', key, '');
}

/** Leaves alone what is to be deleted and added again with the same value. */
export function dropSame(gone: Elements, come: Elements): void {
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

/** What of the table holds rules; the maps of clients with affinity are not among it. */
export const OWN_SETS: readonly string[] = [
  ...['vip', 'node', 'vip-refused', 'node-refused'].map((name) => `map ${name}`),
  ...PROTOCOLS.flatMap((protocol) =>
    ['', 'sticky-'].flatMap((sticky) => ['vip', 'node'].map((kind) => `map ${kind}-${protocol}-${sticky}backends`)),
  ),
  'set hairpin',
  'set keep-source',
  'set restricted',
  'set admitted',
];

/** The table's chains that are always there. */
export const BASE_CHAINS = [
  'refuse',
  'services',
  'node-ports',
  'refused',
  'prerouting',
  'output',
  'postrouting',
  'refuse-forwarded',
  'refuse-local',
] as const;

const STICKY = 'flags dynamic,timeout\n size 262144';

/** The table with its maps, harmless to declare again, and its chains with their rules. */
export function skeleton({ table, podCidr, serviceCidr }: NftablesTable): {
  readonly maps: string;
  readonly hooks: string;
} {
  const maps = `table ip ${table} {
${map('vip', `${FRONTEND} : verdict`)}${map('node', `${NODE_FRONTEND} : verdict`)}
${map('vip-refused', `${FRONTEND} : verdict`)}${map('node-refused', `${NODE_FRONTEND} : verdict`)}
${PROTOCOLS.map(backendMaps).join('')}
${map('vip-sticky', `${FRONTEND} . ip saddr : meta mark`, STICKY)}
${map('node-sticky', `${NODE_FRONTEND} . ip saddr : meta mark`, STICKY)}
set hairpin {
 typeof ip saddr . ip daddr
}
set keep-source {
 typeof ${NODE_FRONTEND}
}
set restricted {
 typeof ${FRONTEND}
}
set admitted {
 typeof ${FRONTEND} . ip saddr
 flags interval
}
}`;
  const hooks = `table ip ${table} {
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
 ${FRONTEND} @restricted ${FRONTEND} . ip saddr != @admitted drop
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
  return { maps, hooks };
}
