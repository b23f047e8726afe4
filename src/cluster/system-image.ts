// The image that Coracle's own pods run from: the built program and the shared libraries Node needs. Node itself, 125 MB, is
// mounted from where this process has it: nothing to copy, and both have the same pages in memory. No base image, no registry.

import { createHash } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildImage } from '../host/images/build.ts';
import { run } from '../host/run.ts';

/** The DNS program of this build: dist/dns.js, also when running from source. */
export function dnsProgram(): string {
  const here = fileURLToPath(new URL('.', import.meta.url));
  return here.endsWith('/dist/') ? join(here, 'dns.js') : join(here, '../../dist/dns.js');
}

/** What the DNS program's Node is told: names of a cluster need little, and floods make garbage. */
export const DNS_NODE_FLAGS = ['--max-old-space-size=96', '--max-semi-space-size=1'];

/** Where a pod finds Node: there `systemNode` is to be mounted. */
export const NODE_IN_IMAGE = '/usr/bin/node';

/** The Node binary of this process. */
export const systemNode = () => realpathSync(process.execPath);

/** Named after what is in it, so that a new build is a new image. */
export async function systemImageName(program: string): Promise<string> {
  const hash = createHash('sha256').update(process.version).update(readFileSync(program));
  return `coracle.local/dns:${hash.digest('hex').slice(0, 12)}`;
}

/** Paths of the libraries a binary loads, and of its loader. */
async function librariesOf(binary: string): Promise<string[]> {
  const listing = await run('ldd', [binary]);
  return [...listing.matchAll(/(?:=> )?(\/\S+) \(0x[0-9a-f]+\)/g)].map((m) => m[1]!);
}

/** Builds the archive below `dir`; resolves to its path. */
export async function buildSystemImage(program: string, name: string, dir: string): Promise<string> {
  const libraries = await librariesOf(systemNode());
  const output = join(dir, 'system-image.tar');
  await buildImage({
    name,
    output,
    files: [
      { path: NODE_IN_IMAGE, source: Buffer.alloc(0), mode: 0o755 },
      ...libraries.map((path) => ({ path, source: realpathSync(path), mode: 0o755 })),
      { path: '/app/package.json', source: Buffer.from('{"type":"module"}') },
      { path: '/app/dns.js', source: program },
    ],
    entrypoint: [NODE_IN_IMAGE, ...DNS_NODE_FLAGS, '/app/dns.js'],
    workdir: '/app',
  });
  return output;
}
