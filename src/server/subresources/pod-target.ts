// Which container of which node a log, exec or attach is about, with upstream's complaints.

import { badRequest, notFound } from '../../api/errors.ts';
import type { Pod as PodObject } from '../../api/generated/core-v1.ts';
import type { ContainerTarget, NodeApi } from '../../api/node-api.ts';
import { StatusError } from '../../api/errors.ts';
import { requiredName, subjectOf, type Call } from '../call.ts';

/** The pod of the request. Rejects with NotFound. */
export async function podOf(call: Call): Promise<PodObject> {
  const { kind, op, server } = call;
  const name = requiredName(op);
  const pod = (await server.caches.current(kind)).get(op.namespace, name);
  if (!pod) throw notFound(subjectOf(kind), name);
  return pod as PodObject;
}

/** The name of the container asked for, or of the only one. Throws BadRequest. */
export function chooseContainer(pod: PodObject, wanted: string | null | undefined): string {
  const { containers, initContainers = [], ephemeralContainers = [] } = pod.spec;
  const { name } = pod.metadata;
  if (wanted) {
    if ([...containers, ...initContainers, ...ephemeralContainers].some((c) => c.name === wanted)) return wanted;
    throw badRequest(`container ${wanted} is not valid for pod ${name}`);
  }
  const [only, second] = containers;
  if (only && !second) return only.name;
  const names = (list: readonly { name: string }[]) => `[${list.map((c) => c.name).join(' ')}]`;
  let text = `a container name must be specified for pod ${name}`;
  if (only) {
    text += `, choose one of: ${names(containers)}`;
    if (initContainers.length) text += ` or one of the init containers: ${names(initContainers)}`;
    if (ephemeralContainers.length) text += ` or one of the ephemeral containers: ${names(ephemeralContainers)}`;
  }
  throw badRequest(text);
}

export function targetOf(pod: PodObject, container: string): ContainerTarget {
  const { namespace = '', name, uid } = pod.metadata;
  return { namespace, pod: name, uid, container };
}

/** The API of the pod's node. Throws BadRequest for a pod that has none. */
export function nodeOf(call: Call, pod: PodObject): NodeApi {
  const { nodeName } = pod.spec;
  if (!nodeName) throw badRequest(`pod ${pod.metadata.name} does not have a host assigned`);
  const connect = call.server.nodeConnector;
  if (!connect) throw new StatusError('ServiceUnavailable', 'this API server is not connected to any node');
  return connect(nodeName);
}
