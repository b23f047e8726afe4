// The components that run on their own and their flags, named as upstream's binaries name them.
// https://kubernetes.io/docs/reference/command-line-tools-reference/

import type { ComponentName } from './platform.ts';

export interface Flag {
  readonly name: string;
  /** What stands for the value in the help; `bool` may be left out. */
  readonly value: string;
  readonly description: string;
  readonly default?: string;
}

interface Component {
  readonly description: string;
  readonly examples: readonly string[];
  readonly flags: readonly Flag[];
}

/** `name value default?: description`, one flag a line; indented lines go on with the description. */
function flags(table: string): Flag[] {
  return table
    .trim()
    .split(/\n(?!\s{4})/)
    .map((line) => {
      const [, name = '', value = '', preset, description = ''] =
        /^\s*(\S+) (\S+)(?: ([^:\s][^\s]*))?: ([\s\S]*)$/.exec(line) ?? [];
      const text = description.replaceAll(/\s*\n\s*/g, ' ');
      return { name, value, description: text, ...(preset === undefined ? {} : { default: preset }) };
    });
}

const COMMON = flags(`
kubeconfig file: how to reach the API server; coracle kubeconfig prints one
v level 2: log verbosity, 4 and more is debug
log-levels pairs: log levels of single components, like kubelet=debug,apiserver=warn
logging-format format: text or json (default: text on a terminal, else json)
tracing-config-file file: a TracingConfiguration: where traces are sent, as OTLP over HTTP
`);

/** 10259 and 10257 upstream. */
const endpoint = (port: number) =>
  flags(`
secure-port port ${port}: where /healthz, /livez, /readyz and /metrics are served over HTTPS; 0 for nowhere
bind-address ip 0.0.0.0: the address to serve them on
tls-cert-file file: the certificate to serve them with (default: one of its own)
tls-private-key-file file: that certificate's key
client-ca-file file: the CA of those who may look (default: the kubeconfig's)
`);

const ELECTION = flags(`
leader-elect bool true: run only while leading: of several one at a time
leader-elect-lease-duration duration 15s: how long others wait for a leader that is silent
leader-elect-renew-deadline duration 10s: how long a leader tries to renew before it gives up
leader-elect-retry-period duration 2s: how often to try
leader-elect-resource-namespace name kube-system: the namespace of the Lease
leader-elect-resource-name name: the name of the Lease (default: kube- and the component)
`);

export const componentFlags: Readonly<Record<ComponentName, Component>> = {
  server: {
    description: 'run the control plane (API server, controllers, scheduler) without a node',
    examples: [
      'coracle server --data-dir /tmp/cp --secure-port 7443 --token-auth-file tokens.csv',
      'coracle server --data-dir /tmp/cp --controllers=-* --disable-scheduler',
      'KUBECONFIG=/tmp/cp/admin.kubeconfig kubectl get namespaces',
    ],
    flags: flags(`
secure-port port 6443: the HTTPS port
bind-address ip 0.0.0.0: the address to listen on
advertise-address ip: the address members reach the server on (default: this machine's first)
data-dir folder: where certificates, objects and admin.kubeconfig are kept (default: /var/lib/coracle/server)
store kind disk: disk or memory
service-cluster-ip-range cidr 10.96.0.0/16: the range of ClusterIPs
service-node-port-range range 30000-32767: the range of node ports
cluster-cidr cidr 10.244.0.0/16: the range of pod addresses
cluster-domain name cluster.local: the cluster's DNS domain
token-auth-file file: CSV of token,user,uid,"group1,group2"
client-ca-file file: further CA certificates that may sign client certificates
authorization-mode modes Node,RBAC: Node, RBAC, AlwaysAllow or AlwaysDeny, in order
anonymous-auth bool true: let requests without credentials in as system:anonymous
enable-admission-plugins names: admission plugins to switch on; all are
disable-admission-plugins names: admission plugins to leave out
controllers names *: controllers to run: *, name, -name; -* for none
cluster-signing-duration duration 8760h: how long certificates last that nodes ask for
disable-scheduler bool false: do not run the scheduler
leader-elect bool false: run controllers and scheduler only while leading, beside others elsewhere
etcd-servers urls: not supported yet: objects are kept in the embedded store
v level 2: log verbosity, 4 and more is debug
log-levels pairs: log levels of single components, like kubelet=debug,apiserver=warn
logging-format format: text or json (default: text on a terminal, else json)
tracing-config-file file: a TracingConfiguration: where traces are sent, as OTLP over HTTP
`),
  },
  agent: {
    description: 'run a node: containerd, kubelet and service proxy',
    examples: [
      'coracle kubeconfig --node worker-1 > worker-1.kubeconfig   (where the server runs)',
      'coracle agent --kubeconfig worker-1.kubeconfig',
      'coracle agent --kubeconfig worker-1.kubeconfig --node-labels zone=a --register-with-taints dedicated=db:NoSchedule',
      'coracle agent --kubeconfig worker-1.kubeconfig --cleanup',
    ],
    flags: [
      ...COMMON,
      ...flags(`
data-dir folder: where the node keeps its state (default: /var/lib/coracle/node.<name>)
hostname-override name: the node's name (default: the kubeconfig's, or the host's)
node-ip ip: the node's address (default: the one the server sees)
node-labels labels: labels to register with, key=value, comma separated
register-with-taints taints: taints to register with, key=value:effect, comma separated
max-pods n 110: how many pods the node takes
address ip: the address the node's endpoint listens on (default: all)
port port 10250: the port of the node's endpoint: logs, exec, port-forward
tls-cert-file file: the endpoint's certificate (default: one that the cluster signs)
tls-private-key-file file: that certificate's key
client-ca-file file: the CA of those who may use the endpoint (default: the kubeconfig's)
cluster-cidr cidr: the range of pod addresses (default: as the server tells)
service-cluster-ip-range cidr: the range of ClusterIPs (default: as the server tells)
cluster-dns ip: the address of cluster DNS (default: as the server tells)
cluster-domain name: the cluster's DNS domain (default: as the server tells)
allowed-unsafe-sysctls names: sysctls that pods may set besides the safe ones; * ends a prefix
disable-kube-proxy bool false: leave Services to another proxy, e.g. coracle proxy
cleanup bool false: end the node's agent and containers, remove all traces, and exit
`),
    ],
  },
  scheduler: {
    description: 'run the scheduler',
    examples: ['coracle scheduler --kubeconfig scheduler.kubeconfig'],
    flags: [...COMMON, ...endpoint(10_259), ...ELECTION],
  },
  'controller-manager': {
    description: 'run the controllers',
    examples: [
      'coracle controller-manager --kubeconfig controller-manager.kubeconfig --root-ca-file pki/ca.crt' +
        ' --service-account-private-key-file pki/sa.key' +
        ' --cluster-signing-cert-file pki/ca.crt --cluster-signing-key-file pki/ca.key',
      'coracle controller-manager --kubeconfig controller-manager.kubeconfig --controllers=deployment-controller,replicaset-controller',
    ],
    flags: [
      ...COMMON,
      ...flags(`
controllers names *: controllers to run: *, name, -name
cluster-cidr cidr 10.244.0.0/16: the range of pod addresses
allocate-node-cidrs bool true: give each node a part of --cluster-cidr
root-ca-file file: the CA certificate put into every namespace
service-account-private-key-file file: signs the tokens of Secrets of type service-account-token
cluster-signing-cert-file file: the CA that signs certificate requests
cluster-signing-key-file file: that CA's key
cluster-signing-duration duration 8760h: how long the certificates last that it signs
use-service-account-credentials bool true: each controller acts as its own ServiceAccount
`),
      ...endpoint(10_257),
      ...ELECTION,
    ],
  },
  proxy: {
    description: "run the service proxy: Services to the kernel's nftables rules",
    examples: ['coracle proxy --kubeconfig proxy.kubeconfig', 'coracle proxy --cleanup'],
    flags: [
      ...COMMON,
      ...flags(`
cluster-cidr cidr 10.244.0.0/16: the range of pod addresses
service-cluster-ip-range cidr 10.96.0.0/16: the range of ClusterIPs
hostname-override name: the node's name (default: the host's)
nftables-table name coracle_services: the table the rules are in
healthz-bind-address address 0.0.0.0:10256: where /healthz and /livez are served; empty for nowhere
metrics-bind-address address 127.0.0.1:10249: where /metrics and /proxyMode are served; empty for nowhere
cleanup bool false: remove the rules and exit
`),
    ],
  },
};
