// Image references in the full form that containerd stores: `busybox` is `docker.io/library/busybox:latest`.
// https://github.com/distribution/reference

const REFERENCE =
  /^(?<name>(?:[a-zA-Z0-9.-]+(?::\d+)?\/)?[a-z0-9]+(?:(?:\.|_|__|-+|\/)[a-z0-9]+)*)(?::(?<tag>\w[\w.-]{0,127}))?(?:@(?<digest>[a-z0-9+.]+:[0-9a-f]{32,}))?$/;

/** Throws a plain sentence for what is no image reference. */
export function fullReference(reference: string): string {
  const { name, tag, digest } = REFERENCE.exec(reference)?.groups ?? {};
  if (name === undefined) throw new Error(`"${reference}" is not an image reference: want something like name:tag`);
  const first = name.split('/')[0] ?? '';
  const hasHost = name.includes('/') && (/[.:]/.test(first) || first === 'localhost');
  if (!hasHost && first !== first.toLowerCase())
    throw new Error(`"${reference}" is not an image reference: ${first} is not lower case`);
  const full = hasHost ? name : name.includes('/') ? `docker.io/${name}` : `docker.io/library/${name}`;
  const suffix = (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`);
  return full + (suffix || ':latest');
}
