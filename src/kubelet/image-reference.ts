// Image references: the default tag, and the registry a reference points to.
// https://github.com/distribution/reference/blob/main/reference.go

const DOMAIN = String.raw`(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?`;
const COMPONENT = String.raw`[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`;
const NAME = `(?:(?<domain>${DOMAIN})/)?(?<path>${COMPONENT}(?:/${COMPONENT})*)`;
const TAG = String.raw`(?::(?<tag>\w[\w.-]{0,127}))?`;
const DIGEST = String.raw`(?:@(?<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?`;
const REFERENCE = new RegExp(`^${NAME}${TAG}${DIGEST}$`);

/** The reference with `:latest` when it has neither tag nor digest. Throws with upstream's text when it is none. */
export function withDefaultTag(image: string): string {
  const parts = REFERENCE.exec(image)?.groups;
  if (!parts) {
    const lower = REFERENCE.test(image.toLowerCase());
    const why = lower ? `repository name (${nameOf(image)}) must be lowercase` : undefined;
    throw new Error(
      `couldn't parse image name ${JSON.stringify(image)}: invalid reference format${why ? `: ${why}` : ''}`,
    );
  }
  return parts['tag'] || parts['digest'] ? image : `${image}:latest`;
}

const nameOf = (image: string) => {
  const name = image.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
  return name.includes('/') ? name : `library/${name}`;
};

/** `busybox` -> `docker.io/library/busybox:latest`: the name under which a runtime keeps an image. */
export function canonicalReference(image: string): string {
  const tagged = withDefaultTag(image);
  const name = tagged.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
  return repositoryOf(tagged) + tagged.slice(name.length);
}

/** `busybox` -> `docker.io/library/busybox`: registry and repository, without tag. */
export function repositoryOf(image: string): string {
  const name = image.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  if (/[.:]/.test(first) || first === 'localhost') return name;
  return `docker.io/${slash < 0 ? `library/${name}` : name}`;
}
