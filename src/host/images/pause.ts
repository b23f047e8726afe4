// The sandbox image: one static program of a few hundred bytes, written here in machine code so that nothing has to be
// compiled or downloaded. It holds the pod's namespaces, reaps what is orphaned when containers share its PID namespace,
// and ends on SIGTERM and SIGINT.

import { PAUSE_IMAGE } from '../containerd/config.ts';
import { buildImage, type Architecture, type BuiltImage } from './build.ts';

/**
 * Blocks SIGCHLD, SIGTERM and SIGINT (signal set 0x14002) and then waits for them for ever: on SIGCHLD it collects dead
 * children until there are none, on the others it exits with 0.
 */
const CODE: Record<Architecture, string> = {
  amd64: `
    6802400100      push 0x14002
    4889e3          mov rbx, rsp
    31ff 4889de     rt_sigprocmask(SIG_BLOCK, set, NULL, 8)
    31d2 6a08 415a 6a0e 58 0f05
wait:
    4889df 31f6     rt_sigtimedwait(set, NULL, NULL, 8)
    31d2 6a08 415a b880000000 0f05
    83f811 740b     cmp eax, SIGCHLD; je reap
    85c0 78e5       test eax, eax; js wait
    31ff 6a3c 58 0f05  exit(0)
reap:
    6aff 5f 31f6    wait4(-1, NULL, WNOHANG, NULL)
    6a01 5a 4531d2 6a3d 58 0f05
    85c0 7fec       test eax, eax; jg reap
    ebc8            jmp wait
`,
  arm64: `
    530088d2 3300a0f2  mov x19, 0x14002
    f30f1ff8 f3030091  str x19, [sp, -16]!; mov x19, sp
    000080d2 e10313aa 020080d2 030180d2 e81080d2 010000d4  rt_sigprocmask(SIG_BLOCK, set, NULL, 8)
wait:
    e00313aa 010080d2 020080d2 030180d2 281180d2 010000d4  rt_sigtimedwait(set, NULL, NULL, 8)
    1f440071 a0000054  cmp w0, SIGCHLD; b.eq reap
    00ffff37           tbnz w0, 31, wait
    000080d2 a80b80d2 010000d4  exit(0)
reap:
    00008092 010080d2 220080d2 030080d2 882080d2 010000d4  wait4(-1, NULL, WNOHANG, NULL)
    1f000071 2cffff54  cmp w0, 0; b.gt reap
    ecffff17           b wait
`,
};

const BASE = 0x400000;
const HEADERS = 64 + 56;
const MACHINES: Record<Architecture, number> = { amd64: 62, arm64: 183 };

/** The bytes in front of each line's remark; a remark never starts with two hexadecimal digits. */
function machineCode(architecture: Architecture): Buffer {
  const lines = CODE[architecture].split('\n').map((line) => /^ *((?:(?:[0-9a-f]{2})+(?: |$))+)/.exec(line)?.[1] ?? '');
  return Buffer.from(lines.join('').replaceAll(' ', ''), 'hex');
}

/** A static ELF program with one segment. */
export function pauseProgram(architecture: Architecture): Buffer {
  const code = machineCode(architecture);
  const size = BigInt(HEADERS + code.length);
  const elf = Buffer.alloc(HEADERS);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  elf.writeUInt16LE(2, 16);
  elf.writeUInt16LE(MACHINES[architecture], 18);
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(BigInt(BASE + HEADERS), 24);
  elf.writeBigUInt64LE(64n, 32);
  elf.writeUInt16LE(64, 52);
  elf.writeUInt16LE(56, 54);
  elf.writeUInt16LE(1, 56);
  // The segment: loadable, readable and executable, the whole file.
  elf.writeUInt32LE(1, 64);
  elf.writeUInt32LE(5, 68);
  elf.writeBigUInt64LE(BigInt(BASE), 80);
  elf.writeBigUInt64LE(BigInt(BASE), 88);
  elf.writeBigUInt64LE(size, 96);
  elf.writeBigUInt64LE(size, 104);
  elf.writeBigUInt64LE(0x10000n, 112);
  return Buffer.concat([elf, code]);
}

/** Writes the sandbox image's archive. */
export function buildPauseImage(output: string, architecture: Architecture): Promise<BuiltImage> {
  return buildImage({
    name: PAUSE_IMAGE,
    output,
    architecture,
    files: [{ path: '/pause', source: pauseProgram(architecture), mode: 0o755 }],
    entrypoint: ['/pause'],
    user: '65535:65535',
  });
}
