// Containers: regular, init (and sidecars), ephemeral.

import { field } from '../errors.ts';
import type { Container, ContainerPort, EphemeralContainer, PodSpec } from '../generated/core-v1.ts';
import { isSidecar } from '../container-resources.ts';
import { type Errors, missing, oneOf, requiredName } from './checks.ts';
import { validateEnv, validateEnvFrom } from './env.ts';
import { validateDevices, validateMounts, type VolumeMap } from './mounts.ts';
import { addFaults, dns1123Label, portName, portNumber } from './names.ts';
import { validateLifecycle, validateProbe } from './probes.ts';
import { validateRequirements } from './resources.ts';
import { validateSecurityContext } from './security-context.ts';

export const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
export const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'];
const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;
const NOT_EPHEMERAL = 'cannot be set for an Ephemeral Container';

/** What containers need to know of their pod. */
export interface ContainerScope {
  readonly spec: PodSpec;
  readonly volumes: VolumeMap;
  /** The spec is a pod's, not a template's. */
  readonly isPod: boolean;
}

export function validateContainers(scope: ContainerScope, path: string, out: Errors): void {
  const { spec } = scope;
  const at = `${path}.containers`;
  const containers = spec.containers ?? [];
  if (containers.length === 0) out.push(field.required(at));
  const names = new Set<string>();
  containers.forEach((c, i) => {
    validateCommon(c, scope, `${at}[${i}]`, out);
    if (names.has(c.name)) out.push(field.duplicate(`${at}[${i}].name`, c.name));
    names.add(c.name);
    validateRunning(c, scope, `${at}[${i}]`, out);
    validateRestart(c, ['Always', 'OnFailure', 'Never'], `${at}[${i}]`, out);
  });
  validateHostPorts(containers, at, out);
}

export function validateInitContainers(scope: ContainerScope, path: string, out: Errors): void {
  const { spec } = scope;
  const at = `${path}.initContainers`;
  const names = new Set(spec.containers?.map((c) => c.name));
  spec.initContainers?.forEach((c, i) => {
    const here = `${at}[${i}]`;
    validateCommon(c, scope, here, out);
    validateRestart(c, ['Always', 'OnFailure', 'Never'], here, out);
    if (names.has(c.name)) out.push(field.duplicate(`${here}.name`, c.name));
    else if (!missing(c.name)) names.add(c.name);
    validateHostPorts([c], at, out);
    if (isSidecar(c)) return validateRunning(c, scope, here, out);
    for (const key of ['lifecycle', ...PROBES] as const) {
      if (c[key] !== undefined) {
        out.push(field.forbidden(`${here}.${key}`, 'may not be set for init containers without restartPolicy=Always'));
      }
    }
  });
}

const EPHEMERAL_FORBIDS = ['ports', 'resources', ...PROBES, 'lifecycle', 'resizePolicy', 'restartPolicy'] as const;

export function validateEphemeralContainers(scope: ContainerScope, path: string, out: Errors): void {
  const { spec } = scope;
  const at = `${path}.ephemeralContainers`;
  const others = new Set([...(spec.containers ?? []), ...(spec.initContainers ?? [])].map((c) => c.name));
  const names = new Set(others);
  spec.ephemeralContainers?.forEach((c: EphemeralContainer, i) => {
    const here = `${at}[${i}]`;
    validateCommon(c, { ...scope, isPod: true }, here, out);
    if (names.has(c.name)) out.push(field.duplicate(`${here}.name`, c.name));
    names.add(c.name);
    if (!missing(c.targetContainerName) && !others.has(c.targetContainerName)) {
      out.push(field.notFound(`${here}.targetContainerName`, c.targetContainerName));
    }
    for (const key of EPHEMERAL_FORBIDS) {
      const value = c[key];
      const set = typeof value === 'object' ? Object.keys(value).length > 0 : value !== undefined;
      if (set) out.push(field.forbidden(`${here}.${key}`, NOT_EPHEMERAL));
    }
    c.volumeMounts?.forEach((m, n) => {
      for (const key of ['subPath', 'subPathExpr'] as const) {
        if (!missing(m[key])) out.push(field.forbidden(`${here}.volumeMounts[${n}].${key}`, NOT_EPHEMERAL));
      }
    });
  });
}

function validateCommon(c: Container, scope: ContainerScope, path: string, out: Errors): void {
  const { spec, volumes } = scope;
  requiredName(c.name, dns1123Label, `${path}.name`, out);
  if (missing(c.image)) out.push(field.required(`${path}.image`));
  else if (scope.isPod && c.image !== c.image.trim()) {
    out.push(field.invalid(`${path}.image`, c.image, 'must not have leading or trailing whitespace'));
  }
  const policies = ['File', 'FallbackToLogsOnError'];
  oneOf(c.terminationMessagePolicy, policies, `${path}.terminationMessagePolicy`, out);
  validatePorts(c.ports, `${path}.ports`, out);
  validateEnv(c.env, `${path}.env`, out);
  validateEnvFrom(c.envFrom, `${path}.envFrom`, out);
  validateMounts(c, volumes, `${path}.volumeMounts`, out);
  validateDevices(c, volumes, `${path}.volumeDevices`, out);
  oneOf(c.imagePullPolicy, PULL_POLICIES, `${path}.imagePullPolicy`, out);
  const claims = spec.resourceClaims?.map((r) => r.name).filter((name) => !missing(name)) ?? [];
  validateRequirements(c.resources, { claims }, `${path}.resources`, out);
  validateResizePolicy(c, spec.restartPolicy, `${path}.resizePolicy`, out);
  validateSecurityContext(c.securityContext, spec.hostUsers !== false, `${path}.securityContext`, out);
}

/** What only containers that keep running have. */
function validateRunning(c: Container, { spec }: ContainerScope, path: string, out: Errors): void {
  const grace = spec.terminationGracePeriodSeconds;
  validateLifecycle(c.lifecycle, grace, spec.os?.name, `${path}.lifecycle`, out);
  for (const key of PROBES) validateProbe(c[key], key, grace, `${path}.${key}`, out);
}

function validatePorts(ports: readonly ContainerPort[] | undefined, path: string, out: Errors): void {
  const names = new Set<string>();
  ports?.forEach((p, i) => {
    const at = `${path}[${i}]`;
    if (!missing(p.name)) {
      const faults = portName(p.name);
      addFaults(faults, `${at}.name`, p.name, out);
      if (!faults.length && names.has(p.name)) out.push(field.duplicate(`${at}.name`, p.name));
      if (!faults.length) names.add(p.name);
    }
    if (!p.containerPort) out.push(field.required(`${at}.containerPort`));
    else addFaults(portNumber(p.containerPort), `${at}.containerPort`, p.containerPort, out);
    if (p.hostPort) addFaults(portNumber(p.hostPort), `${at}.hostPort`, p.hostPort, out);
    oneOf(p.protocol, PROTOCOLS, `${at}.protocol`, out);
  });
}

/** Two containers of a pod cannot have the same port of the node. */
function validateHostPorts(containers: readonly Container[], path: string, out: Errors): void {
  const seen = new Set<string>();
  containers.forEach((c, i) =>
    c.ports?.forEach((p, n) => {
      if (!p.hostPort) return;
      const key = `${p.protocol}/${p.hostIP ?? ''}/${p.hostPort}`;
      if (seen.has(key)) out.push(field.duplicate(`${path}[${i}].ports[${n}].hostPort`, key));
      seen.add(key);
    }),
  );
}

function validateResizePolicy(c: Container, podPolicy: string | undefined, path: string, out: Errors): void {
  const seen = new Set<string>();
  c.resizePolicy?.forEach((p, i) => {
    if (seen.has(p.resourceName)) out.push(field.duplicate(`${path}[${i}]`, p.resourceName));
    seen.add(p.resourceName);
    oneOf(p.resourceName, ['cpu', 'memory'], path, out);
    oneOf(p.restartPolicy, ['NotRequired', 'RestartContainer'], path, out);
    if (podPolicy === 'Never' && p.restartPolicy !== 'NotRequired') {
      out.push(field.invalid(path, p.restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'"));
    }
  });
}

/** A container's own restart policy, and the rules by exit code in front of it. */
function validateRestart(c: Container, policies: readonly string[], path: string, out: Errors): void {
  const rules = c.restartPolicyRules ?? [];
  if (c.restartPolicy === undefined) {
    if (rules.length) {
      out.push(field.required(`${path}.restartPolicy`, 'must specify restartPolicy when restart rules are used'));
    }
  } else {
    oneOf(c.restartPolicy, policies, `${path}.restartPolicy`, out);
  }
  const at = `${path}.restartPolicyRules`;
  if (rules.length > 20) out.push(field.tooMany(at, rules.length, 20));
  rules.forEach((rule, i) => {
    oneOf(rule.action, ['Restart', 'RestartAllContainers'], `${at}[${i}].action`, out);
    const codes = rule.exitCodes;
    if (!codes) return void out.push(field.required(`${at}[${i}].exitCodes`, 'must be specified'));
    oneOf(codes.operator, ['In', 'NotIn'], `${at}[${i}].exitCodes.operator`, out);
    const count = codes.values?.length ?? 0;
    if (count > 255) out.push(field.tooMany(`${at}[${i}].exitCodes.values`, count, 255));
  });
}
