// Kubeconfigs for those who join a cluster from elsewhere: nodes, components and people, each with a new client certificate
// of the cluster's authority. Nothing of them is kept here.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { dns1123Subdomain } from '../api/validate/names.ts';
import { UserError, type ClusterSelector, type KubeconfigFor } from '../cli/platform.ts';
import { kubeconfigText, readKubeconfig } from '../host/kubeconfig.ts';
import { BACKDATE, Pki } from '../host/pki.ts';
import { issue, keyPem, newKey, type Subject } from '../host/x509.ts';
import { commandEnv } from './command-env.ts';
import { pathsOf } from './paths.ts';

const YEAR = 365 * 86_400_000;

/** The kubeconfig as YAML. Throws a UserError when the cluster was never started. */
export function issueKubeconfig(cluster: ClusterSelector, whom: KubeconfigFor): string {
  const env = commandEnv();
  const paths = pathsOf(cluster);
  if (!existsSync(paths.adminKubeconfig))
    throw new UserError(`${paths.data} holds no cluster: start it first with coracle up or coracle server`);
  if (whom.as === 'admin' && !whom.server) return readFileSync(paths.adminKubeconfig, 'utf8');
  const { server } = readKubeconfig([paths.adminKubeconfig]).access();
  const pki = new Pki(join(paths.data, 'pki'), env);
  const subject = subjectOf(whom);
  const { publicKey, privateKey } = newKey();
  const now = env.clock.now();
  const cert = issue(
    {
      subject,
      publicKey,
      notBefore: now - BACKDATE,
      notAfter: Math.min(now + YEAR, pki.notAfter),
      usages: ['client auth'],
      keyEncipherment: true,
    },
    pki.authority,
    env.random,
  );
  const name = whom.as === 'admin' ? cluster.name : `${subject.commonName}@${cluster.name}`;
  return kubeconfigText({ name, server: whom.server ?? server, ca: pki.ca, cert, key: keyPem(privateKey) });
}

function subjectOf(whom: KubeconfigFor): Subject {
  switch (whom.as) {
    case 'admin':
      return { commonName: 'kubernetes-admin', organizations: ['system:masters'] };
    case 'node': {
      const [fault] = dns1123Subdomain(whom.name);
      if (fault) throw new UserError(`--node ${whom.name}: ${fault}`);
      return { commonName: `system:node:${whom.name}`, organizations: ['system:nodes'] };
    }
    case 'component':
      return { commonName: `system:kube-${whom.name}` };
    case 'user':
      return { commonName: whom.name, ...(whom.groups.length ? { organizations: whom.groups } : {}) };
  }
}
