// Default values of pod specifications, in pods and in templates. https://kubernetes.io/docs/concepts/workloads/pods/

import {
  aggregateContainers,
  isHugePages,
  isOvercommitAllowed,
  isPodLevelResource,
} from '../../container-resources.ts';
import type {
  Container,
  LifecycleHandler,
  Pod,
  PodSpec,
  PodTemplateSpec,
  Probe,
  ProjectedVolumeSource,
  Volume,
} from '../../generated/core-v1.ts';
import { parseQuantity } from '../../quantity.ts';

const FILE_MODE = 0o644;
const HOUR = 3600;
type Resources = Record<string, string>;

/** Quantities finer than a thousandth are rounded up. */
export function defaultResourceList(list: Resources | undefined): void {
  for (const name in list) {
    const quantity = parseQuantity(list[name]!);
    const rounded = quantity.roundedToMilli();
    if (rounded !== quantity) list[name] = rounded.toString();
  }
}

/** Requests that are missing are as high as the limits. */
function requestsFromLimits(c: Container): void {
  const { resources } = c;
  if (!resources?.limits) return;
  resources.requests = { ...resources.limits, ...resources.requests };
}

/** What only a pod gets, and no template. Runs before the defaults of its specification. */
export function defaultPod(pod: Pod): void {
  const { spec } = pod;
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
  for (const c of containers) requestsFromLimits(c);
  defaultPodResources(spec);
  spec.enableServiceLinks ??= true;
  if (spec.hostNetwork) {
    for (const c of containers) for (const port of c.ports ?? []) port.hostPort ||= port.containerPort;
  }
  defaultPodSpec(spec);
}

/** Resources of the pod as a whole, when some of them are given: the rest follows from the containers. */
function defaultPodResources(spec: PodSpec): void {
  const own = spec.resources;
  if (!own) return;
  const has = (list: Resources | undefined) => list !== undefined && Object.keys(list).length > 0;
  const limits = { ...own.limits };
  const requests = { ...own.requests };
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
  if (has(own.limits) || has(own.requests)) {
    const sums = aggregateContainers(spec, 'limits');
    const everyone = (name: string) => containers.every((c) => c.resources?.limits?.[name] !== undefined);
    for (const name in sums) {
      const open = isPodLevelResource(name) && limits[name] === undefined;
      if (open && isHugePages(name) && requests[name] === undefined) limits[name] = sums[name]!.toString();
      if (open && !has(own.limits) && isOvercommitAllowed(name) && everyone(name))
        limits[name] = sums[name]!.toString();
    }
  }
  if (has(own.limits)) {
    const sums = aggregateContainers(spec, 'requests');
    for (const name in sums) {
      if (isPodLevelResource(name) && isOvercommitAllowed(name)) requests[name] ??= sums[name]!.toString();
    }
    for (const name in limits) if (isPodLevelResource(name)) requests[name] ??= limits[name]!;
  }
  if (has(requests)) own.requests = requests;
  if (has(limits)) own.limits = limits;
}

export function defaultPodTemplate(template: PodTemplateSpec | undefined): void {
  if (template?.spec) defaultPodSpec(template.spec);
}

export function defaultPodSpec(spec: PodSpec): void {
  spec.dnsPolicy ||= 'ClusterFirst';
  spec.restartPolicy ||= 'Always';
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= 30;
  spec.schedulerName ||= 'default-scheduler';
  // `serviceAccount` is the old name of `serviceAccountName`; both always show the same.
  spec.serviceAccountName ||= spec.serviceAccount ?? '';
  if (spec.serviceAccountName) spec.serviceAccount = spec.serviceAccountName;
  else delete spec.serviceAccountName;
  for (const list of ['containers', 'initContainers', 'ephemeralContainers'] as const) {
    for (const c of spec[list] ?? []) defaultContainer(c);
  }
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
  defaultResourceList(spec.overhead);
  defaultResourceList(spec.resources?.limits);
  defaultResourceList(spec.resources?.requests);
}

/** `Always` for images that may change under their name. */
export function pullPolicy(image: string | undefined): 'Always' | 'IfNotPresent' {
  return imageTag(image ?? '') === 'latest' ? 'Always' : 'IfNotPresent';
}

/** The tag of a well-formed image reference; `latest` when it has neither tag nor digest. */
function imageTag(image: string): string | undefined {
  const match =
    /^(?:([A-Za-z0-9.-]+(?::[0-9]+)?|\[[0-9A-Fa-f:]+\](?::[0-9]+)?)\/)?([a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::(\w[\w.-]*))?(@[A-Za-z0-9_+.-]+:[0-9a-fA-F]+)?$/.exec(
      image,
    );
  if (!match) return undefined;
  return match[3] ?? (match[4] ? undefined : 'latest');
}

function defaultContainer(c: Container): void {
  c.imagePullPolicy ||= pullPolicy(c.image);
  c.terminationMessagePath ||= '/dev/termination-log';
  c.terminationMessagePolicy ||= 'File';
  for (const port of c.ports ?? []) port.protocol ||= 'TCP';
  for (const v of c.env ?? []) {
    if (v.valueFrom?.fieldRef) v.valueFrom.fieldRef.apiVersion ||= 'v1';
    if (v.valueFrom?.fileKeyRef) v.valueFrom.fileKeyRef.optional ??= false;
  }
  defaultResourceList(c.resources?.limits);
  defaultResourceList(c.resources?.requests);
  for (const probe of [c.livenessProbe, c.readinessProbe, c.startupProbe]) if (probe) defaultProbe(probe);
  defaultHandler(c.lifecycle?.postStart);
  defaultHandler(c.lifecycle?.preStop);
}

function defaultProbe(probe: Probe): void {
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  if (probe.grpc) probe.grpc.service ??= '';
  defaultHandler(probe);
}

function defaultHandler(handler: Pick<LifecycleHandler, 'httpGet'> | undefined): void {
  if (!handler?.httpGet) return;
  handler.httpGet.path ||= '/';
  handler.httpGet.scheme ||= 'HTTP';
}

function defaultVolume(v: Volume): void {
  if (Object.keys(v).every((key) => key === 'name' || v[key as keyof Volume] === undefined)) v.emptyDir = {};
  if (v.hostPath) v.hostPath.type ??= '';
  for (const source of [v.secret, v.configMap, v.downwardAPI, v.projected])
    if (source) source.defaultMode ??= FILE_MODE;
  for (const file of v.downwardAPI?.items ?? []) if (file.fieldRef) file.fieldRef.apiVersion ||= 'v1';
  if (v.projected) defaultProjected(v.projected);
  if (v.image) v.image.pullPolicy ||= pullPolicy(v.image.reference);
  if (v.ephemeral?.volumeClaimTemplate?.spec) v.ephemeral.volumeClaimTemplate.spec.volumeMode ??= 'Filesystem';
  if (v.iscsi) v.iscsi.iscsiInterface ||= 'default';
  if (v.rbd) {
    v.rbd.pool ||= 'rbd';
    v.rbd.user ||= 'admin';
    v.rbd.keyring ||= '/etc/ceph/keyring';
  }
  if (v.azureDisk) {
    v.azureDisk.cachingMode ??= 'ReadWrite';
    v.azureDisk.fsType ??= 'ext4';
    v.azureDisk.kind ??= 'Shared';
    v.azureDisk.readOnly ??= false;
  }
  if (v.scaleIO) {
    v.scaleIO.storageMode ||= 'ThinProvisioned';
    v.scaleIO.fsType ||= 'xfs';
  }
}

function defaultProjected(volume: ProjectedVolumeSource): void {
  for (const source of volume.sources ?? []) {
    if (source.serviceAccountToken) source.serviceAccountToken.expirationSeconds ??= HOUR;
    if (source.podCertificate) source.podCertificate.maxExpirationSeconds ??= 24 * HOUR;
    for (const file of source.downwardAPI?.items ?? []) if (file.fieldRef) file.fieldRef.apiVersion ||= 'v1';
  }
}
