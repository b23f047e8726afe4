// Facts about the machine: what the Node object reports.

import { readFile, statfs } from 'node:fs/promises';
import { arch, cpus, hostname, release, totalmem } from 'node:os';
import type { Machine, MachineUsage, Pressure } from '../kubelet/host.ts';

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', arm: 'arm', ia32: '386' };

const text = (path: string) =>
  readFile(path, 'utf8').then(
    (t) => t.trim(),
    () => '',
  );

/** `directory` is where pods keep their files. */
export async function readMachine(directory: string): Promise<Machine> {
  const [osRelease, machineId, bootId, uuid, storage, dns] = await Promise.all([
    text('/etc/os-release'),
    text('/etc/machine-id'),
    text('/proc/sys/kernel/random/boot_id'),
    text('/sys/class/dmi/id/product_uuid'),
    statfs(directory),
    readResolver(),
  ]);
  return {
    hostname: hostname().toLowerCase(),
    os: 'linux',
    arch: ARCHITECTURES[arch()] ?? arch(),
    cpus: cpus().length,
    memoryBytes: totalmem(),
    storageBytes: storage.blocks * storage.bsize,
    kernelVersion: release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1] ?? 'Linux',
    machineId,
    bootId,
    systemUuid: uuid || machineId,
    dns,
  };
}

/** A stub resolver on the loopback address is useless inside a pod: systemd-resolved keeps the real list beside it. */
async function readResolver(): Promise<Machine['dns']> {
  const first = parseResolvConf(await text('/etc/resolv.conf'));
  if (!first.servers.some((s) => s.startsWith('127.'))) return first;
  const behind = parseResolvConf(await text('/run/systemd/resolve/resolv.conf'));
  return behind.servers.length ? behind : first;
}

export function parseResolvConf(content: string): Machine['dns'] {
  const servers: string[] = [];
  let searches: string[] = [];
  const options: string[] = [];
  for (const line of content.split('\n')) {
    const [keyword, ...words] = line.trim().split(/\s+/);
    if (keyword === 'nameserver' && words[0]) servers.push(words[0]);
    else if (keyword === 'search' || keyword === 'domain') searches = words.filter((w) => w !== '.');
    else if (keyword === 'options') options.push(...words);
  }
  return { servers, searches, options };
}

export async function readPressure(directory: string): Promise<Pressure> {
  const [meminfo, storage, pidMax, load] = await Promise.all([
    text('/proc/meminfo'),
    statfs(directory),
    text('/proc/sys/kernel/pid_max'),
    text('/proc/loadavg'),
  ]);
  const available = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? 0) * 1024;
  const tasks = Number(/\/(\d+) /.exec(load)?.[1] ?? 0);
  return {
    memoryAvailableBytes: available,
    storageAvailableBytes: storage.bavail * storage.bsize,
    storageBytes: storage.blocks * storage.bsize,
    pidsAvailable: Number(pidMax) - tasks,
  };
}

/** The kernel counts in hundredths of a second. */
const TICKS = 100;

export async function readUsage(): Promise<MachineUsage> {
  const [stat, meminfo] = await Promise.all([text('/proc/stat'), text('/proc/meminfo')]);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = stat
    .slice('cpu'.length, stat.indexOf('\n'))
    .trim()
    .split(/\s+/)
    .map(Number);
  const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo)?.[1] ?? 0);
  return {
    cpuSeconds: (user + nice + system + irq + softirq) / TICKS,
    memoryBytes: (kilobytes('MemTotal') - kilobytes('MemAvailable')) * 1024,
  };
}
