// The life of a change for people: a tree with times, the way to its end marked, crowds of equals in one line.

import pc from 'picocolors';
import type { ChangeLife, SpanNode } from '../base/change-life.ts';
import type { SpanData } from '../base/span-data.ts';

/** Of one kind below one step; more are told in a line. */
const SHOWN = 3;

const ms = (value: number) => value.toFixed(1);
const endOf = ({ start, ms: took = 0 }: SpanData) => start + took;

/** `colors`: for a terminal. */
export function lifeText({ root, end, count }: ChangeLife, { colors }: { readonly colors: boolean }): string {
  const paint = pc.createColors(colors);
  const { span } = root;
  const generation = span.generation ? `, generation ${span.generation}` : '';
  const agent = span.agent ? ` with ${span.agent.split(' ')[0]}` : '';
  const at = new Date(span.start).toISOString().replace('T', ' ').replace('Z', '');
  const lines = [
    `${objectOf(span)}${generation}: ${span.name} by ${span.user}${agent}, ${at} UTC`,
    `${count} step${count === 1 ? '' : 's'} in ${ms(end - span.start)} ms; > is the way to the last of them`,
    '',
    paint.dim(`  ${'START ms'.padStart(10)}  ${'TOOK ms'.padStart(9)}  WHAT`),
  ];
  const print = (node: SpanNode, depth: number) => {
    const { span: step } = node;
    const took = step.ms === undefined ? '...' : ms(step.ms);
    const times = `${ms(step.start - span.start).padStart(10)}  ${took.padStart(9)}`;
    const mark = node.critical ? '>' : ' ';
    const text = `${'  '.repeat(depth)}${stepText(step, depth, paint)}`;
    lines.push(node.critical ? `${paint.bold(mark)} ${times}  ${text}` : `${mark} ${paint.dim(times)}  ${text}`);
    for (const [shown, others] of crowds(node.children)) {
      for (const child of shown) print(child, depth + 1);
      if (others.length === 0) continue;
      const until = Math.max(...others.map(lastEnd)) - span.start;
      const what = `${'  '.repeat(depth + 1)}... and ${others.length} more like it, all over at ${ms(until)} ms`;
      lines.push(`  ${' '.repeat(21)}  ${paint.dim(what)}`);
    }
  };
  print(root, 0);
  return `${lines.join('\n')}\n`;
}

/** Children in order; of many equals the critical ones, or the first, stand for all. */
function crowds(children: readonly SpanNode[]): [shown: SpanNode[], others: SpanNode[]][] {
  const groups = new Map<string, SpanNode[]>();
  for (const child of children) {
    const { component, name, resource, detail = '' } = child.span;
    const key = `${component} ${name} ${resource} ${component === 'apiserver' ? detail : ''}`;
    const group = groups.get(key);
    if (group) group.push(child);
    else groups.set(key, [child]);
  }
  const shown: [SpanNode[], SpanNode[]][] = [];
  for (const group of groups.values()) {
    if (group.length <= SHOWN) {
      for (const child of group) shown.push([[child], []]);
      continue;
    }
    const critical = group.filter((child) => child.critical);
    const chosen = critical.length ? critical : [group[0]!];
    shown.push([chosen, group.filter((child) => !chosen.includes(child))]);
  }
  return shown.sort(([a], [b]) => a[0]!.span.start - b[0]!.span.start);
}

const lastEnd = (node: SpanNode): number => Math.max(endOf(node.span), ...node.children.map(lastEnd));

const objectOf = ({ resource, namespace, objectName }: SpanData) =>
  `${resource.split('.')[0]} ${namespace ? `${namespace}/` : ''}${objectName}`;

function stepText(span: SpanData, depth: number, paint: ReturnType<typeof pc.createColors>): string {
  const { component, name, detail, phases = [], error, parent, user } = span;
  const about = component === 'apiserver' && detail ? objectOf(span).replace(' ', `/${detail} `) : objectOf(span);
  const more = component !== 'apiserver' && detail ? ` (${detail})` : '';
  const by = component === 'apiserver' && parent === undefined && depth > 0 ? ` by ${user}` : '';
  const parts = phases
    .filter((phase) => phase.ms >= 0.05)
    .map((phase) => `${phase.name} ${ms(phase.ms)}`)
    .join(', ');
  return [
    paint.cyan(component),
    ` ${name} ${about}${more}${by}`,
    parts && paint.dim(`  [${parts}]`),
    error && paint.red(`  ${error}`),
  ].join('');
}
