// A kubelet may only touch its own Node, the pods bound to it, and what belongs to those.
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction

import type { TokenRequest } from '../../api/generated/authentication-v1.ts';
import type { Node, Pod as PodObject } from '../../api/generated/core-v1.ts';
import { Pod } from '../../api/kinds/core/pod.ts';
import type { UserInfo } from '../../api/op.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import type { Caches } from '../caches.ts';
import { sameJson } from '../../api/same-json.ts';
import { refusal } from './request-name.ts';

const MIRROR = 'kubernetes.io/config.mirror';
const q = JSON.stringify;

/** Labels in the kubernetes.io and k8s.io domains that a kubelet may set on its own Node. */
const KUBELET_LABELS: ReadonlySet<string> = new Set([
  'kubernetes.io/hostname',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
  'node.kubernetes.io/instance-type',
  'beta.kubernetes.io/instance-type',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'node.kubernetes.io/windows-build',
]);
const KUBELET_DOMAINS = ['kubelet.kubernetes.io', 'node.kubernetes.io'];

type Rule = (request: AdmissionRequest, node: string) => void | Promise<void>;

export function nodeRestriction(caches: Caches): AdmissionPlugin {
  const findPod = async (namespace: string | undefined, name: string) =>
    (await caches.current(Pod)).get(namespace, name) as PodObject | undefined;
  const rules: Readonly<Record<string, Rule>> = {
    pods: checkPod,
    'pods/status': checkPodStatus,
    'pods/eviction': async (request, node) => {
      const pod = await findPod(request.op.namespace, request.op.name ?? '');
      if (pod && pod.spec.nodeName !== node) {
        throw refusal(request, `node ${q(node)} can only evict pods with spec.nodeName set to itself`);
      }
    },
    nodes: checkNode,
    'nodes/status': checkNode,
    'serviceaccounts/token': async (request, node) => checkToken(request, node, findPod),
    'leases.coordination.k8s.io': checkLease,
  };
  return {
    name: 'NodeRestriction',
    handles: (operation) => operation !== 'CONNECT',
    validate(request) {
      if (!isNodeUser(request.op.user)) return;
      const node = nodeNameOf(request.op.user);
      const { subresource } = request.op;
      const rule = rules[subresource ? `${request.kind.resource}/${subresource}` : request.kind.resource];
      if (!rule) return;
      if (!node) throw refusal(request, `could not determine node from user ${q(request.op.user.name)}`);
      return rule(request, node);
    },
  };
}

const isNodeUser = (user: UserInfo) => user.groups.includes('system:nodes');
const PREFIX = 'system:node:';
const nodeNameOf = (user: UserInfo) => (user.name.startsWith(PREFIX) ? user.name.slice(PREFIX.length) : '');

function checkPod(request: AdmissionRequest, node: string): void {
  const { operation } = request;
  if (operation === 'CREATE') return checkMirrorPod(request, request.object as PodObject, node);
  if (operation === 'DELETE') {
    if ((request.old as PodObject).spec.nodeName === node) return;
    throw refusal(request, `node ${q(node)} can only delete pods with spec.nodeName set to itself`);
  }
  throw refusal(
    request,
    `unexpected operation ${q(operation)}, node ${q(node)} can only create and delete mirror pods`,
  );
}

function checkMirrorPod(request: AdmissionRequest, pod: PodObject, node: string): void {
  if (pod.metadata.annotations?.[MIRROR] === undefined) {
    throw refusal(request, `pod does not have ${q(MIRROR)} annotation, node ${q(node)} can only create mirror pods`);
  }
  if (pod.spec.nodeName !== node) {
    throw refusal(request, `node ${q(node)} can only create pods with spec.nodeName set to itself`);
  }
  const owners = pod.metadata.ownerReferences ?? [];
  if (owners.length > 1) {
    throw refusal(request, `node ${q(node)} can only create pods with a single owner reference set to itself`);
  }
  const [owner] = owners;
  if (
    owner &&
    (owner.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node || owner.blockOwnerDeletion)
  ) {
    throw refusal(request, `node ${q(node)} can only create pods with an owner reference set to itself`);
  }
  if (pod.spec.serviceAccountName) {
    throw refusal(request, `node ${q(node)} can not create pods that reference a service account`);
  }
  for (const [kind, used] of references(pod)) {
    if (used) throw refusal(request, `node ${q(node)} can not create pods that reference ${kind}`);
  }
}

function references({ spec }: PodObject): [kind: string, used: boolean][] {
  const volumes = spec.volumes ?? [];
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  const sources = volumes.flatMap((volume) => volume.projected?.sources ?? []);
  const froms = containers.flatMap((container) => container.envFrom ?? []);
  const values = containers.flatMap((container) => (container.env ?? []).map((variable) => variable.valueFrom));
  return [
    [
      'secrets',
      volumes.some((v) => v.secret) ||
        sources.some((s) => s.secret) ||
        froms.some((f) => f.secretRef) ||
        values.some((v) => v?.secretKeyRef) ||
        Boolean(spec.imagePullSecrets?.length),
    ],
    [
      'configmaps',
      volumes.some((v) => v.configMap) ||
        sources.some((s) => s.configMap) ||
        froms.some((f) => f.configMapRef) ||
        values.some((v) => v?.configMapKeyRef),
    ],
    ['persistentvolumeclaims', volumes.some((v) => v.persistentVolumeClaim)],
  ];
}

function checkPodStatus(request: AdmissionRequest, node: string): void {
  const old = request.old as PodObject | undefined;
  if (request.operation !== 'UPDATE' || !old) throw refusal(request, `unexpected operation ${q(request.operation)}`);
  if (old.spec.nodeName !== node) {
    throw refusal(request, `node ${q(node)} can only update pod status for pods with spec.nodeName set to itself`);
  }
  if (!sameJson(old.metadata.labels ?? {}, request.object?.metadata.labels ?? {})) {
    throw refusal(request, `node ${q(node)} cannot update labels through pod status`);
  }
}

function checkNode(request: AdmissionRequest, node: string): void {
  const object = request.object as Node | undefined;
  const old = request.old as Node | undefined;
  const name = (object ?? old)?.metadata.name ?? '';
  if (name !== node) throw refusal(request, `node ${q(node)} is not allowed to modify node ${q(name)}`);
  if (!object) return;
  const changed = changedLabels(object.metadata.labels ?? {}, old?.metadata.labels ?? {});
  const refused = changed.filter((label) => !mayLabel(label)).sort();
  if (refused.length) {
    throw refusal(request, `is not allowed to ${old ? 'modify' : 'set the following'} labels: ${refused.join(', ')}`);
  }
  if (!old) return;
  if (!sameJson(object.metadata.ownerReferences ?? [], old.metadata.ownerReferences ?? [])) {
    throw refusal(request, `node ${q(node)} is not allowed to modify ownerReferences`);
  }
  if (!sameJson(object.spec?.taints ?? [], old.spec?.taints ?? [])) {
    throw refusal(request, `node ${q(node)} is not allowed to modify taints`);
  }
}

function changedLabels(labels: Record<string, string>, old: Record<string, string>): string[] {
  return [...new Set([...Object.keys(labels), ...Object.keys(old)])].filter((key) => labels[key] !== old[key]);
}

function mayLabel(label: string): boolean {
  const domain = label.includes('/') ? label.slice(0, label.indexOf('/')) : '';
  const inside = (parent: string) => domain === parent || domain.endsWith(`.${parent}`);
  if (inside('node-restriction.kubernetes.io')) return false;
  if (!inside('kubernetes.io') && !inside('k8s.io')) return true;
  return KUBELET_LABELS.has(label) || KUBELET_DOMAINS.some(inside);
}

async function checkToken(
  request: AdmissionRequest,
  node: string,
  findPod: (namespace: string | undefined, name: string) => Promise<PodObject | undefined>,
): Promise<void> {
  const ref = (request.object as TokenRequest | undefined)?.spec?.boundObjectRef;
  if (!ref || ref.apiVersion !== 'v1' || ref.kind !== 'Pod' || !ref.name) {
    throw refusal(request, 'node requested token not bound to a pod');
  }
  if (!ref.uid) throw refusal(request, 'node requested token with a pod binding without a uid');
  const pod = await findPod(request.op.namespace, ref.name);
  if (!pod) throw refusal(request, `pods ${q(ref.name)} not found`);
  if (pod.metadata.uid !== ref.uid) {
    throw refusal(request, 'the UID in the bound object reference does not match the UID in record');
  }
  if (pod.spec.nodeName !== node) {
    throw refusal(request, 'node requested token bound to a pod scheduled on a different node');
  }
}

function checkLease(request: AdmissionRequest, node: string): void {
  const { namespace, name } = (request.object ?? request.old)?.metadata ?? {};
  if (namespace !== 'kube-node-lease') {
    throw refusal(request, 'can only access leases in the "kube-node-lease" system namespace');
  }
  if (name !== node) throw refusal(request, 'can only access node lease with the same name as the requesting node');
}
