// The ports on which load balancers ask this node whether it has pods of a Service. One small HTTP server for each port.

import { createServer, type Server } from 'node:http';
import type { HealthCheck, HealthSink } from '../proxy/health-checks.ts';

export interface HealthPortsOptions {
  /** All addresses unless told. */
  readonly address?: string;
  /** Told of a port that cannot be opened. */
  readonly warn?: (message: string) => void;
}

interface Open {
  check: HealthCheck;
  readonly server: Server;
}

export class HealthPorts implements HealthSink {
  readonly #options: HealthPortsOptions;
  readonly #open = new Map<string, Open>();

  constructor(options: HealthPortsOptions = {}) {
    this.#options = options;
  }

  set(key: string, check: HealthCheck | undefined): void {
    const known = this.#open.get(key);
    if (known && known.check.port === check?.port) {
      known.check = check;
      return;
    }
    if (known) {
      this.#open.delete(key);
      known.server.close();
      known.server.closeAllConnections();
    }
    if (check) this.#listen(key, check);
  }

  async close(): Promise<void> {
    const servers = [...this.#open.values()].map(({ server }) => server);
    this.#open.clear();
    await Promise.all(
      servers.map((server) => {
        const closed = new Promise((resolve) => server.close(resolve));
        server.closeAllConnections();
        return closed;
      }),
    );
  }

  #listen(key: string, check: HealthCheck): void {
    const server = createServer((_request, response) => {
      const { namespace, name, localEndpoints } = open.check;
      response.writeHead(localEndpoints > 0 ? 200 : 503, {
        'content-type': 'application/json',
        'x-content-type-options': 'nosniff',
        'x-load-balancing-endpoint-weight': String(localEndpoints),
      });
      response.end(JSON.stringify({ service: { namespace, name }, localEndpoints, serviceProxyHealthy: true }));
    });
    const open: Open = { check, server };
    this.#open.set(key, open);
    server.on('error', (error) => {
      this.#options.warn?.(`load balancers cannot ask about Service ${key}: ${error.message}`);
      // The next time the Service is looked at, it is tried again.
      if (this.#open.get(key) === open) this.#open.delete(key);
    });
    server.unref().listen(check.port, this.#options.address ?? '0.0.0.0');
  }
}
