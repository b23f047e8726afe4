// The life of one change out of the spans of a process: the write that began it, and all that followed from it. What follows is
// what a span asked for, what began at the sight of a revision that was written, and what else was done for the objects
// that came of it (a component that looks once at several changes names the first of them as its cause).

import type { SpanData } from './span-data.ts';

export interface ObjectId {
  /** Plural with its group. */
  readonly resource: string;
  /** Empty for what has none. */
  readonly namespace: string;
  readonly name: string;
}

export interface ChangeLife {
  /** The write, or the first of what is remembered of it. */
  readonly root: SpanNode;
  /** When the last of it ended, in milliseconds since the epoch. */
  readonly end: number;
  /** How many spans there are in it. */
  readonly count: number;
}

export interface SpanNode {
  readonly span: SpanData;
  /** By their start. */
  readonly children: SpanNode[];
  /** On the way to what ended last. */
  critical: boolean;
}

/** Milliseconds of quiet after which a life is over: what comes later is another matter. */
const QUIET = 60_000;

const endOf = (span: SpanData) => span.start + (span.ms ?? 0);
const writes = (span: SpanData) => span.component === 'apiserver' && span.revision !== undefined;

/** Undefined when nothing of the object is remembered. `spans` are in the order they began. */
export function changeLife(spans: readonly SpanData[], about: ObjectId): ChangeLife | undefined {
  const first = lastChange(spans, about);
  if (!first) return undefined;
  const nodes = withoutIdle(follow(spans, first));
  const root = nodes.get(first.id)!;
  let end = 0;
  let last = root;
  for (const node of nodes.values()) {
    node.children.sort((a, b) => a.span.start - b.span.start || a.span.id - b.span.id);
    // Of those that end together the latest to begin came last.
    if (endOf(node.span) >= end) {
      end = endOf(node.span);
      last = node;
    }
  }
  markCritical(root, last);
  return { root, end, count: nodes.size };
}

/** A look that found nothing to do is not worth a line. */
function withoutIdle(nodes: ReadonlyMap<number, SpanNode>): Map<number, SpanNode> {
  const idle = ({ span, children }: SpanNode) =>
    span.name === 'Reconcile' && children.length === 0 && span.ms !== undefined && span.error === undefined;
  const kept = new Map([...nodes].filter(([, node]) => !idle(node)));
  for (const node of kept.values()) node.children.splice(0, Infinity, ...node.children.filter((child) => !idle(child)));
  return kept;
}

/** The deletion, or the write that made the object's newest generation; without generations, the last write. */
function lastChange(spans: readonly SpanData[], { resource, namespace, name }: ObjectId): SpanData | undefined {
  const mine = spans.filter(
    (s) => writes(s) && s.resource === resource && s.objectName === name && (s.namespace ?? '') === namespace,
  );
  const newest = mine.at(-1);
  const same = mine.filter((s) => s.uid === newest?.uid);
  const deletion = same.find((s) => s.name === 'Delete');
  if (deletion || !newest?.generation) return deletion ?? newest;
  return same.find((s) => s.generation === newest.generation);
}

function follow(spans: readonly SpanData[], first: SpanData): Map<number, SpanNode> {
  const nodes = new Map<number, SpanNode>();
  /** Revisions that came of the change, with the write. */
  const revisions = new Map<number, SpanNode>();
  /** Objects that came of the change, with the last write of each. */
  const objects = new Map<string, SpanNode>();
  /** The work of a component on something, with the last look. */
  const looks = new Map<string, SpanNode>();
  /** Where the work of a kubelet on a pod began: one thing after the other, whatever version of the pod it looks at. */
  const pods = new Map<string, SpanNode>();
  let quietAfter = endOf(first) + QUIET;
  for (const span of spans) {
    if (span.id < first.id) continue;
    if (span.start > quietAfter) break;
    const pod = span.component === 'kubelet' ? lookOf(span) : '';
    const from = span === first ? undefined : (pods.get(pod) ?? parentOf(span, { nodes, revisions, objects, looks }));
    if (!from && span !== first) continue;
    if (from && pod) pods.set(pod, from);
    const node: SpanNode = { span, children: [], critical: false };
    nodes.set(span.id, node);
    from?.children.push(node);
    quietAfter = Math.max(quietAfter, endOf(span) + QUIET);
    if (span.revision !== undefined) revisions.set(span.revision, node);
    // Those that only look at an object of others do not own its fate: a node, a namespace.
    if (span.uid && writes(span) && (span === first || comesOf(span, objects))) objects.set(span.uid, node);
    if (span.component !== 'apiserver') looks.set(lookOf(span), node);
  }
  return nodes;
}

/** An object is part of the life once the change made it: a created one, or one of an owner that is part of it. */
function comesOf(span: SpanData, objects: ReadonlyMap<string, SpanNode>): boolean {
  return objects.has(span.uid!) || span.name === 'Create' || (span.owner !== undefined && objects.has(span.owner));
}

const lookOf = (span: SpanData) => `${span.component} ${span.resource} ${span.namespace ?? ''}/${span.objectName}`;

function parentOf(
  span: SpanData,
  known: {
    readonly nodes: ReadonlyMap<number, SpanNode>;
    readonly revisions: ReadonlyMap<number, SpanNode>;
    readonly objects: ReadonlyMap<string, SpanNode>;
    readonly looks: ReadonlyMap<string, SpanNode>;
  },
): SpanNode | undefined {
  const asked = span.parent === undefined ? undefined : known.nodes.get(span.parent);
  if (asked) return asked;
  const caused = span.cause === undefined ? undefined : known.revisions.get(span.cause);
  if (caused) return caused;
  if (span.parent !== undefined && span.cause === undefined) return undefined;
  // What a component in another process did is known by what it wrote.
  const ofObject = (span.uid && known.objects.get(span.uid)) || (span.owner && known.objects.get(span.owner));
  return ofObject || (span.component === 'apiserver' ? undefined : known.looks.get(lookOf(span)));
}

/** From the last span back to the first: whatever asked for it or came right before it for the same object. */
function markCritical(root: SpanNode, last: SpanNode): void {
  const parents = new Map<SpanNode, SpanNode>();
  const visit = (node: SpanNode) => {
    for (const child of node.children) {
      parents.set(child, node);
      visit(child);
    }
  };
  visit(root);
  for (let node: SpanNode | undefined = last; node; node = parents.get(node)) {
    node.critical = true;
    const { span } = node;
    for (const sibling of parents.get(node)?.children ?? [])
      if (sibling.span.uid && lookOf(sibling.span) === lookOf(span) && endOf(sibling.span) <= span.start)
        sibling.critical = true;
  }
}
