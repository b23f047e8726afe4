// A pod as a Deployment's would be: a container with a probe, resources, environment and volumes. Stored and defaulted
// it is about 2.9 KB on the wire.

const probe = (path: string, port: string) => ({
  httpGet: { path, port, scheme: 'HTTP' },
  initialDelaySeconds: 5,
  periodSeconds: 10,
  timeoutSeconds: 2,
});

/** The JSON of a pod to create. `tier` is one of 100: what a selective list asks for. */
export function podJson(name: string, index: number): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      labels: { app: 'storefront', tier: `t${index % 100}`, 'pod-template-hash': '6d4cf56db6' },
    },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 30,
      containers: [
        {
          name: 'web',
          image: 'registry.example.com/shop/storefront:v2.41.0',
          ports: [{ name: 'http', containerPort: 8080 }],
          env: [{ name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: 'storefront', key: 'url' } } }],
          resources: { requests: { cpu: '250m', memory: '256Mi' }, limits: { memory: '512Mi' } },
          readinessProbe: probe('/readyz', 'http'),
          volumeMounts: [{ name: 'config', mountPath: '/etc/storefront', readOnly: true }],
        },
      ],
      volumes: [{ name: 'config', configMap: { name: 'storefront' } }],
    },
  });
}
