// Plain JSON values: deep copies, and freezing, which makes code that changes shared objects fail at once.

/** Freezes a tree of plain values; what is frozen already is not looked into. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const key in value) deepFreeze(value[key]);
  return value;
}

/** A deep copy of plain JSON values, several times quicker than structuredClone. */
export function cloneJson<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(cloneJson) as T;
  const out: Record<string, unknown> = {};
  for (const key in value) {
    if (key === '__proto__') Object.defineProperty(out, key, { value: cloneJson(value[key]), enumerable: true });
    else out[key] = cloneJson(value[key]);
  }
  return out as T;
}
