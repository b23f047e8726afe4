// A DNS response as bytes, names compressed (RFC 1035, 4.1.4). What does not fit is left out: additional records silently,
// answers with the mark that there are more. The npm package that decodes packets does not compress.

import packet, { type Answer, type Question } from 'dns-packet';

export interface DnsResponse {
  readonly id: number;
  /** With the response code; the bit for a cut answer is set here. */
  readonly flags: number;
  readonly questions: readonly Question[];
  readonly answers: readonly Answer[];
  readonly authorities: readonly Answer[];
  readonly additionals: readonly Answer[];
  /** The EDNS record: always there, if it is wanted at all. */
  readonly edns: { readonly udpPayloadSize: number } | undefined;
}

const HEADER = 12;
const EDNS_SIZE = 11;
const RESPONSE = 0x8000;
const MAX_POINTER = 0x3fff;
/** Their data is a name that may be compressed; that of SRV must not be (RFC 2782). */
const NAMES: ReadonlySet<string> = new Set(['CNAME', 'PTR', 'NS']);

export function encodeResponse(response: DnsResponse, limit: number): Buffer {
  const { questions, answers, authorities, additionals, edns } = response;
  const out = new Writer(limit - (edns ? EDNS_SIZE : 0));
  for (const question of questions) out.question(question);
  const answered = out.records(answers);
  const whole = answered === answers.length;
  const authority = whole ? out.records(authorities) : 0;
  const additional = whole ? out.records(additionals) : 0;
  if (edns) out.edns(edns.udpPayloadSize);
  const bytes = out.bytes();
  bytes.writeUInt16BE(response.id, 0);
  bytes.writeUInt16BE(response.flags | RESPONSE | (whole ? 0 : packet.TRUNCATED_RESPONSE), 2);
  const counts = [questions.length, answered, authority, additional + (edns ? 1 : 0)];
  counts.forEach((count, i) => bytes.writeUInt16BE(count, 4 + 2 * i));
  return bytes;
}

class Writer {
  readonly #limit: number;
  readonly #parts: Buffer[] = [Buffer.alloc(HEADER)];
  #length = HEADER;
  /** Where a name, or the end of one, stands already. */
  readonly #names = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  question(question: Question): void {
    this.#name(question.name);
    // The package's form of a question, without the name: that of the root is one byte.
    this.#append(packet.encode({ questions: [{ ...question, name: '.' }] }).subarray(HEADER + 1));
  }

  /** Writes records while there is room; returns how many. */
  records(records: readonly Answer[]): number {
    let written = 0;
    for (const record of records) {
      const before = { parts: this.#parts.length, length: this.#length };
      this.#record(record);
      if (this.#length > this.#limit) {
        this.#parts.length = before.parts;
        this.#length = before.length;
        for (const [name, at] of this.#names) if (at >= before.length) this.#names.delete(name);
        break;
      }
      written++;
    }
    return written;
  }

  edns(udpPayloadSize: number): void {
    const record = Buffer.alloc(EDNS_SIZE);
    record.writeUInt16BE(41, 1);
    record.writeUInt16BE(udpPayloadSize, 3);
    this.#append(record);
  }

  #record(record: Answer): void {
    this.#name(record.name);
    const body = packet.encode({ answers: [{ ...record, name: '.' } as Answer] }).subarray(HEADER + 1);
    if (!NAMES.has(record.type)) return this.#append(body);
    // Type, class and time to live as they are; then the length, known once the name is written.
    this.#append(body.subarray(0, 8));
    const size = Buffer.alloc(2);
    this.#append(size);
    const before = this.#length;
    this.#name((record as { data: string }).data);
    size.writeUInt16BE(this.#length - before);
  }

  #name(name: string): void {
    const labels = name.replace(/\.$/, '').split('.').filter(Boolean);
    for (let i = 0; i < labels.length; i++) {
      const rest = labels.slice(i).join('.').toLowerCase();
      const known = this.#names.get(rest);
      if (known !== undefined) {
        const pointer = Buffer.alloc(2);
        pointer.writeUInt16BE(0xc000 | known);
        return this.#append(pointer);
      }
      if (this.#length <= MAX_POINTER) this.#names.set(rest, this.#length);
      const label = Buffer.from(labels[i]!);
      this.#append(Buffer.from([label.length]));
      this.#append(label);
    }
    this.#append(Buffer.from([0]));
  }

  #append(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }
}
