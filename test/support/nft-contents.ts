// What a table holds, in an order that does not depend on how it came about.

import { execFileSync, type StdioOptions } from 'node:child_process';

interface Held {
  readonly name: string;
  readonly elem?: readonly unknown[];
}

/** The elements of maps and sets, sorted; chains that no rule needs any more may stay, so they are left out. */
export function nftContents(netns: string, table: string): string[] {
  const args = [`--net=${netns}`, 'nft', '-j', 'list', 'table', 'ip', table];
  // nft warns that chains with maps have no form in JSON: chains are not what is compared.
  const stdio: StdioOptions = ['ignore', 'pipe', 'ignore'];
  const text = execFileSync('nsenter', args, { encoding: 'utf8', stdio, maxBuffer: 2 ** 26 });
  const { nftables } = JSON.parse(text) as { nftables: { map?: Held; set?: Held }[] };
  return nftables
    .flatMap(({ map, set }) => {
      const held = map ?? set;
      return held?.elem?.map((element) => `${held.name} ${JSON.stringify(element)}`) ?? [];
    })
    .sort();
}
