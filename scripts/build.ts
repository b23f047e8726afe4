// Builds dist/: the CLI and the public entries as ES modules with shared chunks, the DNS server as one file (it goes
// into an image), and, unless told --no-types, the type declarations of the public entries.

import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { build, type BuildOptions } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
await import('./generate.ts');
rmSync(`${root}dist`, { recursive: true, force: true });

const common: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  outdir: 'dist',
  sourcemap: 'linked',
  // A native addon, and packages only some commands load, stay outside.
  external: ['lmdb'],
  // CommonJS packages inside an ES bundle still call require.
  banner: {
    js: "import { createRequire as __require_ } from 'node:module'; const require = __require_(import.meta.url);",
  },
  logLevel: 'warning',
};

const entries = {
  main: 'src/cluster/main.ts',
  index: 'src/cluster/index.ts',
  client: 'src/client/index.ts',
  controller: 'src/client/controller-public.ts',
  testing: 'src/cluster/testing.ts',
};
const present = Object.fromEntries(Object.entries(entries).filter(([, file]) => existsSync(`${root}${file}`)));
await build({ ...common, entryPoints: present, splitting: true, minifySyntax: true });
if (existsSync(`${root}src/cluster/dns-main.ts`)) {
  await build({ ...common, entryPoints: { dns: 'src/cluster/dns-main.ts' }, sourcemap: false, minify: true });
}

// Running does without them, and they take longer than all the rest.
if (process.argv.includes('--no-types')) process.exit(0);
const types = spawnSync(
  process.execPath,
  [`${root}node_modules/typescript/bin/tsc`, '-p', `${root}tsconfig.build.json`],
  { stdio: 'inherit' },
);
process.exit(types.status ?? 1);
