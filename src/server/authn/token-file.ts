// The static token file: one line a user, `token,user,uid,"group1,group2"`, as CSV.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file

import type { UserInfo } from '../../api/op.ts';

/** Throws an Error naming the line that is malformed. */
export function parseTokenFile(text: string): Map<string, UserInfo> {
  const users = new Map<string, UserInfo>();
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [token, name, uid, groups] = columns(line);
    if (!token || !name || uid === undefined)
      throw new Error(`token file line ${i + 1}: token, user name and user uid are needed`);
    users.set(token, {
      name,
      groups: (groups ?? '')
        .split(',')
        .map((g) => g.trim())
        .filter(Boolean),
      ...(uid ? { uid } : {}),
    });
  }
  return users;
}

function columns(line: string): string[] {
  const out: string[] = [];
  for (const match of line.matchAll(/(?:^|,)\s*(?:"((?:[^"]|"")*)"|([^,]*))/g))
    out.push(match[1] === undefined ? match[2]!.trim() : match[1].replaceAll('""', '"'));
  return out;
}
