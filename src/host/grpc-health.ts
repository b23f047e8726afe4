// grpc.health.v1.Health/Check over plain HTTP/2. https://github.com/grpc/grpc/blob/master/doc/health-checking.md

import { connect, constants, type ClientHttp2Stream } from 'node:http2';
import type { ProbeOutcome } from '../kubelet/host.ts';

const STATUS = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
const UNIMPLEMENTED = '12';

const failure = (output: string): ProbeOutcome => ({ result: 'failure', output });

export function grpcHealth(host: string, port: number, service: string, timeoutMs: number): Promise<ProbeOutcome> {
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const seconds = `${timeoutMs / 1000}s`;
  return new Promise((resolve) => {
    const session = connect(`http://${address}`);
    let connected = false;
    const finish = (outcome: ProbeOutcome) => {
      clearTimeout(timer);
      session.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => {
      const unconnected = `timeout: failed to connect service ${JSON.stringify(address)} within ${seconds}`;
      finish(
        failure(
          connected
            ? `timeout: health rpc did not complete within ${seconds}`
            : `${unconnected}: context deadline exceeded`,
        ),
      );
    }, timeoutMs);
    session.on('connect', () => (connected = true));
    session.on('error', (error) =>
      finish(failure(`error: failed to connect service at ${JSON.stringify(address)}: ${error.message}`)),
    );
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      'user-agent': 'kube-probe/1.36',
      te: 'trailers',
    });
    stream.end(requestFrame(service));
    readAnswer(stream).then(finish, (error: Error) =>
      finish(failure(`error: health rpc probe failed: ${error.message}`)),
    );
  });
}

/** One uncompressed message: HealthCheckRequest{1: service}. */
function requestFrame(service: string): Buffer {
  const name = Buffer.from(service);
  const body = name.length ? Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name]) : Buffer.alloc(0);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128);
  bytes.push(value);
  return bytes;
}

function readAnswer(stream: ClientHttp2Stream): Promise<ProbeOutcome> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let code: string | undefined;
    let text = '';
    const note = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] !== undefined) code = String(headers['grpc-status']);
      if (headers['grpc-message'] !== undefined) text = decodeURIComponent(String(headers['grpc-message']));
    };
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('end', () => {
      if (code === UNIMPLEMENTED) {
        const what = 'this server does not implement the grpc health protocol (grpc.health.v1.Health)';
        return resolve(failure(`error: ${what}: ${text}`));
      }
      if (code !== undefined && code !== '0') return reject(new Error(`rpc error: code = ${code} desc = ${text}`));
      const status = STATUS[servingStatus(Buffer.concat(chunks).subarray(5))] ?? 'UNKNOWN';
      if (status === 'SERVING') return resolve({ result: 'success' });
      resolve(failure(`service unhealthy (responded with ${JSON.stringify(status)})`));
    });
  });
}

/** HealthCheckResponse{1: status}; absent means 0. */
function servingStatus(message: Buffer): number {
  return message[0] === 0x08 ? (message[1] ?? 0) : 0;
}
