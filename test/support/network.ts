// Network namespaces for tests: a "node" with a bridge and "pods" behind it, on no network but their own.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';

const sh = (command: string) =>
  execFileSync('/bin/sh', ['-ec', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

export interface TestPod {
  readonly ip: string;
  readonly netns: string;
}

export interface TestNode extends AsyncDisposable {
  readonly netns: string;
  /** The node's own address, for node ports. */
  readonly ip: string;
  pod(): TestPod;
  /** Serves TCP and UDP on the pod's port 8080, answering with the pod's address. Resolves once it listens. */
  serve(pod: TestPod): Promise<void>;
}

let count = 0;

const SERVER = `
const net = require('node:net'), dgram = require('node:dgram');
const ip = process.argv[1];
net.createServer((s) => { s.on('error', () => {}); s.end(ip + ' ' + s.remoteAddress); }).listen(8080, '0.0.0.0', () => {
  const u = dgram.createSocket('udp4');
  u.on('message', (m, r) => u.send(ip, r.port, r.address));
  u.bind(8080, () => console.log('ready'));
});`;

/** Needs root and iproute2. */
export function testNode(): TestNode {
  const id = `ct${process.pid % 10_000}x${count++}`;
  const node = `/run/netns/${id}`;
  const names: string[] = [id];
  const servers: ChildProcess[] = [];
  sh(`ip netns add ${id}`);
  const inNode = (command: string) => sh(`nsenter --net=${node} /bin/sh -ec '${command}'`);
  inNode(
    'ip link set lo up; ip link add br0 type bridge; ip addr add 10.244.0.1/24 dev br0; ip link set br0 up; ip addr add 10.9.9.9/32 dev lo; ip route add default dev br0; echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables || true',
  );
  let next = 2;
  return {
    netns: node,
    ip: '10.9.9.9',
    pod() {
      const ip = `10.244.0.${next++}`;
      const name = `${id}p${next}`;
      names.push(name);
      sh(`ip netns add ${name}`);
      const veth = `v${next}${id.slice(2)}`.slice(0, 15);
      sh(
        `ip link add ${veth} netns ${id} type veth peer name eth0 netns ${name}; nsenter --net=${node} ip link set ${veth} master br0 up; nsenter --net=${node} bridge link set dev ${veth} hairpin on; nsenter --net=/run/netns/${name} /bin/sh -ec 'ip link set lo up; ip addr add ${ip}/24 dev eth0; ip link set eth0 up; ip route add default via 10.244.0.1'`,
      );
      return { ip, netns: `/run/netns/${name}` };
    },
    serve(pod) {
      const child = spawn('nsenter', [`--net=${pod.netns}`, process.execPath, '-e', SERVER, pod.ip], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      servers.push(child);
      return new Promise((resolve, reject) => {
        child.stdout!.once('data', () => resolve());
        child.once('exit', (code) => reject(new Error(`the pod's server ended with ${code}`)));
      });
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(
        servers.map((child) => {
          child.removeAllListeners('exit');
          const ended = new Promise((resolve) => child.once('exit', resolve));
          child.kill('SIGKILL');
          return ended;
        }),
      );
      for (const name of names) sh(`ip netns del ${name}`);
    },
  };
}

const CLIENT = `
const [ip, port, protocol, times] = process.argv.slice(1);
const one = () => protocol === 'udp' ? new Promise((resolve) => {
  const u = require('node:dgram').createSocket('udp4');
  const timer = setTimeout(() => { u.close(); resolve('timeout'); }, 1500);
  const end = (text) => { clearTimeout(timer); u.close(); resolve(text); };
  u.on('message', (m) => end(String(m)));
  u.on('error', (e) => end(e.code));
  u.connect(Number(port), ip, () => u.send('x'));
}) : new Promise((resolve) => {
  let text = '';
  const s = require('node:net').connect({ host: ip, port: Number(port), timeout: 1500 });
  s.on('data', (d) => text += d);
  s.on('timeout', () => { s.destroy(); resolve('timeout'); });
  s.on('error', (e) => resolve(e.code));
  s.on('close', () => resolve(text));
});
(async () => { const out = []; for (let i = 0; i < Number(times); i++) out.push(await one()); console.log(JSON.stringify(out)); })();`;

/** Connects `times` times from a namespace; each answer is `<pod ip> <client ip>`, an error code or `timeout`. */
export function connect(
  netns: string,
  ip: string,
  port: number,
  options: { times?: number; protocol?: 'tcp' | 'udp' } = {},
): string[] {
  const args = [
    `--net=${netns}`,
    process.execPath,
    '-e',
    CLIENT,
    ip,
    String(port),
    options.protocol ?? 'tcp',
    String(options.times ?? 1),
  ];
  return JSON.parse(execFileSync('nsenter', args, { encoding: 'utf8' })) as string[];
}
