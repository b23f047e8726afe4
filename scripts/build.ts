// Builds dist/: the CLI and the public entries as ES modules with shared chunks, the DNS server as one file (it goes
// into an image), and, unless told --no-types, the type declarations of the public entries.

import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, rmSync } from 'node:fs';
import { build, type BuildOptions, type Plugin } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
await import('./generate.ts');
rmSync(`${root}dist`, { recursive: true, force: true });

/** The names that our sources import from each of Node's own modules. */
function namesFromNode(): Map<string, Set<string>> {
  const names = new Map<string, Set<string>>();
  for (const file of globSync(`${root}src/**/*.ts`)) {
    for (const [, list = '', module = ''] of readFileSync(file, 'utf8').matchAll(
      /^import \{([^}]*)\} from '(node:[^']+)';$/gm,
    )) {
      const own = names.get(module) ?? new Set();
      names.set(module, own);
      for (const name of list.split(',').map((part) => part.trim().split(' as ')[0]!)) {
        if (name && !name.startsWith('type ')) own.add(name);
      }
    }
  }
  return names;
}

/**
 * Takes from Node's modules just what is imported. An import statement reads every property of the module first, and some
 * are there only when they are read: `node:http` loads all of fetch and WebSockets with it, 40 ms and 3 MB.
 */
function leanNodeModules(): Plugin {
  const names = namesFromNode();
  return {
    name: 'lean-node-modules',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^node:/ }, ({ path, kind, importer }) =>
        kind === 'import-statement' && importer.startsWith(`${root}src/`) ? { path, namespace: 'node' } : undefined,
      );
      onLoad({ filter: /./, namespace: 'node' }, ({ path }) => ({
        contents: `export const { ${[...names.get(path)!].join(', ')} } = process.getBuiltinModule('${path}');`,
      }));
    },
  };
}

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
  plugins: [leanNodeModules()],
  logLevel: 'warning',
};

// The program and the library share no chunk, for no process loads both: each is in fewer pieces, which load more quickly.
const program = { main: 'src/cluster/main.ts' };
const library = {
  index: 'src/cluster/index.ts',
  client: 'src/client/index.ts',
  controller: 'src/client/controller-public.ts',
  testing: 'src/cluster/testing.ts',
};
for (const entryPoints of [program, library]) {
  await build({ ...common, entryPoints, splitting: true, minifySyntax: true });
}
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
