// The name formats of Kubernetes. Each check answers the texts upstream puts behind `Invalid value: "...": `, and an
// empty list when the value is fine. https://kubernetes.io/docs/concepts/overview/working-with-objects/names/

import { field, type FieldError } from '../errors.ts';

/** What is wrong with a value; empty when nothing is. */
export type Faults = readonly string[];
export type NameCheck = (value: string) => Faults;

const NONE: Faults = [];
const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const LABEL_UNDERSCORE = '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
const SUBDOMAIN_UNDERSCORE = `${LABEL_UNDERSCORE}(\\.${LABEL_UNDERSCORE})*`;
const LABEL_1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const QUALIFIED = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';

const labelPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const subdomainPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const subdomainUnderscorePattern = /^_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*$/;
const wildcardPattern = /^\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const label1035Pattern = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const qualifiedPattern = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

const SUBDOMAIN_TEXT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const QUALIFIED_TEXT =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

export const tooLongText = (max: number) => `must be no more than ${max} bytes`;
export const rangeText = (low: number, high: number) => `must be between ${low} and ${high}, inclusive`;

/** `text (e.g. 'a',  or 'b', regex used for validation is '...')`, with upstream's double space. */
export function patternText(text: string, pattern: string, ...examples: string[]): string {
  if (examples.length === 0) return `${text} (regex used for validation is '${pattern}')`;
  return `${text} (e.g. ${examples.map((e) => `'${e}', `).join(' or ')}regex used for validation is '${pattern}')`;
}

/** Length first, then the pattern. What was not sent reads as null or is absent: it counts as empty. */
function check(given: string | null | undefined, max: number, pattern: RegExp, text: () => string): Faults {
  const value = given ?? '';
  const long = value.length > max;
  const fits = pattern.test(value);
  if (fits && !long) return NONE;
  return [...(long ? [tooLongText(max)] : []), ...(fits ? [] : [text()])];
}

/** A DNS label as of RFC 1123: `my-name`. */
export const dns1123Label: NameCheck = (value) =>
  check(value, 63, labelPattern, () =>
    subdomainPattern.test(value)
      ? 'must not contain dots'
      : patternText(
          "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
          LABEL,
          'my-name',
          '123-abc',
        ),
  );

/** A DNS subdomain as of RFC 1123: `example.com`. */
export const dns1123Subdomain: NameCheck = (value) =>
  check(value, 253, subdomainPattern, () => patternText(SUBDOMAIN_TEXT, SUBDOMAIN, 'example.com'));

/** As a subdomain, but with underscores: DNS search domains. */
export const dns1123SubdomainWithUnderscore: NameCheck = (value) =>
  check(value, 253, subdomainUnderscorePattern, () =>
    patternText(
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
      SUBDOMAIN_UNDERSCORE,
      'example.com',
    ),
  );

/** `*.example.com`. */
export const wildcardSubdomain: NameCheck = (value) =>
  check(value, 253, wildcardPattern, () =>
    patternText(
      "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
      `\\*\\.${SUBDOMAIN}`,
      '*.example.com',
    ),
  );

/** A DNS label as of RFC 1035: it starts with a letter. */
export const dns1035Label: NameCheck = (value) =>
  check(value, 63, label1035Pattern, () =>
    patternText(
      "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
      LABEL_1035,
      'my-name',
      'abc-123',
    ),
  );

/** A label key, a resource name, a finalizer: `name` or `subdomain/name`. */
export function qualifiedName(value: string): Faults {
  const parts = value.split('/');
  const name = parts[parts.length - 1]!;
  if (parts.length === 1 && name.length <= 63 && qualifiedPattern.test(name)) return NONE;
  const text = () => patternText(QUALIFIED_TEXT, QUALIFIED, 'MyName', 'my.name', '123-abc');
  if (parts.length > 2) {
    return [`a qualified name ${text()} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const faults: string[] = [];
  if (parts.length === 2) {
    const prefix = parts[0]!;
    if (prefix === '') faults.push('prefix part must be non-empty');
    else for (const fault of dns1123Subdomain(prefix)) faults.push(`prefix part ${fault}`);
  }
  if (name === '') faults.push('name part must be non-empty');
  else if (name.length > 63) faults.push(`name part ${tooLongText(63)}`);
  if (!qualifiedPattern.test(name)) faults.push(`name part ${text()}`);
  return faults;
}

export const labelValue: NameCheck = (value) =>
  value === ''
    ? NONE
    : check(value, 63, qualifiedPattern, () =>
        patternText(
          "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
          `(${QUALIFIED})?`,
          'MyValue',
          'my_value',
          '12345',
        ),
      );

/** Any printable ASCII but `=`. */
export function envVarName(value: string): Faults {
  if (value === '') return ['environment variable name must be non-empty'];
  return /^[\x20-\x3c\x3e-\x7e]*$/.test(value)
    ? NONE
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

/** A key of a ConfigMap or Secret: a file name. */
export function configKey(value: string): Faults {
  const faults = check(value, 253, /^[-._a-zA-Z0-9]+$/, () =>
    patternText(
      "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
      '[-._a-zA-Z0-9]+',
      'key.name',
      'KEY_NAME',
      'key-name',
    ),
  );
  if (value === '.') return [...faults, "must not be '.'"];
  if (value === '..') return [...faults, "must not be '..'"];
  return value.startsWith('..') ? [...faults, "must not start with '..'"] : faults;
}

/** An IANA service name (RFC 6335), lower case. */
export function portName(value: string): Faults {
  const faults: string[] = [];
  if (value.length > 15) faults.push(tooLongText(15));
  if (!/^[-a-z0-9]+$/.test(value)) {
    faults.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  }
  if (!/[a-z]/.test(value)) faults.push('must contain at least one letter (a-z)');
  if (value.includes('--')) faults.push('must not contain consecutive hyphens');
  if (value.startsWith('-') || value.endsWith('-')) faults.push('must not begin or end with a hyphen');
  return faults;
}

export const portNumber = (value: number): Faults => (value >= 1 && value <= 65535 ? NONE : [rangeText(1, 65535)]);

export const httpHeaderName: NameCheck = (value) =>
  check(value, Infinity, /^[-A-Za-z0-9]+$/, () =>
    patternText("a valid HTTP header must consist of alphanumeric characters or '-'", '[-A-Za-z0-9]+', 'X-Header-Name'),
  );

export const percent: NameCheck = (value) =>
  check(value, Infinity, /^[0-9]+%$/, () =>
    patternText("a valid percent string must be a numeric string followed by an ending '%'", '[0-9]+%', '1%', '93%'),
  );

/** A segment of a URL path: what RBAC objects and custom names may be called. `prefix`: something will be appended. */
export function pathSegment(value: string, prefix = false): Faults {
  const faults: string[] = [];
  if (!prefix) for (const name of ['.', '..']) if (value === name) faults.push(`may not be '${name}'`);
  for (const part of ['/', '%']) if (value.includes(part)) faults.push(`may not contain '${part}'`);
  return faults;
}

/** How objects of a kind are named; see `names` of a kind. */
export type NameFormat = 'subdomain' | 'label' | 'service' | 'path';
const FORMATS: Readonly<Record<NameFormat, NameCheck>> = {
  subdomain: dns1123Subdomain,
  label: dns1123Label,
  service: dns1035Label,
  path: pathSegment,
};

/** Checks an object's name, or with `prefix` a `generateName`, where a trailing dash is fine. */
export function objectName(format: NameFormat, value: string, prefix = false): Faults {
  if (format === 'path') return pathSegment(value, prefix);
  const masked = prefix && value.length > 1 && value.endsWith('-') ? `${value.slice(0, -2)}a` : value;
  return FORMATS[format](masked);
}

/** Adds one `Invalid value` for each fault. */
export function addFaults(faults: Faults, path: string, value: unknown, out: FieldError[]): void {
  for (const fault of faults) out.push(field.invalid(path, value, fault));
}
