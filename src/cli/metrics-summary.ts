// A few lines for people out of what /metrics says: `coracle status`.

interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const READS = new Set(['GET', 'LIST']);

function samplesOf(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = LINE.exec(line) ?? [];
    if (!name) return [];
    return [{ name, labels: new Map([...labels.matchAll(LABEL)].map((m) => [m[1]!, m[2]!])), value: Number(value) }];
  });
}

const number = (n: number) => n.toLocaleString('en');
/** Below a bound of a histogram. */
function below(s: number): string {
  if (s === Infinity) return 'over 1 min';
  return s < 1 ? `<= ${Math.round(s * 10_000) / 10} ms` : `<= ${s} s`;
}

/** The least bound below which the share of observations lies; undefined without observations. */
function quantile(buckets: readonly Sample[], share: number): number | undefined {
  const byBound = new Map<number, number>();
  for (const { labels, value } of buckets) {
    const bound = labels.get('le') === '+Inf' ? Infinity : Number(labels.get('le'));
    byBound.set(bound, (byBound.get(bound) ?? 0) + value);
  }
  const total = byBound.get(Infinity) ?? 0;
  if (total === 0) return undefined;
  return [...byBound].sort(([a], [b]) => a - b).find(([, count]) => count >= total * share)?.[0];
}

/** Rows of a name and what is to be said; those with nothing to say are left out. */
export function metricsSummary(text: string): (readonly [name: string, text: string])[] {
  const samples = samplesOf(text);
  const of = (name: string) => samples.filter((s) => s.name === name);
  const sum = (some: readonly Sample[]) => some.reduce((total, s) => total + s.value, 0);
  const rows: (readonly [string, string])[] = [];
  const latency = (name: string, wanted: (verb: string) => boolean) => {
    const mine = of('apiserver_request_duration_seconds_bucket').filter((s) => wanted(s.labels.get('verb') ?? ''));
    const [p50, p99] = [quantile(mine, 0.5), quantile(mine, 0.99)];
    if (p50 === undefined || p99 === undefined) return;
    const count = sum(mine.filter((s) => s.labels.get('le') === '+Inf'));
    rows.push([name, `${number(count)}, p50 ${below(p50)}, p99 ${below(p99)}`]);
  };
  latency('reads', (verb) => READS.has(verb));
  latency('writes', (verb) => !READS.has(verb));
  const watches = sum(of('apiserver_longrunning_requests'));
  const events = sum(of('apiserver_watch_events_total'));
  rows.push(['watches', `${number(watches)}, ${number(events)} events sent`]);
  const objects = sum(of('apiserver_storage_objects'));
  const size = sum(of('apiserver_storage_size_bytes'));
  const disk = size > 0 ? `, ${(size / 1e6).toFixed(1)} MB on disk` : '';
  rows.push(['store', `${number(objects)} objects, revision ${sum(of('coracle_store_revision'))}${disk}`]);
  const waiting = of('workqueue_depth').filter((s) => s.value > 0);
  const where = waiting.map((s) => `${s.labels.get('name')} ${number(s.value)}`).join(', ');
  rows.push([
    'queues',
    `${number(sum(waiting))} waiting${where && ` (${where})`}, ${number(sum(of('workqueue_retries_total')))} retries`,
  ]);
  rows.push(['pending pods', number(sum(of('scheduler_pending_pods')))]);
  return rows;
}
