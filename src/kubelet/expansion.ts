// `$(NAME)` references in commands, arguments and environment values.
// https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/

/** Replaces `$(NAME)`; `$$` stands for one `$`; what `lookup` does not know stays as it is. */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  if (!text.includes('$')) return text;
  let out = '';
  for (let i = 0; i < text.length; i++) {
    const next = text[i + 1];
    if (text[i] !== '$' || next === undefined) {
      out += text[i];
    } else if (next === '$') {
      out += '$';
      i++;
    } else if (next !== '(') {
      out += `$${next}`;
      i++;
    } else {
      const end = text.indexOf(')', i + 2);
      if (end < 0) {
        out += '$(';
        i++;
        continue;
      }
      const name = text.slice(i + 2, end);
      out += lookup(name) ?? `$(${name})`;
      i = end;
    }
  }
  return out;
}

/** As `expand`, for places where an unknown name is an error (subPathExpr). */
export function expandStrictly(text: string, lookup: (name: string) => string | undefined): string {
  const missing: string[] = [];
  const out = expand(text, (name) => lookup(name) ?? (missing.push(name), undefined));
  if (missing.length) throw new Error(`missing value for ${missing.map((m) => JSON.stringify(m)).join(', ')}`);
  return out;
}
