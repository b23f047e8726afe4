// The end of a container's log as plain text, for termination messages.

import { parseLogLine } from './log-format.ts';

/** The last lines of CRI log text, at most `lines` and `bytes` of them. A cut first line is dropped. */
export function lastLogLines(
  text: string,
  { lines, bytes }: { readonly lines: number; readonly bytes: number },
): string {
  let out = '';
  let count = 0;
  for (const line of text.split('\n').reverse()) {
    const parsed = line ? parseLogLine(line) : undefined;
    if (!parsed) continue;
    const piece = parsed.partial ? parsed.content : `${parsed.content}\n`;
    if (!parsed.partial && ++count > lines) break;
    if (out.length + piece.length > bytes) return (piece + out).slice(-bytes);
    out = piece + out;
  }
  return out;
}
