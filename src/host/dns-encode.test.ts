import packet, { type Answer } from 'dns-packet';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeResponse, type DnsResponse } from './dns-encode.ts';

const response = (more: Partial<DnsResponse> = {}): DnsResponse => ({
  id: 7,
  flags: 0,
  questions: [{ name: 'db.shop.svc.cluster.local', type: 'SRV' }],
  answers: [],
  authorities: [],
  additionals: [],
  edns: undefined,
  ...more,
});

const label = fc.stringMatching(/^[a-z0-9]{1,12}$/);
const name = fc
  .array(label, { minLength: 1, maxLength: 4 })
  .chain((labels) =>
    fc.constantFrom('cluster.local', 'svc.cluster.local', 'example.org').map((end) => [...labels, end].join('.')),
  );
const record: fc.Arbitrary<Answer> = fc.oneof(
  fc.record({ name, ip: fc.ipV4() }).map(({ name: n, ip }): Answer => ({ type: 'A', name: n, ttl: 5, data: ip })),
  fc.record({ name, to: name }).map(({ name: n, to }): Answer => ({ type: 'CNAME', name: n, ttl: 5, data: to })),
  fc.record({ name, to: name }).map(({ name: n, to }): Answer => ({ type: 'PTR', name: n, ttl: 5, data: to })),
  fc.record({ name, target: name, port: fc.nat(65_535) }).map(({ name: n, target, port }): Answer => ({
    type: 'SRV',
    name: n,
    ttl: 5,
    data: { priority: 0, weight: 9, port, target },
  })),
  fc.record({ name, text: label }).map(({ name: n, text }): Answer => ({ type: 'TXT', name: n, ttl: 5, data: [text] })),
);
const plain = (list: readonly Answer[] | undefined) =>
  (list ?? []).map((a) => {
    const { type, name: n, data } = a as { type: string; name: string; data: unknown };
    return { type, name: n, data: type === 'TXT' ? (data as unknown[]).map(String) : data };
  });

test('what is written is read again, and never longer than uncompressed', () => {
  const lists = fc.array(record, { maxLength: 8 });
  fc.assert(
    fc.property(lists, lists, lists, (answers, authorities, additionals) => {
      const bytes = encodeResponse(response({ answers, authorities, additionals }), 65_535);
      const read = packet.decode(bytes);
      expect([plain(read.answers), plain(read.authorities), plain(read.additionals)]).toEqual([
        plain(answers),
        plain(authorities),
        plain(additionals),
      ]);
      expect(read.flag_tc).toBe(false);
      const sections = { answers, authorities, additionals };
      const questions = [...response().questions];
      expect(bytes.length).toBeLessThanOrEqual(packet.encode({ type: 'response', questions, ...sections }).length);
    }),
    { numRuns: 150, seed: 1 },
  );
});

test('never longer than allowed; what is left is the beginning', () => {
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 20 }),
      fc.integer({ min: 100, max: 600 }),
      fc.boolean(),
      (answers, limit, edns) => {
        const bytes = encodeResponse(response({ answers, edns: edns ? { udpPayloadSize: 1232 } : undefined }), limit);
        expect(bytes.length).toBeLessThanOrEqual(limit);
        const read = packet.decode(bytes);
        const written = plain(read.answers);
        expect(written).toEqual(plain(answers).slice(0, written.length));
        expect(read.flag_tc).toBe(written.length < answers.length);
        expect(read.additionals!.length).toBe(edns ? 1 : 0);
      },
    ),
    { numRuns: 150, seed: 1 },
  );
});

test('names share their ends, whatever their case', () => {
  const answers: Answer[] = ['a', 'b'].map((n) => ({
    type: 'A',
    name: `${n}.DB.shop.svc.cluster.local`,
    ttl: 5,
    data: '10.0.0.1',
  }));
  const bytes = encodeResponse(response({ answers }), 512);
  // Header, question, and twice: a label of two bytes, a pointer, ten of fields, four of address.
  expect(bytes.length).toBe(12 + 27 + 4 + 2 * (2 + 2 + 10 + 4));
});
