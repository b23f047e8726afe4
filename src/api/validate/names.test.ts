import { expect, test } from 'vitest';
import * as names from './names.ts';

const LABEL =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const long = 'a'.repeat(300);

const checks: Readonly<Record<string, unknown>> = { ...names };

test.each<[string, string, string[]]>([
  ['dns1123Label', 'my-name', []],
  ['dns1123Label', 'a.b', ['must not contain dots']],
  ['dns1123Label', '-A', [LABEL]],
  ['dns1123Label', long, ['must be no more than 63 bytes']],
  ['dns1123Label', '', [LABEL]],
  ['dns1123Subdomain', 'a.b-c.d', []],
  ['dns1123Subdomain', 'a..b', [SUBDOMAIN]],
  ['dns1123Subdomain', `${long}_`, ['must be no more than 253 bytes', SUBDOMAIN]],
  ['dns1035Label', 'a1', []],
  ['wildcardSubdomain', '*.example.com', []],
  ['dns1123SubdomainWithUnderscore', '_ldap.example.com', []],
  ['qualifiedName', 'example.com/MyName', []],
  ['qualifiedName', 'MyName', []],
  ['qualifiedName', '', ['name part must be non-empty', `name part ${QUALIFIED}`]],
  ['qualifiedName', '/x', ['prefix part must be non-empty']],
  ['qualifiedName', 'B/x', [`prefix part ${SUBDOMAIN}`]],
  [
    'qualifiedName',
    'a/b/c',
    [`a qualified name ${QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`],
  ],
  ['labelValue', '', []],
  [
    'labelValue',
    'a b',
    [
      `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
    ],
  ],
  ['envVarName', '1 weird.name', []],
  [
    'envVarName',
    'a=b',
    ["a valid environment variable name must consist only of printable ASCII characters other than '='"],
  ],
  ['configKey', '..data', ["must not start with '..'"]],
  ['configKey', 'tls.crt', []],
  ['portName', 'http--1-', ['must not contain consecutive hyphens', 'must not begin or end with a hyphen']],
  ['portName', '80', ['must contain at least one letter (a-z)']],
  ['percent', '25%', []],
  ['pathSegment', '..', ["may not be '..'"]],
  ['pathSegment', 'a/b%', ["may not contain '/'", "may not contain '%'"]],
])('%s %j', (check, value, faults) => {
  expect((checks[check] as names.NameCheck)(value)).toEqual(faults);
});

test('a generateName may end in a dash', () => {
  expect(names.objectName('subdomain', 'web-', true)).toEqual([]);
  expect(names.objectName('subdomain', 'web-')).toEqual([SUBDOMAIN]);
  expect(names.objectName('path', 'system:node', true)).toEqual([]);
});
