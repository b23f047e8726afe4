// Security contexts of pods and containers. Windows options are only checked for standing in the wrong pod.

import { field } from '../errors.ts';
import type {
  AppArmorProfile,
  PodSecurityContext,
  PodSpec,
  SeccompProfile,
  SecurityContext,
} from '../generated/core-v1.ts';
import { type Errors, inRange, missing, optionalOneOf } from './checks.ts';
import { localDescendingPath } from './paths.ts';

const MAX_ID = 0xffffffff;
const PROFILE_TYPES = ['Localhost', 'RuntimeDefault', 'Unconfined'];
const MAX_PROFILE = 4095;

function validateId(id: number | undefined, path: string, out: Errors): void {
  if (id !== undefined) inRange(id, 0, MAX_ID, path, out);
}

function validateSeccomp(profile: SeccompProfile | undefined, path: string, out: Errors): void {
  if (!profile) return;
  const at = `${path}.localhostProfile`;
  if (missing(profile.type)) out.push(field.required(`${path}.type`, 'type is required when seccompProfile is set'));
  else if (!PROFILE_TYPES.includes(profile.type)) {
    out.push(field.notSupported(`${path}.type`, profile.type, PROFILE_TYPES));
  }
  if (profile.type === 'Localhost') {
    if (profile.localhostProfile === undefined) {
      out.push(field.required(at, 'must be set when seccomp type is Localhost'));
    } else {
      localDescendingPath(profile.localhostProfile, at, out);
    }
  } else if (profile.localhostProfile !== undefined) {
    out.push(field.invalid(at, profile, 'can only be set when seccomp type is Localhost'));
  }
}

function validateAppArmor(profile: AppArmorProfile | undefined, path: string, out: Errors): void {
  if (!profile) return;
  const at = `${path}.localhostProfile`;
  const name = profile.localhostProfile;
  if (missing(profile.type)) {
    out.push(field.required(`${path}.type`, 'type is required when appArmorProfile is set'));
  } else if (!PROFILE_TYPES.includes(profile.type)) {
    out.push(field.notSupported(`${path}.type`, profile.type, PROFILE_TYPES));
  } else if (profile.type !== 'Localhost') {
    if (name !== undefined) out.push(field.invalid(at, name, 'can only be set when AppArmor type is Localhost'));
  } else if (name !== undefined && name !== name.trim()) {
    out.push(field.invalid(at, name, 'must not be padded with whitespace'));
  } else if (missing(name)) {
    out.push(field.required(at, 'must be set when AppArmor type is Localhost'));
  } else if (name.length > MAX_PROFILE) {
    out.push(field.tooLong(at, MAX_PROFILE));
  }
}

export function validateSecurityContext(
  sc: SecurityContext | undefined,
  hostUsers: boolean,
  path: string,
  out: Errors,
): void {
  if (!sc) return;
  validateId(sc.runAsUser, `${path}.runAsUser`, out);
  validateId(sc.runAsGroup, `${path}.runAsGroup`, out);
  optionalOneOf(sc.procMount, ['Default', 'Unmasked'], `${path}.procMount`, out);
  if (hostUsers && sc.procMount === 'Unmasked') {
    out.push(field.invalid(`${path}.procMount`, sc.procMount, '`hostUsers` must be false to use `Unmasked`'));
  }
  validateSeccomp(sc.seccompProfile, `${path}.seccompProfile`, out);
  if (sc.allowPrivilegeEscalation === false) {
    const text = 'cannot set `allowPrivilegeEscalation` to false and ';
    if (sc.privileged) out.push(field.invalid(path, sc, `${text}\`privileged\` to true`));
    if (sc.capabilities?.add?.includes('CAP_SYS_ADMIN')) {
      out.push(field.invalid(path, sc, `${text}\`capabilities.Add\` CAP_SYS_ADMIN`));
    }
  }
  validateAppArmor(sc.appArmorProfile, `${path}.appArmorProfile`, out);
}

export function validatePodSecurityContext(spec: PodSpec, specPath: string, out: Errors): void {
  const sc = spec.securityContext;
  if (!sc) return;
  const path = `${specPath}.securityContext`;
  validateId(sc.fsGroup, `${path}.fsGroup`, out);
  validateId(sc.runAsUser, `${path}.runAsUser`, out);
  validateId(sc.runAsGroup, `${path}.runAsGroup`, out);
  sc.supplementalGroups?.forEach((id, i) => validateId(id, `${path}.supplementalGroups[${i}]`, out));
  if (spec.shareProcessNamespace && spec.hostPID) {
    const text = 'ShareProcessNamespace and HostPID cannot both be enabled';
    out.push(field.invalid(`${path}.shareProcessNamespace`, true, text));
  }
  validateSysctls(spec, sc, `${path}.sysctls`, out);
  optionalOneOf(sc.fsGroupChangePolicy, ['Always', 'OnRootMismatch'], `${path}.fsGroupChangePolicy`, out);
  validateSeccomp(sc.seccompProfile, `${path}.seccompProfile`, out);
  validateAppArmor(sc.appArmorProfile, `${path}.appArmorProfile`, out);
  optionalOneOf(sc.supplementalGroupsPolicy, ['Merge', 'Strict'], `${path}.supplementalGroupsPolicy`, out);
  optionalOneOf(sc.seLinuxChangePolicy, ['MountOption', 'Recursive'], `${path}.seLinuxChangePolicy`, out);
}

const SYSCTL = '([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?';

function validateSysctls(spec: PodSpec, sc: PodSecurityContext, path: string, out: Errors): void {
  const seen = new Set<string>();
  sc.sysctls?.forEach(({ name }, i) => {
    const at = `${path}[${i}].name`;
    if (missing(name)) out.push(field.required(at));
    else if (name.length > 253 || !/^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/.test(name)) {
      out.push(field.invalid(at, name, `must have at most 253 characters and match regex ^${SYSCTL}$`));
    } else if (seen.has(name)) out.push(field.duplicate(at, name));
    seen.add(name ?? '');
    const space = namespaceOfSysctl(name ?? '');
    if (space === 'net' && spec.hostNetwork) {
      out.push(field.invalid(at, name, "may not be specified when 'hostNetwork' is true"));
    } else if (space === 'ipc' && spec.hostIPC) {
      out.push(field.invalid(at, name, "may not be specified when 'hostIPC' is true"));
    }
  });
}

/** The kernel namespace a sysctl belongs to. */
function namespaceOfSysctl(name: string): 'net' | 'ipc' | undefined {
  const dotted = name.replaceAll('/', '.');
  if (dotted.startsWith('net.')) return 'net';
  return dotted.startsWith('kernel.shm') ||
    dotted.startsWith('kernel.msg') ||
    dotted.startsWith('fs.mqueue.') ||
    dotted === 'kernel.sem'
    ? 'ipc'
    : undefined;
}

const LINUX_ONLY_POD = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'fsGroup',
  'fsGroupChangePolicy',
  'sysctls',
  'runAsUser',
  'runAsGroup',
  'supplementalGroups',
  'supplementalGroupsPolicy',
  'seLinuxChangePolicy',
] as const;
const LINUX_ONLY = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'capabilities',
  'readOnlyRootFilesystem',
  'privileged',
  'allowPrivilegeEscalation',
  'procMount',
  'runAsUser',
  'runAsGroup',
] as const;

/** Options of the other operating system. */
export function validateOs(spec: PodSpec, path: string, out: Errors): void {
  const os = spec.os;
  if (!os) return;
  if (missing(os.name)) return void out.push(field.required(`${path}.os.name`, 'cannot be empty'));
  if (os.name !== 'linux' && os.name !== 'windows') {
    return void out.push(field.notSupported(`${path}.os`, os.name, ['linux', 'windows']));
  }
  const lists = ['initContainers', 'containers', 'ephemeralContainers'] as const;
  const each = (visit: (sc: SecurityContext, at: string) => void) => {
    for (const list of lists) {
      spec[list]?.forEach(
        (c, i) => c.securityContext && visit(c.securityContext, `${path}.${list}[${i}].securityContext`),
      );
    }
  };
  if (os.name === 'linux') {
    const text = 'windows options cannot be set for a linux pod';
    if (spec.securityContext?.windowsOptions) out.push(field.forbidden(`${path}.securityContext.windowsOptions`, text));
    each((sc, at) => sc.windowsOptions && out.push(field.forbidden(`${at}.windowsOptions`, text)));
    return;
  }
  const text = 'cannot be set for a windows pod';
  for (const key of LINUX_ONLY_POD) {
    if (spec.securityContext?.[key] !== undefined) out.push(field.forbidden(`${path}.securityContext.${key}`, text));
  }
  for (const key of ['hostUsers', 'shareProcessNamespace'] as const) {
    if (spec[key] !== undefined) out.push(field.forbidden(`${path}.${key}`, text));
  }
  for (const key of ['hostPID', 'hostIPC'] as const) if (spec[key]) out.push(field.forbidden(`${path}.${key}`, text));
  each((sc, at) => {
    for (const key of LINUX_ONLY) if (sc[key] !== undefined) out.push(field.forbidden(`${at}.${key}`, text));
  });
}
