// One line of a CRI log file: `<RFC 3339 time> <stdout|stderr> <F|P> <content>`.
// https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md

export interface LogLine {
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  /** The line goes on in the next record. */
  readonly partial: boolean;
  readonly content: string;
}

/** Undefined for what is no log line (a record cut in the middle). */
export function parseLogLine(line: string): LogLine | undefined {
  const timeEnd = line.indexOf(' ');
  const streamEnd = line.indexOf(' ', timeEnd + 1);
  const tagEnd = line.indexOf(' ', streamEnd + 1);
  if (timeEnd < 0 || streamEnd < 0 || tagEnd < 0) return undefined;
  const stream = line.slice(timeEnd + 1, streamEnd);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const tag = line.slice(streamEnd + 1, tagEnd).split(':')[0];
  if (tag !== 'F' && tag !== 'P') return undefined;
  return { time: line.slice(0, timeEnd), stream, partial: tag === 'P', content: line.slice(tagEnd + 1) };
}
