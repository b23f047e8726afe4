// Inflates SPDY header blocks with Node's zlib, one stream of compression for all blocks of a connection.

import { constants, createInflate } from 'node:zlib';
import type { HeaderInflater } from '../api/streams/spdy-frames.ts';
import { SPDY_DICTIONARY } from '../api/streams/spdy-headers.ts';

export function headerInflater(): HeaderInflater {
  const stream = createInflate({ dictionary: SPDY_DICTIONARY, flush: constants.Z_SYNC_FLUSH });
  let failed: Error | undefined;
  stream.on('error', (error) => (failed = error));
  return {
    inflate(block, limit) {
      return new Promise((resolve, reject) => {
        const chunks: Buffer[] = [];
        let length = 0;
        const take = () => {
          for (let chunk = stream.read() as Buffer | null; chunk; chunk = stream.read() as Buffer | null) {
            chunks.push(chunk);
            length += chunk.length;
          }
          // A small block may stand for a large text: what is not read is not inflated.
          if (length > limit) stream.destroy(new Error(`more than ${limit} bytes of headers`));
        };
        const onClose = () => done(failed ?? new Error('the connection is closed'));
        const done = (error: Error | null | undefined) => {
          stream.off('readable', take).off('close', onClose);
          if (!error && !stream.destroyed) take();
          const problem = error ?? failed ?? (length > limit ? new Error('too many headers') : undefined);
          if (problem) reject(problem);
          else resolve(Buffer.concat(chunks));
        };
        if (stream.destroyed) return onClose();
        stream.on('readable', take).once('close', onClose);
        stream.write(block, done);
      });
    },
    close: () => stream.destroy(),
  };
}
