// Ingresses, their classes, NetworkPolicies and HorizontalPodAutoscalers.

import { describe, expect, test } from 'vitest';
import { fieldErrorText, type FieldError } from '../../errors.ts';
import type { HorizontalPodAutoscalerSpec } from '../../generated/autoscaling-v2.ts';
import type { IngressClassSpec, IngressSpec, NetworkPolicySpec } from '../../generated/networking-v1.ts';
import type { StrategyContext } from '../../kind.ts';
import { HorizontalPodAutoscaler } from '../autoscaling/horizontal-pod-autoscaler.ts';
import { Ingress } from './ingress.ts';
import { IngressClass } from './ingress-class.ts';
import { NetworkPolicy } from './network-policy.ts';

const context = {} as StrategyContext;
const NOW = Date.UTC(2024, 0, 1, 0, 5);
const texts = (errors: FieldError[]) => errors.map(fieldErrorText);
const metadata = {
  name: 'x',
  namespace: 'default',
  uid: 'u',
  resourceVersion: '',
  creationTimestamp: '2024-01-01T00:00:00Z',
};

describe('Ingress', () => {
  const backend = { service: { name: 'web', port: { number: 80 } } };
  const ingress = (spec: IngressSpec, more: Partial<Ingress> = {}): Ingress => ({ metadata, spec, ...more });
  const path = (more: object) => ({
    rules: [{ http: { paths: [{ path: '/', pathType: 'Prefix', backend, ...more }] } }],
  });
  test.each<[string, IngressSpec, string[]]>([
    ['fine', path({}), []],
    ['nothing', {}, ['spec: Invalid value: []: either `defaultBackend` or `rules` must be specified']],
    [
      'no type',
      path({ pathType: '' }),
      ['spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified'],
    ],
    [
      'path',
      path({ path: 'a//b' }),
      [
        'spec.rules[0].http.paths[0].path: Invalid value: "a//b": must be an absolute path',
        'spec.rules[0].http.paths[0].path: Invalid value: "a//b": must not contain \'//\'',
      ],
    ],
    [
      'backend',
      path({ backend: { service: { name: 'web' } } }),
      ['spec.rules[0].http.paths[0].backend: Required value: port name or number is required'],
    ],
    [
      'no backend',
      { defaultBackend: {} },
      ['spec.defaultBackend: Invalid value: "": resource or service backend is required'],
    ],
    [
      'host',
      { rules: [{ host: '10.0.0.1' }] },
      ['spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address'],
    ],
  ])('%s', (_, spec, expected) => {
    expect(texts(Ingress.validate!(ingress(spec), context))).toEqual(expected);
  });
  test('row', () => {
    const spec: IngressSpec = {
      rules: ['a', 'b', 'c', 'd'].map((host) => ({ host })),
      tls: [{}],
      ingressClassName: 'nginx',
    };
    const status = { loadBalancer: { ingress: [{ ip: '10.0.0.2' }, { hostname: 'h' }] } };
    expect(Ingress.row!(ingress(spec, { status }), NOW)).toEqual([
      'x',
      'nginx',
      'a,b,c + 1 more...',
      '10.0.0.2,h',
      '80, 443',
      '5m',
    ]);
    expect(Ingress.row!(ingress({ defaultBackend: backend }), NOW)).toEqual(['x', '<none>', '*', '', '80', '5m']);
  });
});

test.each<[IngressClassSpec, string[]]>([
  [{ controller: 'example.com/nginx' }, []],
  [{}, ['spec.controller: Required value']],
  [
    { controller: 'nginx' },
    ['spec.controller: Invalid value: "nginx": must be a domain-prefixed path (such as "acme.io/foo")'],
  ],
  [
    { controller: 'a/b', parameters: { kind: 'K', name: 'n', scope: 'Namespace' } },
    ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
  ],
])('IngressClass %j', (spec, expected) => {
  const cls: IngressClass = { metadata, spec: structuredClone(spec) };
  IngressClass.default!(cls);
  expect(texts(IngressClass.validate!(cls, context))).toEqual(expected);
});

describe('NetworkPolicy', () => {
  const policy = (spec: NetworkPolicySpec): NetworkPolicy => {
    const p: NetworkPolicy = { metadata, spec: structuredClone(spec) };
    NetworkPolicy.default!(p);
    return p;
  };
  test('defaults and row', () => {
    expect(policy({ egress: [{ ports: [{ port: 53 }] }] }).spec).toEqual({
      egress: [{ ports: [{ port: 53, protocol: 'TCP' }] }],
      policyTypes: ['Ingress', 'Egress'],
    });
    expect(NetworkPolicy.row!(policy({ podSelector: { matchLabels: { a: 'b' } } }), NOW)).toEqual(['x', 'a=b', '5m']);
    expect(NetworkPolicy.row!(policy({ podSelector: {} }), NOW)[1]).toBe('<none>');
  });
  test.each<[NetworkPolicySpec, string[]]>([
    [
      {
        ingress: [
          { from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }], ports: [{ port: 80, endPort: 90 }] },
        ],
      },
      [],
    ],
    [{ ingress: [{ from: [{}] }] }, ['spec.ingress[0].from[0]: Required value: must specify a peer']],
    [
      { egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.0.0/8', '11.0.0.0/16'] } }] }] },
      [
        'spec.egress[0].to[0].ipBlock.except[0]: Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`',
        'spec.egress[0].to[0].ipBlock.except[1]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
      ],
    ],
    [
      { ingress: [{ ports: [{ endPort: 1 }, { port: 'http', endPort: 1 }, { port: 5, endPort: 4 }] }] },
      [
        'spec.ingress[0].ports[0].endPort: Invalid value: 1: may not be specified when `port` is not specified',
        'spec.ingress[0].ports[1].endPort: Invalid value: 1: may not be specified when `port` is non-numeric',
        'spec.ingress[0].ports[2].endPort: Invalid value: 4: must be greater than or equal to `port`',
      ],
    ],
  ])('%j', (spec, expected) => {
    expect(texts(NetworkPolicy.validate!(policy(spec), context))).toEqual(expected);
  });
});

describe('HorizontalPodAutoscaler', () => {
  const autoscaler = (spec: Partial<HorizontalPodAutoscalerSpec> = {}): HorizontalPodAutoscaler => {
    const a: HorizontalPodAutoscaler = {
      metadata,
      spec: { scaleTargetRef: { kind: 'Deployment', name: 'web' }, maxReplicas: 5, ...structuredClone(spec) },
    };
    HorizontalPodAutoscaler.default!(a);
    return a;
  };
  test('defaults', () => {
    expect(autoscaler({ behavior: { scaleUp: { selectPolicy: 'Min' } } }).spec).toMatchObject({
      minReplicas: 1,
      metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { averageUtilization: 80 } } }],
      behavior: {
        scaleUp: { selectPolicy: 'Min', stabilizationWindowSeconds: 0, policies: [{ value: 4 }, { value: 100 }] },
        scaleDown: { policies: [{ type: 'Percent' }] },
      },
    });
  });
  test.each<[string, Partial<HorizontalPodAutoscalerSpec>, string[]]>([
    ['fine', { behavior: {} }, []],
    [
      'bounds',
      { minReplicas: 0, maxReplicas: -1 },
      [
        'spec.minReplicas: Invalid value: 0: must be greater than or equal to 1',
        'spec.maxReplicas: Invalid value: -1: must be greater than 0',
        'spec.maxReplicas: Invalid value: -1: must be greater than or equal to `minReplicas`',
      ],
    ],
    [
      'metrics',
      { metrics: [{ type: 'Pods', resource: { name: 'cpu', target: { type: 'Utilization' } } }] },
      [
        'spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization',
        'spec.metrics[0].pods: Required value: must populate information for the given metric source',
      ],
    ],
    [
      'behavior',
      {
        behavior: {
          scaleDown: {
            stabilizationWindowSeconds: 4000,
            selectPolicy: 'Often',
            policies: [{ type: 'Pods', value: 0, periodSeconds: 9999 }],
          },
        },
      },
      [
        'spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 4000: must be less than or equal to 3600',
        'spec.behavior.scaleDown.selectPolicy: Unsupported value: "Often": supported values: "Max", "Min", "Disabled"',
        'spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero',
        'spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 9999: must be less than or equal to 1800',
      ],
    ],
  ])('%s', (_, spec, expected) => {
    expect(texts(HorizontalPodAutoscaler.validate!(autoscaler(spec), context))).toEqual(expected);
  });
  test('row', () => {
    const external = { type: 'External', external: { metric: { name: 'q' }, target: { type: 'Value', value: '10' } } };
    const a = autoscaler();
    a.spec.metrics = [...a.spec.metrics!, external, external];
    const current = { averageUtilization: 12 };
    a.status = {
      desiredReplicas: 2,
      currentReplicas: 2,
      currentMetrics: [{ type: 'Resource', resource: { name: 'cpu', current } }],
    };
    expect(HorizontalPodAutoscaler.row!(a, NOW)).toEqual([
      'x',
      'Deployment/web',
      'cpu: 12%/80%, <unknown>/10 + 1 more...',
      '1',
      '5',
      2,
      '5m',
    ]);
  });
});
