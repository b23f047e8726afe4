// Who an agent is to the API server: at first as its kubeconfig says, then by a certificate of its own, whose key never
// leaves the machine and which is renewed in time.
// https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/#certificate-rotation

import type { Env } from '../base/env.ts';
import type { ClusterAccess } from '../host/kubeconfig.ts';
import type { ComponentClient } from './component-client.ts';
import { endOf, nodeCertificate, readKept, renewNodeCertificate, type NodeCertificate } from './node-certificate.ts';

export interface AgentIdentity {
  readonly env: Env;
  readonly nodeName: string;
  /** Where the certificate is kept. */
  readonly dir: string;
}

/** The node's own certificate of earlier, where it lasts for longer than that of the kubeconfig. */
export function keptIdentity(
  { env, nodeName, dir }: AgentIdentity,
  { ca, cert }: ClusterAccess,
): NodeCertificate | undefined {
  if (!ca || !cert) return undefined;
  const kept = readKept({ env, use: 'client', nodeName, names: [], dir, ca }, endOf);
  return kept && endOf(kept.cert) > endOf(cert) ? kept : undefined;
}

/** Asks for the node's own certificate, uses it, and renews it until the signal aborts. Never rejects. */
export async function keepIdentity(
  { env, nodeName, dir }: AgentIdentity,
  { client, transport, access }: ComponentClient,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  // Who comes with a token or by a program is renewed elsewhere.
  if (!access.ca || !access.cert) return;
  const { ca, cert: given, key: givenKey = '' } = access;
  // A node that was cut off for longer than its own certificate lasts begins again with its kubeconfig's.
  const refused = () => transport.setCertificate(given, givenKey);
  const wanted = { env, client, use: 'client', nodeName, names: [], dir, ca, refused } as const;
  const use = ({ cert, key }: NodeCertificate) => {
    transport.setCertificate(cert, key);
    env.log.info('the node has a client certificate of its own', { node: nodeName, until: new Date(endOf(cert)) });
  };
  try {
    const first = await nodeCertificate(wanted, { signal });
    use(first);
    await renewNodeCertificate(wanted, first, use, { signal });
  } catch (error) {
    if (!signal.aborted) env.log.error("the node's client certificate is not renewed any more", { error });
  }
}
