// Job: batch/v1.

import type { Job as JobObject, JobSpec } from '../../generated/batch-v1.ts';
import { humanDuration } from '../../human-duration.ts';
import { defineKind } from '../../kind.ts';
import { formatLabelSelector } from '../../selectors.ts';
import { type Errors, notNegative } from '../../validate/checks.ts';
import {
  NAME_LABEL,
  OLD_NAME_LABEL,
  OLD_UID_LABEL,
  UID_LABEL,
  validateJob,
  validateJobUpdate,
} from '../../validate/job.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { MAX_INT32 } from '../../validate/pod-spec.ts';
import { AGE, ageOf, CONTAINERS, IMAGES, layoutOf, NAME, SELECTOR, text } from '../columns.ts';
import { defaultPodTemplate } from '../core/pod-defaults.ts';
import { inPodNames, templateWarnings } from '../core/pod-warnings.ts';

export type Job = JobObject;

export const Job = defineKind<JobObject>({
  group: 'batch',
  version: 'v1',
  kind: 'Job',
  plural: 'jobs',
  namespaced: true,
  categories: ['all'],
  generation: true,
  defaultPropagation: 'Orphan',

  default(job) {
    const { spec, metadata } = job;
    defaultJobTemplate(spec);
    if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
    spec.parallelism ??= 1;
    spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : MAX_INT32;
    const labels = spec.template.metadata?.labels;
    if (labels && !Object.keys(metadata.labels ?? {}).length) metadata.labels = { ...labels };
    spec.completionMode ??= 'NonIndexed';
    spec.suspend ??= false;
    spec.manualSelector ??= false;
    spec.podReplacementPolicy ??= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed';
  },
  prepareForCreate(job) {
    job.status = {};
    if (!job.spec.manualSelector) generateSelector(job);
  },

  validate(job) {
    const out = validateJob(job);
    validateFinalizerNames(job.metadata.finalizers, 'metadata.finalizers', out);
    return out;
  },
  validateUpdate: validateJobUpdate,
  warnings(job, old) {
    const out = [...(old ? [] : inPodNames(job.metadata.name)), ...templateWarnings(job.spec.template)];
    const { completionMode, completions = 0, parallelism = 0 } = job.spec;
    if (completionMode === 'Indexed' && completions > 100_000 && parallelism > 10_000) {
      out.push(
        'In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail',
      );
    }
    return out;
  },
  status: {
    default() {},
    validateUpdate({ status }) {
      const out: Errors = [];
      for (const key of ['active', 'succeeded', 'failed', 'ready', 'terminating'] as const) {
        notNegative(status?.[key], `status.${key}`, out);
      }
      return out;
    },
  },

  selectableFields: { 'status.successful': ({ status }) => String(status?.succeeded ?? 0) },
  columns: [
    NAME,
    text('Status', 'How far the job is.'),
    text('Completions', 'Pods that succeeded, of those wanted.'),
    text('Duration', 'How long it runs or ran.'),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  row(job, now) {
    const { metadata, spec, status = {} } = job;
    const done = status.succeeded ?? 0;
    const parallel = (spec.parallelism ?? 0) > 1 ? `${done}/1 of ${spec.parallelism}` : `${done}/1`;
    const end = status.completionTime ? Date.parse(status.completionTime) : now;
    return [
      metadata.name,
      statusText(job),
      spec.completions === undefined ? parallel : `${done}/${spec.completions}`,
      status.startTime ? humanDuration(end - Date.parse(status.startTime)) : '',
      ageOf(job, now),
      ...layoutOf(spec.template.spec?.containers),
      formatLabelSelector(spec.selector),
    ];
  },
});

/** What jobs and the templates of CronJobs have in common. */
export function defaultJobTemplate(spec: JobSpec): void {
  defaultPodTemplate(spec.template);
  for (const rule of spec.podFailurePolicy?.rules ?? []) {
    for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True';
  }
}

/** Pods carry the job's name and uid, and the uid selects them: no two jobs ever overlap. */
function generateSelector({ metadata, spec }: JobObject): void {
  const { name, uid } = metadata;
  const own = { [OLD_NAME_LABEL]: name, [NAME_LABEL]: name, [OLD_UID_LABEL]: uid, [UID_LABEL]: uid };
  const template = (spec.template.metadata ??= {});
  template.labels = { ...own, ...template.labels };
  spec.selector = { ...spec.selector, matchLabels: { [UID_LABEL]: uid, ...spec.selector?.matchLabels } };
  if (!Object.keys(metadata.labels ?? {}).length) metadata.labels = { ...template.labels };
}

function statusText({ metadata, status }: JobObject): string {
  const is = (type: string) => status?.conditions?.some((c) => c.type === type && c.status === 'True');
  if (is('Complete')) return 'Complete';
  if (is('Failed')) return 'Failed';
  if (metadata.deletionTimestamp) return 'Terminating';
  return ['Suspended', 'FailureTarget', 'SuccessCriteriaMet'].find(is) ?? 'Running';
}
