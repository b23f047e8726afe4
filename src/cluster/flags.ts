// The values of a component's flags, read strictly: whatever cannot be is a UserError that names the flag and says how to
// write it.

import { readFileSync } from 'node:fs';
import { parseIp } from '../api/validate/ip.ts';
import { UserError } from '../cli/platform.ts';
import { parseDuration } from './duration.ts';

export type FlagValues = Readonly<Record<string, string>>;

export const MAX_PORT = 65_535;

/** An IPv4 block, its base address cleaned of the bits beyond its length. */
export interface Block {
  readonly base: number;
  readonly bits: number;
  /** How many addresses. */
  readonly size: number;
  readonly text: string;
}

export const addressText = (address: number) => [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');

/** Undefined for anything but an IPv4 block. */
export function parseBlock(text: string): Block | undefined {
  const [address = '', length = '', ...rest] = text.split('/');
  const bytes = parseIp(address);
  const bits = /^\d{1,2}$/.test(length) ? Number(length) : 33;
  if (bytes?.length !== 4 || bits > 32 || rest.length) return undefined;
  const size = 2 ** (32 - bits);
  const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  const base = Math.floor(value / size) * size;
  return { base, bits, size, text: `${addressText(base)}/${bits}` };
}

export const overlap = (a: Block, b: Block) => a.base < b.base + b.size && b.base < a.base + a.size;

export class Flags {
  readonly #values: FlagValues;
  readonly #defaults: FlagValues;

  /** `defaults`: what stands there when nobody said anything. */
  constructor(values: FlagValues, defaults: FlagValues = {}) {
    this.#values = values;
    this.#defaults = defaults;
  }

  refuse(name: string, why: string): UserError {
    return new UserError(`--${name} ${this.#values[name] ?? ''}: ${why}`);
  }

  /** Undefined when absent or empty. */
  text(name: string): string | undefined {
    return this.#values[name] || undefined;
  }

  given(name: string): boolean {
    return this.#values[name] !== undefined;
  }

  /** Given, and not by the flag's default. */
  chosen(name: string): boolean {
    return this.#values[name] !== undefined && this.#values[name] !== this.#defaults[name];
  }

  required(name: string, why: string): string {
    const text = this.text(name);
    if (text === undefined) throw new UserError(`--${name} is needed: ${why}`);
    return text;
  }

  /** Comma separated. */
  words(name: string): string[] {
    return (this.#values[name] ?? '')
      .split(',')
      .map((word) => word.trim())
      .filter(Boolean);
  }

  flag(name: string): boolean {
    const text = this.#values[name] ?? 'false';
    // What Go's strconv.ParseBool takes.
    if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
    if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
    throw this.refuse(name, 'it is true or false');
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T {
    const found = choices.find((choice) => choice === this.#values[name]);
    if (!found) throw this.refuse(name, `it is ${choices.join(' or ')}`);
    return found;
  }

  count(name: string, least: number, most: number): number {
    const text = this.#values[name] ?? '';
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw this.refuse(name, `it is a whole number from ${least} to ${most}`);
    return value;
  }

  port(name: string): number {
    const value = Number(this.#values[name]);
    if (!Number.isInteger(value) || value < 1 || value > MAX_PORT)
      throw this.refuse(name, `a port is a number from 1 to ${MAX_PORT}`);
    return value;
  }

  portRange(name: string): readonly [first: number, last: number] {
    const match = /^(\d+)-(\d+)$/.exec(this.#values[name] ?? '');
    const [first, last] = [Number(match?.[1]), Number(match?.[2])];
    if (!match || first < 1 || last > MAX_PORT || first > last) throw this.refuse(name, 'write it like 30000-32767');
    return [first, last];
  }

  ipv4(name: string): string | undefined {
    const text = this.text(name);
    if (text !== undefined && parseIp(text)?.length !== 4)
      throw this.refuse(name, 'write an IPv4 address like 192.0.2.7');
    return text;
  }

  block(name: string): Block {
    const block = parseBlock(this.#values[name] ?? '');
    if (!block) throw this.refuse(name, 'write an IPv4 block like 10.96.0.0/16');
    return block;
  }

  /** Milliseconds. */
  duration(name: string): number {
    try {
      const ms = parseDuration(this.#values[name] ?? '');
      if (ms > 0) return ms;
    } catch {
      // Said below, with the flag's name.
    }
    throw this.refuse(name, 'write a duration like 10s or 1m30s');
  }

  /** The content of the file that the flag names. */
  file(name: string): string | undefined {
    const path = this.text(name);
    if (path === undefined) return undefined;
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const why = { ENOENT: 'there is no such file', EISDIR: 'it is a folder', EACCES: 'it may not be read' }[
        code ?? ''
      ];
      throw this.refuse(name, why ?? message);
    }
  }

  /** `key=value,key=value`. */
  pairs(name: string): Record<string, string> {
    return Object.fromEntries(
      this.words(name).map((word) => {
        const at = word.indexOf('=');
        if (at < 1) throw this.refuse(name, 'write it like zone=a,disk=ssd');
        return [word.slice(0, at), word.slice(at + 1)];
      }),
    );
  }
}
