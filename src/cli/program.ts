// The command line `coracle`: every command in one table of commander definitions; the work is the Platform's.

import type { LogLevel } from '../base/log.ts';
import { Command, InvalidArgumentError, Option } from 'commander';
import { parseLogLevels } from '../base/log.ts';
import { componentFlags } from './component-flags.ts';
import { lifeText } from './print-life.ts';
import { printImages, printStatus, stepPrinter, type Terminal } from './output.ts';
import {
  UserError,
  type ClusterSelector,
  type ComponentName,
  type KubeconfigFor,
  type NodesMode,
  type Platform,
  type UpOptions,
} from './platform.ts';

export const DEFAULT_NAME = 'coracle';

function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 65535) throw new InvalidArgumentError('a port is 1 to 65535.');
  return value;
}
function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('a whole number is needed.');
  return value;
}
function clusterName(text: string): string {
  if (!/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/.test(text))
    throw new InvalidArgumentError(
      'a name has at most 32 lower case letters, digits and dashes, and starts and ends with a letter or digit.',
    );
  return text;
}
function logLevels(text: string): string {
  try {
    parseLogLevels(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}
const collect = (value: string, previous: readonly string[]) => [...previous, value];

const nameOption = () => new Option('--name <name>', 'the cluster').default(DEFAULT_NAME).argParser(clusterName);
const dataDirOption = () => new Option('--data-dir <folder>', 'where it keeps its state (default: by its name)');
const outputOption = () =>
  new Option('-o, --output <format>', 'text or json').choices(['text', 'json']).default('text');

interface Selected {
  name: string;
  dataDir?: string;
}
const versionLine = ({ version }: Platform) => `Coracle ${version.coracle} (Kubernetes API ${version.kubernetes})`;
const selectorOf = (o: Selected): ClusterSelector => ({ name: o.name, dataDir: o.dataDir });

/** Runs the command line; resolves to the exit code. */
export async function runCli(
  argv: readonly string[],
  platform: Platform,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  const program = new Command('coracle')
    .description('A Kubernetes you can carry: the whole system in one package.')
    .version(versionLine(platform), '-V, --version', 'print the versions')
    .exitOverride()
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .showHelpAfterError('(run with --help for what is possible)');
  lifeCommands(program, platform, terminal, signal);
  lookCommands(program, platform, terminal, signal);
  imageCommands(program, platform, terminal);
  componentCommands(program, platform, signal);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (error) {
    return exitCodeOf(error, terminal);
  }
}

function exitCodeOf(error: unknown, terminal: Terminal): number {
  if (error instanceof UserError) {
    terminal.err(`coracle: ${error.message}\n`);
    return error.exitCode;
  }
  const code = (error as { code?: string }).code ?? '';
  if (code.startsWith('commander.')) return (error as { exitCode?: number }).exitCode ?? 1;
  terminal.err(`coracle: ${error instanceof Error ? (terminal.debug ? error.stack : error.message) : String(error)}\n`);
  return 1;
}

interface UpFlags extends Selected {
  port?: number;
  store: 'memory' | 'disk';
  nodes: NodesMode;
  nodeCount: number;
  wait: boolean;
  logLevels?: string;
  foreground?: boolean;
  output: string;
}

function lifeCommands(program: Command, platform: Platform, terminal: Terminal, signal: AbortSignal): void {
  program
    .command('up')
    .description('start a cluster, or say that it is up')
    .addOption(nameOption())
    .addOption(dataDirOption())
    .option('--port <port>', 'the API port (default: 6443, or the next free one)', port)
    .addOption(new Option('--store <kind>', 'where objects are kept').choices(['disk', 'memory']).default('disk'))
    .addOption(
      new Option('--nodes <kind>', 'real containers, simulated ones, or real where possible')
        .choices(['auto', 'real', 'simulated'])
        .default('auto'),
    )
    .option('--node-count <n>', 'how many simulated nodes', count, 1)
    .option('--foreground', 'run in this process until interrupted')
    .option('--no-wait', 'do not wait until the node is Ready')
    .option('--log-levels <pairs>', 'log levels of components, like kubelet=debug,apiserver=warn', logLevels)
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExamples:\n  coracle up\n  coracle up --name second --store memory\n  coracle up --nodes simulated --node-count 5',
    )
    .action(async (flags: UpFlags) => {
      const { dataDir, port, logLevels } = flags;
      const options: UpOptions = { ...flags, dataDir, port, logLevels };
      const steps = stepPrinter(terminal, flags.output === 'json');
      if (flags.foreground) return platform.foreground(options, steps, { signal });
      const result = await platform.up(options, steps, { signal });
      if (flags.output === 'json') return terminal.out(`${JSON.stringify(result)}\n`);
      if (result.notice) terminal.out(`${result.notice}\n`);
      const { server, nodes } = result.status;
      const where = nodes === 'simulated' ? `${server}, with SIMULATED nodes` : server;
      terminal.out(
        result.started
          ? `Cluster ${flags.name} is up at ${where}. Try: kubectl --context ${result.context} get nodes\n`
          : `Cluster ${flags.name} is up already at ${where}: nothing changed.\n`,
      );
    });
  for (const [verb, text, done, idle] of [
    ['down', 'stop a cluster; its data stays', 'stopped', 'was not running'],
    ['delete', 'stop a cluster and remove everything it left', 'deleted', 'does not exist'],
  ] as const) {
    program
      .command(verb)
      .description(text)
      .addOption(nameOption())
      .addOption(dataDirOption())
      .addHelpText('after', `\nExamples:\n  coracle ${verb}\n  coracle ${verb} --name second`)
      .action(async (flags: Selected) => {
        const did = await platform[verb](selectorOf(flags), stepPrinter(terminal, false));
        terminal.out(`Cluster ${flags.name} ${did ? done : idle}.\n`);
      });
  }
  program
    .command('demo', { hidden: true })
    .argument('<what>')
    .action((what: string) => {
      if (what !== 'up' && what !== 'down') throw new UserError('demo is `up` or `down`');
      return platform.demo(what, terminal.out);
    });
}

function lookCommands(program: Command, platform: Platform, terminal: Terminal, signal: AbortSignal): void {
  program
    .command('status')
    .description('tell how a cluster is; exit code 1 when it is not running')
    .addOption(nameOption())
    .addOption(dataDirOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExamples:\n  coracle status\n  coracle status -o json')
    .action(async (flags: Selected & { output: string }) => {
      const status = await platform.status(selectorOf(flags));
      if (flags.output === 'json') terminal.out(`${JSON.stringify(status)}\n`);
      else printStatus(status, terminal);
      if (status.state !== 'running') throw new UserError(`cluster ${flags.name} is ${status.state}`);
    });
  kubeconfigCommand(program, platform, terminal);
  traceCommand(program, platform, terminal);
  program
    .command('logs')
    .description("print the cluster's own log, or one component's lines of it")
    .argument('[component]', 'e.g. apiserver, scheduler, kubelet, proxy, deployment-controller')
    .addOption(nameOption())
    .addOption(dataDirOption())
    .option('-f, --follow', 'go on as lines arrive')
    .option('--tail <n>', 'only the last lines', count)
    .addOption(
      new Option('--level <level>', 'only lines of this level and worse').choices(['debug', 'info', 'warn', 'error']),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  coracle logs\n  coracle logs kubelet -f\n  coracle logs --level warn --tail 20',
    )
    .action((component: string | undefined, flags: Selected & { follow?: boolean; tail?: number; level?: LogLevel }) =>
      platform.logs(
        selectorOf(flags),
        { component, level: flags.level, follow: flags.follow ?? false, tail: flags.tail },
        (line) => terminal.out(`${line}\n`),
        { signal },
      ),
    );
  program
    .command('version')
    .description('print the versions')
    .addOption(outputOption())
    .addHelpText('after', '\nExamples:\n  coracle version\n  coracle version -o json')
    .action((flags: { output: string }) => {
      terminal.out(flags.output === 'json' ? `${JSON.stringify(platform.version)}\n` : `${versionLine(platform)}\n`);
    });
}

function traceCommand(program: Command, platform: Platform, terminal: Terminal): void {
  program
    .command('trace')
    .description('show the life of the last change of an object, through every component, with times')
    .argument('<kind/name>', 'e.g. deployment/web, svc/web, pod/web-0')
    .option('-n, --namespace <namespace>', 'its namespace', 'default')
    .addOption(nameOption())
    .addOption(dataDirOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExamples:\n  coracle trace deployment/web\n  coracle trace svc/dns -n kube-system -o json')
    .action(async (text: string, flags: Selected & { namespace: string; output: string }) => {
      const [, resource, name] = /^([^/]+)\/([^/]+)$/.exec(text) ?? [];
      if (!resource || !name) throw new UserError(`write ${text} like deployment/web: a kind and a name`);
      const life = await platform.trace(selectorOf(flags), { resource, name, namespace: flags.namespace });
      terminal.out(flags.output === 'json' ? `${JSON.stringify(life)}\n` : lifeText(life, { colors: terminal.isTTY }));
    });
}

interface KubeconfigFlags extends Selected {
  node?: string;
  component?: 'scheduler' | 'controller-manager' | 'proxy';
  user?: string;
  group: string[];
  server?: string;
}

function kubeconfigCommand(program: Command, platform: Platform, terminal: Terminal): void {
  program
    .command('kubeconfig')
    .description("print a kubeconfig: the administrator's, or a new one for a node, a component or a person")
    .addOption(nameOption())
    .addOption(dataDirOption())
    .addOption(new Option('--node <name>', 'for a node that joins with coracle agent').conflicts(['component', 'user']))
    .addOption(
      new Option('--component <name>', 'for a component that runs on its own')
        .choices(['scheduler', 'controller-manager', 'proxy'])
        .conflicts(['node', 'user']),
    )
    .addOption(new Option('--user <name>', 'for a user of this name').conflicts(['node', 'component']))
    .option('--group <name>', 'a group of the user (repeat it)', collect, [])
    .option('--server <url>', 'the address to name, where others reach the server by another')
    .addHelpText(
      'after',
      '\nExamples:\n  coracle kubeconfig > /tmp/kubeconfig && KUBECONFIG=/tmp/kubeconfig kubectl get nodes' +
        '\n  coracle kubeconfig --node worker-1 > worker-1.kubeconfig' +
        '\n  coracle kubeconfig --data-dir /var/lib/coracle/server --component scheduler > scheduler.kubeconfig' +
        '\n  coracle kubeconfig --user jane --group developers > jane.kubeconfig',
    )
    .action(async (flags: KubeconfigFlags) =>
      terminal.out(await platform.kubeconfig(selectorOf(flags), kubeconfigFor(flags))),
    );
}

function kubeconfigFor({ node, component, user, group, server }: KubeconfigFlags): KubeconfigFor {
  if (group.length && user === undefined) throw new UserError('--group goes with --user: name the user');
  if (server !== undefined && !/^https:\/\/[^/\s]+$/.test(server))
    throw new UserError(`--server ${server}: write it like https://192.0.2.7:6443`);
  const at = server === undefined ? {} : { server };
  if (node !== undefined) return { as: 'node', name: node, ...at };
  if (component) return { as: 'component', name: component, ...at };
  return user === undefined ? { as: 'admin', ...at } : { as: 'user', name: user, groups: group, ...at };
}

interface BuildFlags {
  tag: string;
  file?: string;
  entrypoint: string[];
  cmd: string[];
  env: string[];
  label: string[];
  workdir?: string;
  user?: string;
}

function imageCommands(program: Command, platform: Platform, terminal: Terminal): void {
  const image = program.command('image').description('build, load and list container images');
  image
    .command('build')
    .description('make an OCI image of a rootfs folder or a single static binary, without any other tool')
    .argument('<source>', 'the folder or the binary')
    .requiredOption('-t, --tag <reference>', 'the image name, e.g. demo:1')
    .option('-f, --file <archive>', 'where the archive goes (default: <name>.tar)')
    .option('--entrypoint <word>', 'a word of the entrypoint (repeat it)', collect, [])
    .option('--cmd <word>', 'a word of the default arguments (repeat it)', collect, [])
    .option('--env <NAME=value>', 'an environment variable (repeat it)', collect, [])
    .option('--label <name=value>', 'a label (repeat it)', collect, [])
    .option('--workdir <folder>', 'the working folder')
    .option('--user <user>', 'the user, uid or uid:gid')
    .addHelpText(
      'after',
      '\nExamples:\n  coracle image build ./rootfs -t app:1 --entrypoint /bin/app\n  coracle image build ./hello -t hello:1',
    )
    .action(async (source: string, flags: BuildFlags) => {
      const output = flags.file ?? `${flags.tag.replaceAll(/[^a-zA-Z0-9._-]+/g, '-')}.tar`;
      const built = await platform.buildImage({
        ...flags,
        labels: flags.label,
        source,
        output,
        workdir: flags.workdir,
        user: flags.user,
      });
      terminal.out(`${built.file}  ${flags.tag}  ${built.digest}\n`);
    });
  image
    .command('load')
    .description('load an OCI or docker archive into a running cluster')
    .argument('<archive>')
    .addOption(nameOption())
    .addOption(dataDirOption())
    .addHelpText('after', '\nExample:\n  coracle image load app-1.tar')
    .action(async (file: string, flags: Selected) => {
      for (const tag of await platform.loadImage(selectorOf(flags), file)) terminal.out(`loaded ${tag}\n`);
    });
  image
    .command('ls')
    .description('list the images of a running cluster')
    .addOption(nameOption())
    .addOption(dataDirOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExamples:\n  coracle image ls\n  coracle image ls -o json')
    .action(async (flags: Selected & { output: string }) => {
      const images = await platform.images(selectorOf(flags));
      if (flags.output === 'json') terminal.out(`${JSON.stringify(images)}\n`);
      else printImages(images, terminal);
    });
}

function componentCommands(program: Command, platform: Platform, signal: AbortSignal): void {
  for (const [name, { description, examples, flags }] of Object.entries(componentFlags)) {
    const command = program.command(name).description(description);
    for (const flag of flags) {
      const switched = flag.value === 'bool';
      const option = new Option(`--${flag.name} ${switched ? '[bool]' : `<${flag.value}>`}`, flag.description);
      if (flag.default !== undefined) option.default(flag.default);
      command.addOption(option);
    }
    command.addHelpText('after', `\nExamples:\n  ${examples.join('\n  ')}`);
    command.action(async (given: Record<string, string | true>) => {
      const byName = Object.fromEntries(
        flags.flatMap((flag) => {
          const value = given[flag.name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())];
          return value === undefined ? [] : [[flag.name, String(value)]];
        }),
      );
      await platform.component(name as ComponentName, byName, { signal });
    });
  }
}
