// The components that run on their own and their flags, named as upstream's binaries name them.
// https://kubernetes.io/docs/reference/command-line-tools-reference/

import type { ComponentName } from './platform.ts';

export interface Flag {
  readonly name: string;
  readonly value: string;
  readonly description: string;
  readonly default?: string;
}

interface Component {
  readonly description: string;
  readonly example: string;
  readonly flags: readonly Flag[];
}

const kubeconfig: Flag = { name: 'kubeconfig', value: 'file', description: 'how to reach the API server' };

export const componentFlags: Readonly<Record<ComponentName, Component>> = {
  server: {
    description: 'run the control plane (API server, controllers, scheduler) without a node',
    example: 'coracle server --data-dir /tmp/cp --secure-port 7443 --token-auth-file tokens.csv',
    flags: [
      { name: 'secure-port', value: 'port', description: 'the HTTPS port', default: '6443' },
      { name: 'bind-address', value: 'ip', description: 'the address to listen on', default: '0.0.0.0' },
      { name: 'advertise-address', value: 'ip', description: 'the address members reach the server on' },
      { name: 'data-dir', value: 'folder', description: 'where certificates and objects are kept' },
      { name: 'store', value: 'kind', description: 'disk or memory', default: 'disk' },
      {
        name: 'service-cluster-ip-range',
        value: 'cidr',
        description: 'the range of ClusterIPs',
        default: '10.96.0.0/16',
      },
      {
        name: 'service-node-port-range',
        value: 'range',
        description: 'the range of node ports',
        default: '30000-32767',
      },
      { name: 'cluster-cidr', value: 'cidr', description: 'the range of pod addresses', default: '10.244.0.0/16' },
      { name: 'token-auth-file', value: 'file', description: 'CSV of token,user,uid,"group1,group2"' },
      {
        name: 'client-ca-file',
        value: 'file',
        description: 'further CA certificates that may sign client certificates',
      },
      {
        name: 'authorization-mode',
        value: 'modes',
        description: 'RBAC, Node, AlwaysAllow or AlwaysDeny, in order',
        default: 'Node,RBAC',
      },
      {
        name: 'anonymous-auth',
        value: 'bool',
        description: 'let requests without credentials in as system:anonymous',
        default: 'true',
      },
      { name: 'enable-admission-plugins', value: 'names', description: 'admission plugins to add to the default ones' },
      { name: 'disable-admission-plugins', value: 'names', description: 'default admission plugins to leave out' },
      { name: 'controllers', value: 'names', description: 'controllers to run: `*`, `name`, `-name`', default: '*' },
      { name: 'etcd-servers', value: 'urls', description: 'not supported yet: objects are kept in the embedded store' },
      { name: 'v', value: 'level', description: 'log verbosity: 4 and more is debug', default: '2' },
    ],
  },
  agent: {
    description: 'run a node: containerd, kubelet and proxy',
    example: 'coracle agent --kubeconfig node.kubeconfig --data-dir /var/lib/coracle/node2',
    flags: [
      kubeconfig,
      { name: 'data-dir', value: 'folder', description: 'where the node keeps its state' },
      { name: 'hostname-override', value: 'name', description: "the node's name (default: the host's)" },
      { name: 'node-ip', value: 'ip', description: "the node's address" },
      { name: 'node-labels', value: 'labels', description: 'labels to register with, key=value, comma separated' },
      {
        name: 'register-with-taints',
        value: 'taints',
        description: 'taints to register with, key=value:effect, comma separated',
      },
      { name: 'cluster-dns', value: 'ip', description: 'the cluster DNS address', default: '10.96.0.10' },
      { name: 'cluster-domain', value: 'name', description: "the cluster's DNS domain", default: 'cluster.local' },
      { name: 'max-pods', value: 'n', description: 'how many pods the node takes', default: '110' },
      { name: 'v', value: 'level', description: 'log verbosity: 4 and more is debug', default: '2' },
    ],
  },
  scheduler: {
    description: 'run the scheduler',
    example: 'coracle scheduler --kubeconfig scheduler.kubeconfig',
    flags: [kubeconfig, { name: 'v', value: 'level', description: 'log verbosity: 4 and more is debug', default: '2' }],
  },
  'controller-manager': {
    description: 'run the controllers',
    example: 'coracle controller-manager --kubeconfig controller-manager.kubeconfig',
    flags: [
      kubeconfig,
      { name: 'controllers', value: 'names', description: 'controllers to run: `*`, `name`, `-name`', default: '*' },
      { name: 'cluster-cidr', value: 'cidr', description: 'the range of pod addresses', default: '10.244.0.0/16' },
      { name: 'root-ca-file', value: 'file', description: 'the CA certificate put into every namespace' },
      { name: 'cluster-signing-cert-file', value: 'file', description: 'the CA that signs certificate requests' },
      { name: 'cluster-signing-key-file', value: 'file', description: "that CA's key" },
      { name: 'v', value: 'level', description: 'log verbosity: 4 and more is debug', default: '2' },
    ],
  },
  proxy: {
    description: "run the service proxy: Services to the kernel's nftables rules",
    example: 'coracle proxy --kubeconfig proxy.kubeconfig',
    flags: [
      kubeconfig,
      { name: 'cluster-cidr', value: 'cidr', description: 'the range of pod addresses', default: '10.244.0.0/16' },
      { name: 'hostname-override', value: 'name', description: "the node's name (default: the host's)" },
      { name: 'v', value: 'level', description: 'log verbosity: 4 and more is debug', default: '2' },
    ],
  },
};
