// The program `coracle`: the command line over this machine.

import { enableCompileCache } from 'node:module';

// What comes by the imports below is compiled once per machine and build.
enableCompileCache();
const [{ runCli }, { nodePlatform }] = await Promise.all([import('../cli/program.ts'), import('./node-platform.ts')]);
const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The second one means it.
    if (abort.signal.aborted) process.exit(130);
    abort.abort(new Error(signal));
  });
}
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
});
const terminal = {
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
  isTTY: process.stdout.isTTY === true,
  debug: process.env['CORACLE_DEBUG'] !== undefined,
};
const code = await runCli(process.argv.slice(2), nodePlatform(), terminal, abort.signal);
process.exitCode = code;
// What failed half way may still hold the process: it has said what there is to say.
if (code !== 0) setTimeout(() => process.exit(code), 300).unref();
