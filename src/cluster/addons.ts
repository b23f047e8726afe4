// What every cluster with real containers runs besides the user's pods: cluster DNS. Objects are applied with
// server-side apply, so that a later version changes what it owns and leaves a user's changes alone.

import { existsSync } from 'node:fs';
import { Deployment } from '../api/kinds/apps/deployment.ts';
import { Service } from '../api/kinds/core/service.ts';
import { ServiceAccount } from '../api/kinds/core/service-account.ts';
import type { Env } from '../base/env.ts';
import type { NodeContainerd } from '../host/containerd/start.ts';
import { loadImages } from '../host/images/load.ts';
import type { ControlPlane } from './control-plane.ts';
import { LOOPBACK } from './identities.ts';
import type { ClusterNetwork } from './networks.ts';
import type { ClusterPaths } from './paths.ts';
import { buildSystemImage, dnsProgram, systemImageName } from './system-image.ts';

export interface AddonsOptions {
  readonly env: Env;
  readonly plane: ControlPlane;
  readonly network: ClusterNetwork;
  readonly clusterDomain: string;
  readonly containerd: NodeContainerd;
  readonly paths: ClusterPaths;
}

const NAMESPACE = 'kube-system';
const LABELS = { 'k8s-app': 'kube-dns' };

export async function installAddons(options: AddonsOptions): Promise<void> {
  const { env, plane, containerd, paths } = options;
  const program = dnsProgram();
  if (!existsSync(program)) {
    env.log.warn('cluster DNS is not installed: the DNS program is not built (npm run build)', { program });
    return;
  }
  const image = await systemImageName(program);
  if (!(await containerd.runtime.imageStatus(image))) {
    const archive = await buildSystemImage(program, image, paths.data);
    await loadImages({ socket: containerd.paths.socket, runtime: containerd.runtime }, archive);
  }
  const client = plane.clientOf(LOOPBACK, 'coracle-addons');
  const apply = { fieldManager: 'coracle-addons', force: true };
  const metadata = { namespace: NAMESPACE, labels: { ...LABELS, 'kubernetes.io/name': 'CoreDNS' } };
  await client.apply(ServiceAccount, { metadata: { ...metadata, name: 'coredns' } }, apply);
  await client.apply(Service, dnsService(options.network.dnsIp), apply);
  await client.apply(Deployment, dnsDeployment(image, options.clusterDomain), apply);
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

function dnsDeployment(image: string, domain: string) {
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
          tolerations: [{ key: 'CriticalAddonsOnly', operator: 'Exists' }],
          containers: [
            {
              name: 'coredns',
              image,
              imagePullPolicy: 'IfNotPresent',
              env: [{ name: 'CLUSTER_DOMAIN', value: domain }],
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
