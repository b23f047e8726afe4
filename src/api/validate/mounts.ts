// Where containers see volumes: mounts and raw block devices.

import { field } from '../errors.ts';
import type { Container, Volume } from '../generated/core-v1.ts';
import { type Errors, missing, optionalOneOf } from './checks.ts';
import { localDescendingPath, noBacksteps } from './paths.ts';

/** The valid volumes of a pod, by name. */
export type VolumeMap = ReadonlyMap<string, Volume>;

export function validateMounts(c: Container, volumes: VolumeMap, path: string, out: Errors): void {
  const seen = new Set<string>();
  const devices = c.volumeDevices ?? [];
  c.volumeMounts?.forEach((m, i) => {
    const at = `${path}[${i}]`;
    if (missing(m.name)) out.push(field.required(`${at}.name`));
    if (!volumes.has(m.name)) out.push(field.notFound(`${at}.name`, m.name));
    if (missing(m.mountPath)) out.push(field.required(`${at}.mountPath`));
    if (seen.has(m.mountPath)) out.push(field.invalid(`${at}.mountPath`, m.mountPath, 'must be unique'));
    seen.add(m.mountPath);
    if (devices.some((d) => d.name === m.name)) {
      out.push(field.invalid(`${at}.name`, m.name, 'must not already exist in volumeDevices'));
    }
    if (devices.some((d) => d.devicePath === m.mountPath)) {
      out.push(field.invalid(`${at}.mountPath`, m.mountPath, 'must not already exist as a path in volumeDevices'));
    }
    // Upstream names the list, not the item, in these paths.
    if (!missing(m.subPath)) localDescendingPath(m.subPath, `${path}.subPath`, out);
    if (!missing(m.subPathExpr)) {
      if (!missing(m.subPath)) {
        out.push(field.invalid(`${at}.subPathExpr`, m.subPathExpr, 'subPathExpr and subPath are mutually exclusive'));
      }
      localDescendingPath(m.subPathExpr, `${path}.subPathExpr`, out);
    }
    validatePropagation(c, m.mountPropagation, `${path}.mountPropagation`, out);
    validateRecursiveReadOnly(m, `${path}.recursiveReadOnly`, out);
  });
}

function validatePropagation(c: Container, mode: string | undefined, path: string, out: Errors): void {
  optionalOneOf(mode, ['Bidirectional', 'HostToContainer', 'None'], path, out);
  if (mode === 'Bidirectional' && c.securityContext?.privileged !== true) {
    out.push(field.forbidden(path, 'Bidirectional mount propagation is available only to privileged containers'));
  }
}

type Mount = NonNullable<Container['volumeMounts']>[number];

function validateRecursiveReadOnly(m: Mount, path: string, out: Errors): void {
  const mode = m.recursiveReadOnly;
  optionalOneOf(mode, ['Disabled', 'Enabled', 'IfPossible'], path, out);
  if (mode !== 'Enabled' && mode !== 'IfPossible') return;
  if (!m.readOnly) out.push(field.forbidden(path, 'may only be specified when readOnly is true'));
  if (m.mountPropagation !== undefined && m.mountPropagation !== 'None') {
    out.push(field.forbidden(path, 'may only be specified when mountPropagation is None or not specified'));
  }
}

export function validateDevices(c: Container, volumes: VolumeMap, path: string, out: Errors): void {
  const names = new Set<string>();
  const paths = new Set<string>();
  const mounts = c.volumeMounts ?? [];
  c.volumeDevices?.forEach((d, i) => {
    const nameAt = `${path}[${i}].name`;
    const pathAt = `${path}[${i}].devicePath`;
    const volume = volumes.get(d.name);
    if (missing(d.name)) out.push(field.required(nameAt));
    if (names.has(d.name)) out.push(field.invalid(nameAt, d.name, 'must be unique'));
    if (!volume) out.push(field.notFound(nameAt, d.name));
    else if (!volume.persistentVolumeClaim && !volume.ephemeral) {
      const text = 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode';
      out.push(field.invalid(nameAt, d.name, text));
    }
    if (missing(d.devicePath)) out.push(field.required(pathAt));
    if (paths.has(d.devicePath)) out.push(field.invalid(pathAt, d.devicePath, 'must be unique'));
    const steps: Errors = [];
    noBacksteps(d.devicePath ?? '', pathAt, steps);
    if (steps.length) out.push(field.invalid(pathAt, d.devicePath, "can not contain backsteps ('..')"));
    else paths.add(d.devicePath);
    if (mounts.some((m) => m.name === d.name)) {
      out.push(field.invalid(nameAt, d.name, 'must not already exist in volumeMounts'));
    }
    if (mounts.some((m) => m.mountPath === d.devicePath)) {
      out.push(field.invalid(pathAt, d.devicePath, 'must not already exist as a path in volumeMounts'));
    }
    if (!missing(d.name)) names.add(d.name);
  });
}
