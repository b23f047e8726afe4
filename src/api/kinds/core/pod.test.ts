import { describe, expect, test } from 'vitest';
import { fieldErrorText, type FieldError } from '../../errors.ts';
import type { Container, PodSpec, PodStatus } from '../../generated/core-v1.ts';
import type { StrategyContext } from '../../kind.ts';
import { validatePodTemplate } from '../../validate/pod-spec.ts';
import { validateEphemeralContainersUpdate, validatePodResize } from '../../validate/pod-subresources.ts';
import { Pod } from './pod.ts';
import { defaultPodTemplate } from './pod-defaults.ts';

const context = {} as StrategyContext;
const metadata = (): Pod['metadata'] => ({
  name: 'web',
  namespace: 'default',
  uid: 'u',
  resourceVersion: '',
  creationTimestamp: '2024-01-01T00:00:00Z',
});
const container = (more: Partial<Container> = {}): Container => ({ name: 'c', image: 'nginx', resources: {}, ...more });
function pod(spec: Partial<PodSpec> = {}, meta: Partial<Pod['metadata']> = {}): Pod {
  const p: Pod = {
    metadata: { ...metadata(), ...meta },
    spec: { containers: [container()], ...structuredClone(spec) },
  };
  Pod.default!(p);
  return p;
}
const texts = (errors: FieldError[]) => errors.map(fieldErrorText);
const errorsOf = (p: Pod) => texts(Pod.validate!(p, context));

describe('defaults', () => {
  test('of an empty pod', () => {
    const p = pod({}, { name: 'x' });
    expect(p.spec).toEqual({
      containers: [
        {
          name: 'c',
          image: 'nginx',
          resources: {},
          imagePullPolicy: 'Always',
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
        },
      ],
      dnsPolicy: 'ClusterFirst',
      restartPolicy: 'Always',
      securityContext: {},
      terminationGracePeriodSeconds: 30,
      schedulerName: 'default-scheduler',
      enableServiceLinks: true,
    });
    const again = structuredClone(p);
    Pod.default!(again);
    expect(again).toEqual(p);
  });

  test.each([
    ['nginx', 'Always'],
    ['nginx:latest', 'Always'],
    ['nginx:1', 'IfNotPresent'],
    ['registry.example.com:5000/team/app', 'Always'],
    ['registry.example.com:5000/team/app:v1', 'IfNotPresent'],
    [`nginx@sha256:${'0'.repeat(64)}`, 'IfNotPresent'],
    ['UPPER', 'IfNotPresent'],
  ])('pull policy of %s is %s', (image, policy) => {
    expect(pod({ containers: [container({ image })] }).spec.containers[0]!.imagePullPolicy).toBe(policy);
  });

  test('of containers and volumes', () => {
    const p = pod({
      hostNetwork: true,
      serviceAccount: 'old',
      containers: [
        container({
          resources: { limits: { cpu: '100u', memory: '1Gi' }, requests: { memory: '1Mi' } },
          ports: [{ containerPort: 80 }],
          livenessProbe: { httpGet: { port: 80 } },
          startupProbe: { grpc: { port: 1 } },
          env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
        }),
      ],
      volumes: [
        { name: 'none' },
        { name: 'host', hostPath: { path: '/x' } },
        { name: 'all', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } },
        { name: 'secret', secret: { secretName: 's' } },
        { name: 'image', image: { reference: 'a:1' } },
      ],
    });
    expect(p.spec.serviceAccountName).toBe('old');
    expect(p.spec.containers[0]).toMatchObject({
      resources: { limits: { cpu: '1m' }, requests: { cpu: '1m', memory: '1Mi' } },
      ports: [{ containerPort: 80, hostPort: 80, protocol: 'TCP' }],
      livenessProbe: {
        httpGet: { path: '/', scheme: 'HTTP' },
        timeoutSeconds: 1,
        periodSeconds: 10,
        successThreshold: 1,
        failureThreshold: 3,
      },
      startupProbe: { grpc: { port: 1, service: '' } },
      env: [{ valueFrom: { fieldRef: { apiVersion: 'v1' } } }],
    });
    expect(p.spec.volumes).toEqual([
      { name: 'none', emptyDir: {} },
      { name: 'host', hostPath: { path: '/x', type: '' } },
      {
        name: 'all',
        projected: { defaultMode: 420, sources: [{ serviceAccountToken: { path: 't', expirationSeconds: 3600 } }] },
      },
      { name: 'secret', secret: { secretName: 's', defaultMode: 420 } },
      { name: 'image', image: { reference: 'a:1', pullPolicy: 'IfNotPresent' } },
    ]);
  });

  test('pod-level requests follow from limits and containers', () => {
    const small = container({ resources: { requests: { cpu: '100m' } } });
    const p = pod({ containers: [small, small], resources: { limits: { cpu: '1', memory: '1Gi' } } });
    expect(p.spec.resources).toEqual({
      limits: { cpu: '1', memory: '1Gi' },
      requests: { cpu: '200m', memory: '1Gi' },
    });
  });
});

describe('prepare', () => {
  test('a created pod is pending, and gated when it has gates', () => {
    const p = pod({ schedulingGates: [{ name: 'x/y' }] });
    p.status = { phase: 'Running', podIP: '1.2.3.4' };
    Pod.prepareForCreate!(p, context);
    expect(p.status).toMatchObject({
      phase: 'Pending',
      qosClass: 'BestEffort',
      conditions: [{ reason: 'SchedulingGated' }],
    });
    expect(p.status).not.toHaveProperty('podIP');
  });

  test('label keys are merged into selectors', () => {
    const p = pod(
      {
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: 'zone',
            whenUnsatisfiable: 'DoNotSchedule',
            labelSelector: {},
            matchLabelKeys: ['rev'],
          },
        ],
      },
      { labels: { rev: '7' } },
    );
    Pod.prepareForCreate!(p, context);
    expect(p.spec.topologySpreadConstraints![0]!.labelSelector).toEqual({
      matchExpressions: [{ key: 'rev', operator: 'In', values: ['7'] }],
    });
    expect(errorsOf(p)).toEqual([]);
  });

  test('the status strategy keeps owners, class and addresses', () => {
    const old = pod({}, { ownerReferences: [] });
    old.status = { qosClass: 'Burstable' };
    const next = pod();
    next.status = { podIP: '10.0.0.1' };
    Pod.status!.prepareForUpdate!(next, old, context);
    expect(next).toMatchObject({
      metadata: { ownerReferences: [] },
      status: { qosClass: 'Burstable', podIPs: [{ ip: '10.0.0.1' }] },
    });
  });
});

describe('validation', () => {
  const c = (more: Partial<Container>): Partial<PodSpec> => ({ containers: [container(more)] });
  test.each<[string, Partial<PodSpec>, string[]]>([
    ['fine', {}, []],
    ['no containers', { containers: [] }, ['spec.containers: Required value']],
    ['no image', c({ image: '' }), ['spec.containers[0].image: Required value']],
    [
      'padded image',
      c({ image: ' a' }),
      ['spec.containers[0].image: Invalid value: " a": must not have leading or trailing whitespace'],
    ],
    ['twice the name', { containers: [container(), container()] }, ['spec.containers[1].name: Duplicate value: "c"']],
    ['init twin', { initContainers: [container()] }, ['spec.initContainers[0].name: Duplicate value: "c"']],
    [
      'init probe',
      { initContainers: [container({ name: 'i', livenessProbe: { exec: { command: ['x'] } } })] },
      [
        'spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always',
      ],
    ],
    [
      'policies',
      { restartPolicy: 'Sometimes', ...c({ imagePullPolicy: 'Ever' }) },
      [
        'spec.containers[0].imagePullPolicy: Unsupported value: "Ever": supported values: "Always", "IfNotPresent", "Never"',
        'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
      ],
    ],
    [
      'ports',
      c({
        ports: [
          { containerPort: 0 },
          { containerPort: 70000, name: 'WEB' },
          { containerPort: 1, hostPort: 5 },
          { containerPort: 2, hostPort: 5 },
        ],
      }),
      [
        'spec.containers[0].ports[0].containerPort: Required value',
        'spec.containers[0].ports[1].name: Invalid value: "WEB": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
        'spec.containers[0].ports[1].name: Invalid value: "WEB": must contain at least one letter (a-z)',
        'spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
        'spec.containers[0].ports[3].hostPort: Duplicate value: "TCP//5"',
      ],
    ],
    [
      'env',
      c({
        env: [
          { name: '' },
          { name: 'A', value: 'x', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
          { name: 'B', valueFrom: {} },
          { name: 'C', valueFrom: { fieldRef: { fieldPath: 'spec.x' } } },
        ],
      }),
      [
        'spec.containers[0].env[0].name: Required value',
        'spec.containers[0].env[1].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
        'spec.containers[0].env[2].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
        'spec.containers[0].env[3].valueFrom.fieldRef.fieldPath: Invalid value: "spec.x": error converting fieldPath: field label not supported: spec.x',
      ],
    ],
    [
      'mounts',
      {
        ...c({
          volumeMounts: [
            { name: 'v', mountPath: '/a' },
            { name: 'nope', mountPath: '/a' },
          ],
        }),
        volumes: [{ name: 'v' }],
      },
      [
        'spec.containers[0].volumeMounts[1].name: Not found: "nope"',
        'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique',
      ],
    ],
    [
      'volumes',
      {
        volumes: [
          { name: 'a', emptyDir: {}, hostPath: { path: '/x' } },
          { name: 'b', configMap: {} },
          { name: 'c', secret: { secretName: 's', defaultMode: 4096 } },
        ],
      },
      [
        'spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type',
        'spec.volumes[1].configMap.name: Required value',
        'spec.volumes[2].secret.defaultMode: Invalid value: 4096: must be a number between 0 and 0777 (octal), both inclusive',
      ],
    ],
    [
      'resources',
      c({
        resources: {
          limits: { cpu: '1', 'example.com/gpu': '1' },
          requests: { cpu: '2', 'example.com/gpu': '2', foo: '1' },
        },
      }),
      [
        'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        'spec.containers[0].resources.requests: Invalid value: "2": must be equal to example.com/gpu limit of 1',
        'spec.containers[0].resources.requests[foo]: Invalid value: "foo": must be a standard resource type or fully qualified',
        'spec.containers[0].resources.requests[foo]: Invalid value: "foo": must be a standard resource for containers',
      ],
    ],
    [
      'probes',
      c({
        livenessProbe: { successThreshold: 2 },
        readinessProbe: { tcpSocket: { port: 80 }, exec: { command: ['x'] } },
      }),
      [
        'spec.containers[0].livenessProbe: Required value: must specify a handler type',
        'spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1',
        'spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type',
      ],
    ],
    [
      'tolerations',
      { tolerations: [{ operator: 'Equal' }, { key: 'a', operator: 'Exists', value: 'x', tolerationSeconds: 1 }] },
      [
        'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"',
        'spec.tolerations[1].effect: Invalid value: "": effect must be \'NoExecute\' when `tolerationSeconds` is set',
        'spec.tolerations[1].operator: Invalid value: "x": value must be empty when `operator` is \'Exists\'',
      ],
    ],
    [
      'affinity',
      {
        affinity: {
          podAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [
              { topologyKey: 'zone', labelSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } },
            ],
          },
          nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } },
        },
      },
      [
        'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term',
        "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
      ],
    ],
    [
      'dns',
      { dnsPolicy: 'None' },
      ['spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None'],
    ],
    [
      'security',
      {
        hostUsers: false,
        hostNetwork: true,
        securityContext: { runAsUser: -1, sysctls: [{ name: 'net.x', value: '1' }] },
        ...c({
          securityContext: { privileged: true, allowPrivilegeEscalation: false, seccompProfile: { type: 'Localhost' } },
        }),
      },
      [
        'spec.containers[0].securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost',
        'spec.containers[0].securityContext: Invalid value: {"privileged":true,"allowPrivilegeEscalation":false,"seccompProfile":{"type":"Localhost"}}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true',
        'spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 4294967295, inclusive',
        'spec.securityContext.sysctls[0].name: Invalid value: "net.x": may not be specified when \'hostNetwork\' is true',
        'spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false',
      ],
    ],
    [
      'ephemeral',
      { ephemeralContainers: [{ ...container({ name: 'e' }) }] },
      ['spec.ephemeralContainers: Forbidden: cannot be set on create'],
    ],
    ['os', { os: { name: 'windows' }, hostPID: true }, ['spec.hostPID: Forbidden: cannot be set for a windows pod']],
  ])('%s', (_, spec, expected) => {
    expect(errorsOf(pod(spec))).toEqual(expected);
  });

  test('templates need no pod rules', () => {
    const template = { metadata: { labels: { 'a b': 'c' } }, spec: { containers: [container({ image: ' a' })] } };
    defaultPodTemplate(template);
    const out: FieldError[] = [];
    validatePodTemplate(template, 'spec.template', out);
    expect(texts(out)).toEqual([expect.stringMatching(/^spec.template.labels: Invalid value: "a b": name part/)]);
  });
});

describe('updates', () => {
  const change = (edit: (p: Pod) => void, from: Partial<PodSpec> = {}) => {
    const old = pod(from, { resourceVersion: '1' });
    const next = structuredClone(old);
    edit(next);
    return texts(Pod.validateUpdate!(next, old, context));
  };
  test('what may change', () => {
    expect(change((p) => (p.spec.containers[0]!.image = 'other'))).toEqual([]);
    expect(change((p) => (p.spec.activeDeadlineSeconds = 5))).toEqual([]);
    expect(change((p) => (p.spec.tolerations = [{ operator: 'Exists' }]))).toEqual([]);
    const gated = { schedulingGates: [{ name: 'a' }], nodeSelector: { a: 'b' } };
    expect(change((p) => (p.spec.nodeSelector = { a: 'b', c: 'd' }), gated)).toEqual([]);
    expect(change((p) => delete p.spec.schedulingGates, gated)).toEqual([]);
  });
  test('what may not', () => {
    expect(change((p) => p.spec.containers.push(container({ name: 'd' })))).toEqual([
      'spec.containers: Forbidden: pod updates may not add or remove containers',
    ]);
    expect(change((p) => (p.spec.nodeName = 'n'))[0]).toBe(
      [
        'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
        '  core.PodSpec{',
        '- \tNodeName: null,',
        '+ \tNodeName: "n",',
        '  \t... // 7 identical fields',
        '  }',
        '',
      ].join('\n'),
    );
    expect(change((p) => (p.spec.tolerations = []), { tolerations: [{ operator: 'Exists' }] })).toEqual([
      'spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds',
    ]);
    expect(
      change((p) => (p.spec.nodeSelector = {}), { schedulingGates: [{ name: 'a' }], nodeSelector: { a: 'b' } }),
    ).toEqual([
      'spec.nodeSelector: Invalid value: {}: only additions to spec.nodeSelector are allowed (no mutations or deletions)',
    ]);
  });
  test('status: ended containers stay ended', () => {
    const old = pod({ restartPolicy: 'Never' });
    const ended = {
      name: 'c',
      image: '',
      imageID: '',
      ready: false,
      restartCount: 0,
      state: { terminated: { exitCode: 1 } },
    };
    old.status = { qosClass: 'BestEffort', containerStatuses: [ended] };
    const next = structuredClone(old);
    next.status = {
      qosClass: 'Burstable',
      containerStatuses: [{ ...ended, state: { running: {} } }],
      podIPs: [{ ip: '1' }],
    };
    expect(texts(Pod.status!.validateUpdate!(next, old, context))).toEqual([
      'status.qosClass: Invalid value: "Burstable": field is immutable',
      'status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state',
      'status.podIPs[0]: Invalid value: "1": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ]);
  });
  test('ephemeral containers stay; resize touches cpu and memory alone', () => {
    const old = pod({ ephemeralContainers: [container({ name: 'e' })] });
    const next = structuredClone(old);
    next.spec.ephemeralContainers = [];
    expect(texts(validateEphemeralContainersUpdate(next, old))).toEqual([
      'spec.ephemeralContainers: Forbidden: existing ephemeral containers "e" may not be removed\n',
    ]);
    const sized = pod({ containers: [container({ resources: { requests: { cpu: '1' } } })] });
    const resized = structuredClone(sized);
    resized.spec.containers[0]!.resources!.requests!['cpu'] = '2';
    expect(validatePodResize(resized, sized)).toEqual([]);
    resized.spec.containers[0]!.image = 'x';
    expect(texts(validatePodResize(resized, sized))).toEqual([
      'spec: Forbidden: only cpu and memory resources are mutable',
    ]);
  });
});

test('warnings', () => {
  const env = [
    { name: 'A', value: '1' },
    { name: 'A', value: '2' },
    { name: 'A', value: '$(A)3' },
  ];
  const p = pod(
    {
      containers: [container({ env, ports: [{ containerPort: 80 }, { containerPort: 80 }] })],
      nodeSelector: { 'beta.kubernetes.io/os': 'linux' },
    },
    { name: 'a.b' },
  );
  expect(Pod.warnings!(p, undefined)).toEqual([
    "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
    'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
    'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
    'spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]',
  ]);
});

test('graceful deletion', () => {
  const of = (spec: Partial<PodSpec>, status: PodStatus, requested?: number) =>
    Pod.gracefulDeletion!({ ...pod(spec), status }, requested);
  expect(of({}, {})).toBe(0);
  expect(of({ nodeName: 'n' }, { phase: 'Running' })).toBe(30);
  expect(of({ nodeName: 'n' }, { phase: 'Running' }, 5)).toBe(5);
  expect(of({ nodeName: 'n' }, { phase: 'Succeeded' })).toBe(0);
  expect(of({ nodeName: 'n' }, {}, -1)).toBe(1);
});
