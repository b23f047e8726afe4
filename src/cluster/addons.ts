// What every cluster with real containers runs besides the user's pods: cluster DNS. Objects are applied with
// server-side apply, so that a later version changes what it owns and leaves a user's changes alone.

import { existsSync } from 'node:fs';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { Service } from '../api/kinds/core/service.ts';
import { ServiceAccount } from '../api/kinds/core/service-account.ts';
import type { Env } from '../base/env.ts';
import type { Client } from '../client/client.ts';
import type { NodeContainerd } from '../host/containerd/start.ts';
import { loadImages } from '../host/images/load.ts';
import type { ClusterPaths } from './paths.ts';
import { buildSystemImage, dnsProgram, NODE_IN_IMAGE, systemImageName, systemNode } from './system-image.ts';

export interface DnsPodsOptions {
  readonly env: Env;
  readonly client: Client;
  readonly domain: string;
  readonly containerd: NodeContainerd;
  readonly paths: ClusterPaths;
  /** The node of this process: the pods run there, for they use its Node. */
  readonly nodeName: string;
}

const NAMESPACE = 'kube-system';
const LABELS = { 'k8s-app': 'kube-dns' };
const AS_ADDONS = { fieldManager: 'coracle-addons', force: true };

export async function applyDnsService(client: Client, clusterIP: string): Promise<void> {
  await client.apply(Service, dnsService(clusterIP), AS_ADDONS);
}

/** Makes the image when this build has none yet, and applies the Deployment. */
export async function installDnsPods(options: DnsPodsOptions): Promise<void> {
  const { env, client, containerd, paths } = options;
  const program = dnsProgram();
  if (!existsSync(program)) {
    env.log.warn('cluster DNS has no pods: the DNS program is not built (npm run build)', { program });
    return;
  }
  const image = await systemImageName(program);
  if (!(await containerd.runtime.imageStatus(image))) {
    const archive = await buildSystemImage(program, image, paths.data);
    await loadImages({ socket: containerd.paths.socket, runtime: containerd.runtime }, archive);
  }
  const metadata = { namespace: NAMESPACE, labels: { ...LABELS, 'kubernetes.io/name': 'CoreDNS' } };
  await client.apply(ServiceAccount, { metadata: { ...metadata, name: 'coredns' } }, AS_ADDONS);
  await client.apply(Deployment, dnsDeployment(image, options), AS_ADDONS);
}

function dnsService(clusterIP: string) {
  return {
    metadata: {
      name: 'kube-dns',
      namespace: NAMESPACE,
      labels: { ...LABELS, 'kubernetes.io/cluster-service': 'true', 'kubernetes.io/name': 'CoreDNS' },
    },
    spec: {
      clusterIP,
      selector: LABELS,
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP', targetPort: 53 },
        { name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 53 },
      ],
    },
  };
}

function dnsDeployment(image: string, { domain, nodeName }: DnsPodsOptions) {
  const probe = (path: string) => ({ httpGet: { path, port: 8181 } });
  return {
    metadata: { name: 'coredns', namespace: NAMESPACE, labels: LABELS },
    spec: {
      replicas: 1,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1 } },
      selector: { matchLabels: LABELS },
      template: {
        metadata: { labels: LABELS },
        spec: {
          serviceAccountName: 'coredns',
          dnsPolicy: 'Default',
          priorityClassName: 'system-cluster-critical',
          nodeSelector: { 'kubernetes.io/hostname': nodeName },
          volumes: [{ name: 'node', hostPath: { path: systemNode(), type: 'File' } }],
          tolerations: [{ key: 'CriticalAddonsOnly', operator: 'Exists' }],
          containers: [
            {
              name: 'coredns',
              image,
              imagePullPolicy: 'IfNotPresent',
              env: [{ name: 'CLUSTER_DOMAIN', value: domain }],
              volumeMounts: [{ name: 'node', mountPath: NODE_IN_IMAGE, readOnly: true }],
              ports: [
                { name: 'dns', containerPort: 53, protocol: 'UDP' },
                { name: 'dns-tcp', containerPort: 53, protocol: 'TCP' },
              ],
              resources: { requests: { cpu: '100m', memory: '70Mi' }, limits: { memory: '170Mi' } },
              readinessProbe: { ...probe('/ready'), periodSeconds: 1, failureThreshold: 30 },
              livenessProbe: { ...probe('/health'), initialDelaySeconds: 60, timeoutSeconds: 5, failureThreshold: 5 },
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { add: ['NET_BIND_SERVICE'], drop: ['ALL'] },
              },
            },
          ],
        },
      },
    },
  };
}
