import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseYaml } from '../api/yaml.ts';
import { silentLogger } from '../base/log.ts';
import { seededRandom, VirtualClock } from '../base/virtual-clock.ts';
import {
  Kubeconfig,
  kubeconfigPaths,
  kubeconfigText,
  readKubeconfig,
  removeContext,
  writeContext,
} from './kubeconfig.ts';

let dir: string;
let file: string;
let clock: VirtualClock;
const env = () => ({ clock, random: seededRandom(1), log: silentLogger });
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'coracle-kc-'));
  file = join(dir, 'sub', 'config');
  clock = new VirtualClock();
});
afterEach(() => rmSync(dir, { recursive: true }));

const ENTRY = { name: 'coracle', server: 'https://127.0.0.1:6443', ca: 'CA', cert: 'CERT', key: 'KEY' };
const EXISTING = `# mine, hands off
apiVersion: v1
kind: Config
clusters:
# the office
- cluster:
    server: https://office:443   # behind the VPN
    certificate-authority: ca.pem
  name: office
contexts:
- context: {cluster: office, user: me, namespace: dev}
  name: office
current-context: office
preferences: {colors: true}
users:
- name: me
  user:
    tokenFile: token
    as: boss
    as-groups: [board]
unknown-extension: kept
`;

describe('writing', () => {
  test('a new file is complete, private and current', async () => {
    await writeContext(env(), file, ENTRY);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toBe(`apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://127.0.0.1:6443
  name: coracle
contexts:
- context:
    cluster: coracle
    user: coracle
  name: coracle
current-context: coracle
users:
- user:
    client-certificate-data: Q0VSVA==
    client-key-data: S0VZ
  name: coracle
`);
    expect(readKubeconfig([file]).access()).toEqual({ server: ENTRY.server, ca: 'CA', cert: 'CERT', key: 'KEY' });
    expect(existsSync(`${file}.lock`)).toBe(false);
    expect(kubeconfigText(ENTRY)).toBe(readFileSync(file, 'utf8'));
  });

  test('what is there stays, to the last comment', async () => {
    file = join(dir, 'config');
    writeFileSync(file, EXISTING);
    await writeContext(env(), file, ENTRY);
    const text = readFileSync(file, 'utf8');
    const [was, is] = [EXISTING, text].map((t) => parseYaml(t).value as Record<string, unknown[]>);
    for (const [key, value] of Object.entries(was!))
      expect([is![key]].flat()).toEqual(expect.arrayContaining([value].flat()));
    for (const comment of ['# mine, hands off', '# the office', '# behind the VPN']) expect(text).toContain(comment);
    expect(text).toContain('current-context: office');
    expect(readKubeconfig([file]).contexts).toEqual(['office', 'coracle']);
    await writeContext(env(), file, { ...ENTRY, server: 'https://other', namespace: 'n' }, { makeCurrent: true });
    expect(readKubeconfig([file]).access()).toMatchObject({ server: 'https://other', namespace: 'n' });
    await removeContext(env(), file, 'coracle');
    expect(readKubeconfig([file]).contexts).toEqual(['office']);
    const after = readFileSync(file, 'utf8');
    expect(after).toContain('current-context: ""');
    expect(after).toContain('# the office');
    await removeContext(env(), join(dir, 'nothing'), 'coracle');
    expect(existsSync(join(dir, 'nothing'))).toBe(false);
  });

  test('a file that cannot be understood is left alone', async () => {
    file = join(dir, 'config');
    for (const text of ['a: [', '- 1\n', 'just text']) {
      writeFileSync(file, text);
      await expect(writeContext(env(), file, ENTRY)).rejects.toThrow('left alone');
      expect(readFileSync(file, 'utf8')).toBe(text);
      expect(existsSync(`${file}.lock`)).toBe(false);
    }
  });

  test('a link stays a link, and JSON stays readable', async () => {
    const real = join(dir, 'real');
    file = join(dir, 'config');
    writeFileSync(real, JSON.stringify({ apiVersion: 'v1', kind: 'Config', clusters: [], users: null, contexts: [] }));
    symlinkSync(real, file);
    await writeContext(env(), file, ENTRY);
    expect(lstatSync(file).isSymbolicLink()).toBe(true);
    expect(readKubeconfig([real]).access().server).toBe(ENTRY.server);
  });

  test('waits for the lock, then says who holds it', async () => {
    file = join(dir, 'config');
    writeFileSync(`${file}.lock`, '');
    const first = writeContext(env(), file, ENTRY);
    await clock.advance(1000);
    rmSync(`${file}.lock`);
    await clock.advance(1000);
    await first;
    writeFileSync(`${file}.lock`, '');
    const second = expect(writeContext(env(), file, ENTRY)).rejects.toThrow(`remove ${file}.lock`);
    await clock.advance(10_000);
    await second;
  });
});

describe('reading', () => {
  test('several files, the first wins, paths count from their file', () => {
    writeFileSync(join(dir, 'ca.pem'), 'OFFICE-CA');
    const one = { path: join(dir, 'one'), text: EXISTING };
    const other = { ...ENTRY, name: 'office' };
    const two = { path: '/elsewhere/two', text: kubeconfigText(other) };
    expect(new Kubeconfig([one, two]).access()).toEqual({
      server: 'https://office:443',
      ca: 'OFFICE-CA',
      namespace: 'dev',
      tokenFile: join(dir, 'token'),
      impersonate: { user: 'boss', groups: ['board'], uid: undefined },
    });
    expect(new Kubeconfig([two, one]).access('office').server).toBe(ENTRY.server);
  });

  test.each([
    ['', undefined, 'no current context'],
    ['current-context: x', undefined, 'context "x" does not exist'],
    ['contexts: [{name: x, context: {cluster: c}}]', 'x', 'cluster "c" does not exist'],
    [
      '{contexts: [{name: x, context: {cluster: c, user: u}}], clusters: [{name: c, cluster: {server: s}}]}',
      'x',
      'auth info "u" does not exist',
    ],
    ['{contexts: [{name: x, context: {cluster: c}}], clusters: [{name: c, cluster: {}}]}', 'x', 'has no server'],
    [
      '{contexts: [{name: x, context: {cluster: c}}], clusters: [{name: c, cluster: {server: s, certificate-authority: /none}}]}',
      'x',
      'unable to read certificate-authority /none',
    ],
    ['a: [', undefined, 'error loading config file "f"'],
    ['[]', undefined, 'holds no mapping'],
  ])('%s', (text, context, message) => {
    expect(() => new Kubeconfig([{ path: 'f', text }]).access(context)).toThrow(message);
  });

  test('which files', () => {
    expect(kubeconfigPaths({}, '/home/me')).toEqual(['/home/me/.kube/config']);
    expect(kubeconfigPaths({ KUBECONFIG: '/a::/b:/a' }, '/home/me')).toEqual(['/a', '/b']);
    expect(kubeconfigPaths({ KUBECONFIG: '/a' }, '/home/me', '/c')).toEqual(['/c']);
  });
});
