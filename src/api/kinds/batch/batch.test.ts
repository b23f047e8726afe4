// Jobs, CronJobs, StatefulSets and PodDisruptionBudgets.

import { describe, expect, test } from 'vitest';
import { fieldErrorText, type FieldError } from '../../errors.ts';
import type { StatefulSetSpec } from '../../generated/apps-v1.ts';
import type { CronJobSpec, JobSpec } from '../../generated/batch-v1.ts';
import type { PodSpec, PodTemplateSpec } from '../../generated/core-v1.ts';
import type { StrategyContext } from '../../kind.ts';
import { StatefulSet } from '../apps/stateful-set.ts';
import { PodDisruptionBudget } from '../policy/pod-disruption-budget.ts';
import { CronJob } from './cron-job.ts';
import { Job } from './job.ts';

const context = {} as StrategyContext;
const NOW = Date.UTC(2024, 0, 1, 0, 5);
const texts = (errors: FieldError[]) => errors.map(fieldErrorText);
const meta = {
  name: 'web',
  namespace: 'default',
  uid: 'u1',
  resourceVersion: '',
  creationTimestamp: '2024-01-01T00:00:00Z',
};
const template = (spec: Partial<PodSpec> = {}, labels?: Record<string, string>): PodTemplateSpec => ({
  metadata: labels ? { labels } : {},
  spec: { containers: [{ name: 'c', image: 'busybox:1' }], ...spec },
});
const never = { template: template({ restartPolicy: 'Never' }) };

describe('Job', () => {
  const job = (spec: Partial<JobSpec> = {}): Job => {
    const j: Job = { metadata: { ...meta }, spec: structuredClone({ ...never, ...spec }) };
    Job.default!(j);
    Job.prepareForCreate!(j, context);
    return j;
  };
  test('defaults and the generated selector', () => {
    const labels = {
      'job-name': 'web',
      'batch.kubernetes.io/job-name': 'web',
      'controller-uid': 'u1',
      'batch.kubernetes.io/controller-uid': 'u1',
    };
    expect(job()).toMatchObject({
      metadata: { labels },
      spec: {
        completions: 1,
        parallelism: 1,
        backoffLimit: 6,
        completionMode: 'NonIndexed',
        suspend: false,
        manualSelector: false,
        podReplacementPolicy: 'TerminatingOrFailed',
        selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': 'u1' } },
        template: { metadata: { labels } },
      },
    });
    expect(job({ parallelism: 3 }).spec.completions).toBeUndefined();
  });
  const rule = { action: 'FailJob', onExitCodes: { operator: 'In', values: [3, 1] } };
  test.each<[string, Partial<JobSpec>, string[]]>([
    ['fine', {}, []],
    [
      'restart policy',
      { template: template() },
      ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ],
    ['no selector', { manualSelector: true }, ['spec.selector: Required value']],
    [
      'forged labels',
      { template: template({ restartPolicy: 'Never' }, { 'job-name': 'x' }) },
      [
        expect.stringMatching(
          /^spec.template.metadata.labels\[job-name\]: Invalid value: .*: must be 'web'$/,
        ) as string,
      ],
    ],
    [
      'indexed',
      { completionMode: 'Indexed', parallelism: 2 },
      ['spec.completions: Required value: when completion mode is Indexed'],
    ],
    [
      'per index',
      { backoffLimitPerIndex: 1 },
      ['spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode'],
    ],
    [
      'failure policy',
      { podFailurePolicy: { rules: [rule, { action: 'Ignore' }] }, template: template({ restartPolicy: 'OnFailure' }) },
      [
        'spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,1]: must be ordered',
        'spec.podFailurePolicy.rules[1]: Invalid value: {"action":"Ignore"}: specifying one of OnExitCodes and OnPodConditions is required',
        'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified',
      ],
    ],
    [
      'success policy',
      {
        completionMode: 'Indexed',
        completions: 3,
        successPolicy: { rules: [{ succeededIndexes: '0-1', succeededCount: 3 }, { succeededIndexes: '2-9' }] },
      },
      [
        'spec.successPolicy.rules[0].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of specified indexes)',
        expect.stringContaining(
          'spec.successPolicy.rules[1].succeededIndexes: Invalid value: "2-9": error parsing',
        ) as string,
      ],
    ],
  ])('%s', (_, spec, expected) => {
    expect(texts(Job.validate!(job(spec), context))).toEqual(expected);
  });
  test('updates', () => {
    const old = job();
    const changed = job({ completions: 2, template: template({ restartPolicy: 'Never', nodeSelector: { a: 'b' } }) });
    expect(
      texts(Job.validateUpdate!(changed, old, context)).map((t) => t.replace(/value: .*: /, 'value: ...: ')),
    ).toEqual([
      'spec.completions: Invalid value: ...: field is immutable',
      'spec.template: Invalid value: ...: field is immutable',
    ]);
    const waiting = job({ suspend: true });
    const moved = job({ template: template({ restartPolicy: 'Never', nodeSelector: { a: 'b' } }) });
    expect(texts(Job.validateUpdate!(moved, waiting, context))).toEqual([]);
  });
  test('rows', () => {
    const row = (status: Job['status'], spec: Partial<JobSpec> = {}) =>
      Job.row!({ ...job(spec), status: status! }, NOW).slice(1, 4);
    expect(row({ startTime: '2024-01-01T00:04:00Z' })).toEqual(['Running', '0/1', '60s']);
    const done = {
      startTime: '2024-01-01T00:00:00Z',
      completionTime: '2024-01-01T00:01:00Z',
      succeeded: 1,
      conditions: [{ type: 'Complete', status: 'True' }],
    };
    expect(row(done)).toEqual(['Complete', '1/1', '60s']);
    expect(row({}, { parallelism: 3 })).toEqual(['Running', '0/1 of 3', '']);
  });
});

describe('CronJob', () => {
  const cron = (spec: Partial<CronJobSpec> = {}): CronJob => {
    const c: CronJob = {
      metadata: { ...meta },
      spec: structuredClone({ schedule: '* * * * *', jobTemplate: { spec: never }, ...spec }),
    };
    CronJob.default!(c);
    return c;
  };
  test.each<[string, Partial<CronJobSpec>, string[]]>([
    ['fine', { timeZone: 'Europe/Berlin' }, []],
    [
      'schedule',
      { schedule: 'often' },
      ['spec.schedule: Invalid value: "often": expected exactly 5 fields, found 1: [often]'],
    ],
    ['zone', { timeZone: 'Mars/Base' }, ['spec.timeZone: Invalid value: "Mars/Base": unknown time zone Mars/Base']],
    [
      'policy',
      { concurrencyPolicy: 'x', failedJobsHistoryLimit: -1 },
      [
        'spec.concurrencyPolicy: Unsupported value: "x": supported values: "Allow", "Forbid", "Replace"',
        'spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0',
      ],
    ],
    [
      'template',
      { jobTemplate: { spec: { ...never, selector: {}, manualSelector: true } } },
      [
        'spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated',
        'spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"',
      ],
    ],
  ])('%s', (_, spec, expected) => {
    expect(texts(CronJob.validate!(cron(spec), context))).toEqual(expected);
  });
  test('row', () => {
    const c = { ...cron(), status: { active: [{}], lastScheduleTime: '2024-01-01T00:04:00Z' } };
    expect(CronJob.row!(c, NOW)).toEqual([
      'web',
      '* * * * *',
      '<none>',
      'False',
      1,
      '60s',
      '5m',
      'c',
      'busybox:1',
      '<none>',
    ]);
  });
});

describe('StatefulSet', () => {
  const selector = { matchLabels: { app: 'web' } };
  const set = (spec: Partial<StatefulSetSpec> = {}): StatefulSet => {
    const s: StatefulSet = {
      metadata: { ...meta },
      spec: structuredClone({ selector, template: template({}, { app: 'web' }), ...spec }),
    };
    StatefulSet.default!(s);
    return s;
  };
  test('defaults', () => {
    const claim = { metadata: { ...meta, name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } };
    expect(set({ volumeClaimTemplates: [claim] }).spec).toMatchObject({
      replicas: 1,
      podManagementPolicy: 'OrderedReady',
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      revisionHistoryLimit: 10,
      volumeClaimTemplates: [
        { kind: 'PersistentVolumeClaim', spec: { volumeMode: 'Filesystem' }, status: { phase: 'Pending' } },
      ],
    });
  });
  test('claims are volumes of the template', () => {
    const mounts = template(
      { containers: [{ name: 'c', image: 'x', volumeMounts: [{ name: 'data', mountPath: '/d' }] }] },
      { app: 'web' },
    );
    const claim = { metadata: { ...meta, name: 'data' }, spec: {} };
    expect(texts(StatefulSet.validate!(set({ template: mounts, volumeClaimTemplates: [claim] }), context))).toEqual([]);
    expect(texts(StatefulSet.validate!(set({ template: mounts }), context))).toEqual([
      'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"',
    ]);
  });
  test('policies and updates', () => {
    const bad = set({ podManagementPolicy: 'x', updateStrategy: { type: 'OnDelete', rollingUpdate: {} } });
    expect(texts(StatefulSet.validate!(bad, context))).toEqual([
      "spec.podManagementPolicy: Invalid value: \"x\": must be 'OrderedReady' or 'Parallel'",
      "spec.updateStrategy.rollingUpdate: Invalid value: {}: only allowed for updateStrategy 'RollingUpdate'",
    ]);
    expect(texts(StatefulSet.validateUpdate!(set({ replicas: 3 }), set(), context))).toEqual([]);
    expect(texts(StatefulSet.validateUpdate!(set({ serviceName: 'x' }), set(), context))).toEqual([
      "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    ]);
    expect(StatefulSet.row!({ ...set(), status: { replicas: 1, readyReplicas: 1 } }, NOW)).toEqual([
      'web',
      '1/1',
      '5m',
      'c',
      'busybox:1',
    ]);
  });
});

test('PodDisruptionBudget', () => {
  const budget: PodDisruptionBudget = { metadata: meta, spec: { minAvailable: 1, maxUnavailable: '200%' } };
  expect(texts(PodDisruptionBudget.validate!(budget, context))).toEqual([
    'spec: Invalid value: {"minAvailable":1,"maxUnavailable":"200%"}: minAvailable and maxUnavailable cannot be both set',
    'spec.maxUnavailable: Invalid value: "200%": must not be greater than 100%',
  ]);
  expect(PodDisruptionBudget.row!({ ...budget, spec: { minAvailable: '50%' } }, NOW)).toEqual([
    'web',
    '50%',
    'N/A',
    0,
    '5m',
  ]);
});
