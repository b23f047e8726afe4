// A short text of what changed between two values, for error messages: fields that differ with `-` and `+`, in a
// shape close to upstream's.

/** Both are JSON values; `name` is shown for the outermost value. */
export function diffText(old: unknown, value: unknown, name: string): string {
  const lines: string[] = [`  ${name}{`];
  describe(old, value, 1, lines);
  lines.push('  }');
  return `${lines.join('\n')}\n`;
}

const MAX_LINES = 60;
type Fields = Record<string, unknown>;
const isFields = (v: unknown): v is Fields => typeof v === 'object' && v !== null && !Array.isArray(v);
const text = (v: unknown) => JSON.stringify(v) ?? 'null';
const title = (key: string) => key.charAt(0).toUpperCase() + key.slice(1);

function describe(old: unknown, value: unknown, depth: number, lines: string[]): void {
  const indent = '\t'.repeat(depth);
  const a = entriesOf(old);
  const b = entriesOf(value);
  let same = 0;
  for (const key of new Set([...a.keys(), ...b.keys()])) {
    const x = a.get(key);
    const y = b.get(key);
    if (text(x) === text(y)) {
      same++;
      continue;
    }
    if (lines.length > MAX_LINES) break;
    const label = typeof key === 'number' ? '' : `${title(key)}: `;
    if ((isFields(x) && isFields(y)) || (Array.isArray(x) && Array.isArray(y) && x.length === y.length)) {
      lines.push(`  ${indent}${label}{`);
      describe(x, y, depth + 1, lines);
      lines.push(`  ${indent}},`);
    } else {
      lines.push(`- ${indent}${label}${text(x)},`, `+ ${indent}${label}${text(y)},`);
    }
  }
  if (same) lines.push(`  ${indent}... // ${same} identical ${same === 1 ? 'field' : 'fields'}`);
}

function entriesOf(value: unknown): Map<string | number, unknown> {
  if (Array.isArray(value)) return new Map(value.entries());
  return new Map(isFields(value) ? Object.entries(value) : []);
}
