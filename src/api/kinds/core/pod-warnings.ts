// Warnings about pod specifications: legal, but not what anybody means. Paths begin at the pod or template.

import type {
  Container,
  ContainerPort,
  PodAffinity,
  PodSpec,
  PodTemplateSpec,
  Volume,
} from '../../generated/core-v1.ts';
import { parseQuantity } from '../../quantity.ts';
import { dns1123Label } from '../../validate/names.ts';

interface Meta {
  readonly name?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

const OLD_LABELS: Readonly<Record<string, string>> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region': 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone': 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type': 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
};
const OLD_ANNOTATIONS: Readonly<Record<string, string>> = {
  'scheduler.alpha.kubernetes.io/critical-pod': 'non-functional in v1.16+; use the "priorityClassName" field instead',
  'security.alpha.kubernetes.io/sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
  'security.alpha.kubernetes.io/unsafe-sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
};
const OLD_VOLUMES = {
  photonPersistentDisk: 'deprecated in v1.11, non-functional in v1.16+',
  gitRepo: 'deprecated in v1.11',
  scaleIO: 'deprecated in v1.16, non-functional in v1.22+',
  flocker: 'deprecated in v1.22, non-functional in v1.25+',
  storageos: 'deprecated in v1.22, non-functional in v1.25+',
  quobyte: 'deprecated in v1.22, non-functional in v1.25+',
  glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
  cephfs: 'deprecated in v1.28, non-functional in v1.31+',
  rbd: 'deprecated in v1.28, non-functional in v1.31+',
} as const satisfies Partial<Record<keyof Volume, string>>;
const NULL_SELECTOR = 'a null labelSelector results in matching no pod';
const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';

/** A workload's name becomes part of host names. */
export function nameWarnings(name: string, use: string): string[] {
  const faults = dns1123Label(name);
  if (faults.length === 0) return [];
  return [
    `metadata.name: this is used in ${use}, which can result in surprising behavior; a DNS label is recommended: [${faults.join(' ')}]`,
  ];
}
export const inPodNames = (name: string) => nameWarnings(name, 'Pod names and hostnames');

/** `prefix` is '' for a pod and `spec.template.` for a template. */
export function podSpecWarnings(spec: PodSpec, meta: Meta | undefined, prefix: string): string[] {
  const out: string[] = [];
  const path = `${prefix}spec`;
  schedulingWarnings(spec, path, out);
  for (const key in OLD_ANNOTATIONS) {
    if (meta?.annotations?.[key] !== undefined) {
      out.push(`${prefix}metadata.annotations[${key}]: ${OLD_ANNOTATIONS[key]}`);
    }
  }
  spec.volumes?.forEach((v, i) => {
    for (const [key, why] of Object.entries(OLD_VOLUMES)) {
      if (v[key as keyof Volume] !== undefined) out.push(`${path}.volumes[${i}].${key}: ${why}`);
    }
  });
  repeated(
    spec.hostAliases?.map((a) => a.ip),
    (i, ip) => `${path}.hostAliases[${i}].ip: duplicate ip ${ip}`,
    out,
  );
  const secrets = spec.imagePullSecrets?.map((s) => s.name ?? '');
  repeated(secrets, (i, name) => `${path}.imagePullSecrets[${i}].name: duplicate name ${name}`, out);
  secrets?.forEach((name, i) => {
    if (name === '') out.push(`${path}.imagePullSecrets[${i}].name: invalid empty name ""`);
  });
  fractionWarnings(spec.overhead, `${path}.overhead`, out);
  const all = containersOf(spec, path);
  for (const [c, at] of all) {
    fractionWarnings(c.resources?.limits, `${at}.resources.limits`, out);
    fractionWarnings(c.resources?.requests, `${at}.resources.requests`, out);
    envWarnings(c, at, out);
  }
  portWarnings(all, out);
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0) {
    out.push(
      `${path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`,
    );
  }
  return out;
}

function containersOf(spec: PodSpec, path: string): [Container, string][] {
  const lists = ['initContainers', 'containers', 'ephemeralContainers'] as const;
  return lists.flatMap((list) => spec[list]?.map((c, i): [Container, string] => [c, `${path}.${list}[${i}]`]) ?? []);
}

function repeated(
  values: readonly string[] | undefined,
  say: (i: number, quoted: string) => string,
  out: string[],
): void {
  const seen = new Set<string>();
  values?.forEach((value, i) => {
    if (seen.has(value)) out.push(say(i, JSON.stringify(value)));
    seen.add(value);
  });
}

function schedulingWarnings(spec: PodSpec, path: string, out: string[]): void {
  for (const key in spec.nodeSelector) {
    if (OLD_LABELS[key]) out.push(`${path}.nodeSelector[${key}]: ${OLD_LABELS[key]}`);
  }
  const node = spec.affinity?.nodeAffinity;
  const at = `${path}.affinity.nodeAffinity`;
  const terms = [
    ...(node?.[REQUIRED]?.nodeSelectorTerms ?? []).map(
      (t, i) => [t, `${at}.${REQUIRED}.nodeSelectorTerms[${i}]`] as const,
    ),
    ...(node?.[PREFERRED] ?? []).map((p, i) => [p.preference, `${at}.${PREFERRED}[${i}].preference`] as const),
  ];
  for (const [term, here] of terms) {
    term.matchExpressions?.forEach((e, i) => {
      if (OLD_LABELS[e.key]) out.push(`${here}.matchExpressions[${i}].key: ${e.key} is ${OLD_LABELS[e.key]}`);
    });
  }
  spec.topologySpreadConstraints?.forEach((c, i) => {
    const here = `${path}.topologySpreadConstraints[${i}]`;
    if (OLD_LABELS[c.topologyKey]) out.push(`${here}.topologyKey: ${c.topologyKey} is ${OLD_LABELS[c.topologyKey]}`);
    if (!c.labelSelector) out.push(`${here}.labelSelector: ${NULL_SELECTOR}`);
  });
  affinityWarnings(spec.affinity?.podAffinity, `${path}.affinity.podAffinity`, out);
  affinityWarnings(spec.affinity?.podAntiAffinity, `${path}.affinity.podAntiAffinity`, out);
}

function affinityWarnings(affinity: PodAffinity | undefined, path: string, out: string[]): void {
  affinity?.[REQUIRED]?.forEach((t, i) => {
    if (!t.labelSelector) out.push(`${path}.${REQUIRED}[${i}].labelSelector: ${NULL_SELECTOR}`);
  });
  affinity?.[PREFERRED]?.forEach((p, i) => {
    if (!p.podAffinityTerm.labelSelector) {
      out.push(`${path}.${PREFERRED}[${i}].podAffinityTerm.labelSelector: ${NULL_SELECTOR}`);
    }
  });
}

function fractionWarnings(list: Readonly<Record<string, string>> | undefined, path: string, out: string[]): void {
  for (const name of ['memory', 'ephemeral-storage']) {
    const quantity = list?.[name];
    if (quantity === undefined || parseQuantity(quantity).milliValue % 1000 === 0) continue;
    const shown = JSON.stringify(parseQuantity(quantity).toString());
    out.push(`${path}[${name}]: fractional byte value ${shown} is invalid, must be an integer`);
  }
}

/** A name twice is fine only when the second builds upon the first: PATH=/x:$(PATH). */
function envWarnings(c: Container, path: string, out: string[]): void {
  const seen = new Set<string>();
  c.env?.forEach((v, i) => {
    const reference = `$(${v.name})`;
    const builds = !v.valueFrom && v.value !== reference && (v.value ?? '').includes(reference);
    if (seen.has(v.name) && !builds) {
      const name = JSON.stringify(v.name);
      out.push(`${path}.env[${i}]: hides previous definition of ${name}, which may be dropped when using apply`);
    }
    seen.add(v.name);
  });
}

function portWarnings(containers: readonly [Container, string][], out: string[]): void {
  const known = new Map<string, [ContainerPort, string][]>();
  for (const [c, path] of containers) {
    c.ports?.forEach((p, i) => {
      const at = `${path}.ports[${i}]`;
      const key = `${p.containerPort}/${p.protocol}`;
      const others = known.get(key) ?? [];
      for (const [other, where] of others) {
        const what = overlap(p, other);
        if (what) out.push(`${at}: ${what} port definition with ${where}`);
      }
      known.set(key, [...others, [p, at]]);
    });
  }
}

function overlap(a: ContainerPort, b: ContainerPort): string | undefined {
  const [hostA, hostB] = [a.hostPort ?? 0, b.hostPort ?? 0];
  const [ipA, ipB] = [a.hostIP ?? '', b.hostIP ?? ''];
  if (ipA === ipB && hostA === hostB) return 'duplicate';
  if (hostA === 0 || hostB === 0) return 'overlapping';
  return hostA === hostB && (ipA === '') !== (ipB === '') ? 'dangerously ambiguous' : undefined;
}

/** Of the template of a workload, at `spec.template` unless told. */
export function templateWarnings(template: PodTemplateSpec | undefined, path = 'spec.template'): string[] {
  return template?.spec ? podSpecWarnings(template.spec, template.metadata, `${path}.`) : [];
}

/** Of a workload with a template of pods: its name counts when it is made. */
export function workloadWarnings(
  object: { readonly metadata: { readonly name: string }; readonly spec: { readonly template?: PodTemplateSpec } },
  old: object | undefined,
): string[] {
  return [...(old ? [] : inPodNames(object.metadata.name)), ...templateWarnings(object.spec.template)];
}
