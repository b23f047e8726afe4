// Environment variables that tell a container of the Services in its namespace.
// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables

import type { Service } from '../api/kinds/core/service.ts';

const variable = (name: string) => name.toUpperCase().replaceAll('-', '_');

export function serviceEnvironment(
  namespace: string,
  links: boolean,
  services: { get(key: string): Service | undefined; list(namespace?: string): readonly Service[] },
): Map<string, string> {
  const env = new Map<string, string>();
  const master = services.get('default/kubernetes');
  if (master) addService(env, master);
  if (!links) return env;
  for (const service of services.list(namespace)) addService(env, service);
  return env;
}

function addService(env: Map<string, string>, service: Service): void {
  const { clusterIP, ports = [] } = service.spec ?? {};
  const first = ports[0];
  if (!clusterIP || clusterIP === 'None' || !first) return;
  const name = variable(service.metadata.name);
  const host = clusterIP.includes(':') ? `[${clusterIP}]` : clusterIP;
  env.set(`${name}_SERVICE_HOST`, clusterIP);
  env.set(`${name}_SERVICE_PORT`, String(first.port));
  for (const port of ports) if (port.name) env.set(`${name}_SERVICE_PORT_${variable(port.name)}`, String(port.port));
  ports.forEach((port, i) => {
    const protocol = port.protocol ?? 'TCP';
    const url = `${protocol.toLowerCase()}://${host}:${port.port}`;
    const prefix = `${name}_PORT_${port.port}_${protocol}`;
    if (i === 0) env.set(`${name}_PORT`, url);
    env.set(prefix, url);
    env.set(`${prefix}_PROTO`, protocol.toLowerCase());
    env.set(`${prefix}_PORT`, String(port.port));
    env.set(`${prefix}_ADDR`, clusterIP);
  });
}
