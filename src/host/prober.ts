// Network probes from the node: HTTP, TCP and gRPC health checks, with the words upstream's events use.

import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { HostProber, HttpProbe, ProbeOutcome } from '../kubelet/host.ts';
import { grpcHealth } from './grpc-health.ts';

const MAX_REDIRECTS = 10;
const MAX_BODY = 10 * 1024;

export const hostProber: HostProber = {
  http: (probe, timeoutMs) => get(urlOf(probe), probe, timeoutMs, 0),
  tcp,
  grpc: grpcHealth,
};

const bracketed = (host: string) => (host.includes(':') ? `[${host}]` : host);

function urlOf({ scheme, host, port, path }: HttpProbe): URL {
  return new URL(`${scheme}://${bracketed(host)}:${port}${path}`);
}

/** A socket error in Go's words: `dial tcp 10.0.0.1:80: connect: connection refused`. */
function dialError(error: NodeJS.ErrnoException, host: string, port: number): string {
  const where = `${bracketed(host)}:${port}`;
  const words: Record<string, string> = {
    ECONNREFUSED: 'connect: connection refused',
    EHOSTUNREACH: 'connect: no route to host',
    ENETUNREACH: 'connect: network is unreachable',
    ENOTFOUND: `lookup ${host}: no such host`,
    ETIMEDOUT: 'i/o timeout',
  };
  const text = words[error.code ?? ''];
  if (error.code === 'ECONNRESET') return `read tcp ${where}: read: connection reset by peer`;
  return text ? `dial tcp ${where}: ${text}` : `dial tcp ${where}: ${error.message}`;
}

function get(url: URL, probe: HttpProbe, timeoutMs: number, redirects: number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const fail = (why: string) => resolve({ result: 'failure', output: `Get ${JSON.stringify(url.href)}: ${why}` });
    const headers: Record<string, string[]> = {};
    for (const { name, value } of probe.headers) (headers[name.toLowerCase()] ??= []).push(value);
    const host = headers['host']?.[0];
    delete headers['host'];
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const options = {
      method: 'GET',
      agent: false,
      // A probe asks whether somebody answers, not who.
      rejectUnauthorized: false,
      headers: { ...headers, connection: 'close', ...(host ? { host } : {}) },
    };
    const message = send(url, options, (response) => {
      readBody(response).then(
        (body) => resolve(judge(response, body, url, probe, timeoutMs, redirects)),
        (error: Error) => fail(error.message),
      );
    });
    const timer = setTimeout(() => {
      const connected = message.socket?.connecting === false;
      const where = connected ? 'Client.Timeout exceeded while awaiting headers' : undefined;
      fail(`context deadline exceeded (${where ?? 'Client.Timeout exceeded while awaiting headers'})`);
      message.destroy();
    }, timeoutMs);
    message.on('error', (error: NodeJS.ErrnoException) => {
      const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
      fail(dialError(error, url.hostname.replace(/^\[|\]$/g, ''), port));
    });
    message.on('close', () => clearTimeout(timer));
    message.end();
  });
}

/** Enough of the body to know that the answer is whole; the rest of a long one is not waited for. */
function readBody(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    response.setEncoding('latin1');
    response.on('data', (chunk: string) => {
      text += chunk;
      if (text.length < MAX_BODY) return;
      resolve(text.slice(0, MAX_BODY));
      response.destroy();
    });
    response.on('end', () => resolve(text));
    response.on('error', reject);
  });
}

function judge(
  response: IncomingMessage,
  body: string,
  url: URL,
  probe: HttpProbe,
  timeoutMs: number,
  redirects: number,
): ProbeOutcome | Promise<ProbeOutcome> {
  const { statusCode = 0, headers } = response;
  if (statusCode < 200 || statusCode >= 400) {
    return { result: 'failure', output: `HTTP probe failed with statuscode: ${statusCode}` };
  }
  if (statusCode < 300 || !headers.location) return { result: 'success' };
  const next = new URL(headers.location, url);
  if (next.hostname !== url.hostname) {
    return { result: 'success', warning: `Probe terminated redirects, Response body: ${body}` };
  }
  if (redirects + 1 >= MAX_REDIRECTS) {
    return { result: 'failure', output: `Get ${JSON.stringify(next.href)}: stopped after 10 redirects` };
  }
  return get(next, probe, timeoutMs, redirects + 1);
}

function tcp(host: string, port: number, timeoutMs: number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (outcome: ProbeOutcome) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.setTimeout(timeoutMs, () =>
      finish({ result: 'failure', output: `dial tcp ${bracketed(host)}:${port}: i/o timeout` }),
    );
    socket.on('connect', () => finish({ result: 'success' }));
    socket.on('error', (error) => finish({ result: 'failure', output: dialError(error, host, port) }));
  });
}
