// pods/log: the output of one container, from the node that runs it.

import { badRequest, field, invalid, type FieldError } from '../../api/errors.ts';
import type { ByteSource, LogOptions } from '../../api/node-api.ts';
import type { ConnectResult } from '../../api/op.ts';
import { requireVerb, type Call } from '../call.ts';
import { chooseContainer, nodeOf, podOf, targetOf } from './pod-target.ts';

export async function podLog(call: Call): Promise<ConnectResult> {
  requireVerb(call, 'get', 'connect');
  const query = call.op.options.query ?? new URLSearchParams();
  const pod = await podOf(call);
  const options = logOptions(query, pod.metadata.name);
  const container = chooseContainer(pod, query.get('container'));
  // A pod that no node has taken yet has said nothing so far.
  if (!pod.spec.nodeName) return { type: 'connect', stream: { kind: 'logs', source: nothing() } };
  const signal = call.signal ?? new AbortController().signal;
  const source = await nodeOf(call, pod).logs(targetOf(pod, container), options, { signal });
  return { type: 'connect', stream: { kind: 'logs', source } };
}

async function* nothing(): ByteSource {}

/** Throws BadRequest for what cannot be read and Invalid for what makes no sense. */
export function logOptions(query: URLSearchParams, name: string): LogOptions {
  const sinceSeconds = integer(query, 'sinceSeconds');
  const tailLines = integer(query, 'tailLines');
  const limitBytes = integer(query, 'limitBytes');
  const sinceTime = query.get('sinceTime') || undefined;
  const stream = query.get('stream') || undefined;
  const causes: FieldError[] = [];
  if (tailLines !== undefined && tailLines < 0) {
    causes.push(field.invalid('tailLines', tailLines, 'must be greater than or equal to 0'));
  }
  if (limitBytes !== undefined && limitBytes < 1) {
    causes.push(field.invalid('limitBytes', limitBytes, 'must be greater than 0'));
  }
  if (sinceSeconds !== undefined && sinceTime) {
    causes.push(field.forbidden('', 'at most one of `sinceTime` or `sinceSeconds` may be specified'));
  } else if (sinceSeconds !== undefined && sinceSeconds < 1) {
    causes.push(field.invalid('sinceSeconds', sinceSeconds, 'must be greater than 0'));
  }
  if (stream && stream !== 'All' && stream !== 'Stdout' && stream !== 'Stderr') {
    causes.push(field.notSupported('stream', stream, ['All', 'Stderr', 'Stdout']));
  } else if (stream && stream !== 'All' && tailLines !== undefined) {
    causes.push(field.forbidden('', '`tailLines` and specific `stream` are mutually exclusive for now'));
  }
  if (causes.length) throw invalid('', 'PodLogOptions', name, causes);
  return {
    follow: flag(query, 'follow'),
    previous: flag(query, 'previous'),
    timestamps: flag(query, 'timestamps'),
    ...(sinceSeconds === undefined ? {} : { sinceSeconds }),
    ...(sinceTime ? { sinceTime } : {}),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(stream ? { stream: stream as 'All' | 'Stdout' | 'Stderr' } : {}),
  };
}

function integer(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (/^[-+]?[0-9]{1,15}$/.test(text)) return Number(text);
  throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** As upstream reads booleans: anything but `false` and `0` is yes, also when only named. */
export function flag(query: URLSearchParams, name: string): boolean {
  const text = query.get(name);
  return text !== null && text !== 'false' && text !== '0';
}
