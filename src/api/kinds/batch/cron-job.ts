// CronJob: batch/v1.

import { CronError, parseCron } from '../../cron-schedule.ts';
import { field } from '../../errors.ts';
import type { CronJob as CronJobObject, CronJobSpec } from '../../generated/batch-v1.ts';
import { humanAge } from '../../human-duration.ts';
import { defineKind } from '../../kind.ts';
import { formatLabelSelector } from '../../selectors.ts';
import { type Errors, missing, notNegative, oneOf } from '../../validate/checks.ts';
import { validateJobSpec } from '../../validate/job.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { AGE, ageOf, CONTAINERS, IMAGES, integer, layoutOf, NAME, NONE, SELECTOR, text } from '../columns.ts';
import { inPodNames, templateWarnings } from '../core/pod-warnings.ts';
import { defaultJobTemplate } from './job.ts';

export type CronJob = CronJobObject;

/** The jobs' names have 11 more characters. */
const MAX_NAME = 52;

export const CronJob = defineKind<CronJobObject>({
  group: 'batch',
  version: 'v1',
  kind: 'CronJob',
  plural: 'cronjobs',
  namespaced: true,
  shortNames: ['cj'],
  categories: ['all'],
  generation: true,

  default({ spec }) {
    if (spec.jobTemplate.spec) defaultJobTemplate(spec.jobTemplate.spec);
    spec.concurrencyPolicy ||= 'Allow';
    spec.suspend ??= false;
    spec.successfulJobsHistoryLimit ??= 3;
    spec.failedJobsHistoryLimit ??= 1;
  },
  prepareForCreate(cronJob) {
    cronJob.status = {};
  },

  validate({ metadata, spec }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    validateSchedule(spec, out);
    notNegative(spec.startingDeadlineSeconds, 'spec.startingDeadlineSeconds', out);
    oneOf(spec.concurrencyPolicy, ['Allow', 'Forbid', 'Replace'], 'spec.concurrencyPolicy', out);
    validateTemplate(spec, out);
    notNegative(spec.successfulJobsHistoryLimit, 'spec.successfulJobsHistoryLimit', out);
    notNegative(spec.failedJobsHistoryLimit, 'spec.failedJobsHistoryLimit', out);
    if ((metadata.name ?? '').length > MAX_NAME) {
      out.push(field.invalid('metadata.name', metadata.name, `must be no more than ${MAX_NAME} characters`));
    }
    return out;
  },
  warnings({ metadata, spec }, old) {
    const path = 'spec.jobTemplate.spec.template';
    return [...(old ? [] : inPodNames(metadata.name)), ...templateWarnings(spec.jobTemplate.spec?.template, path)];
  },
  status: {},

  columns: [
    NAME,
    text('Schedule', 'When it runs.'),
    text('Timezone', 'The time zone of the schedule.'),
    { name: 'Suspend', type: 'boolean', description: 'Whether it waits.' },
    integer('Active', 'Jobs that run now.'),
    text('Last Schedule', 'When it ran last.'),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  row(cronJob, now) {
    const { metadata, spec, status } = cronJob;
    const job = spec.jobTemplate.spec;
    return [
      metadata.name,
      spec.schedule,
      spec.timeZone ?? NONE,
      spec.suspend === undefined ? '<unset>' : spec.suspend ? 'True' : 'False',
      status?.active?.length ?? 0,
      status?.lastScheduleTime ? humanAge(status.lastScheduleTime, now) : NONE,
      ageOf(cronJob, now),
      ...layoutOf(job?.template.spec?.containers),
      formatLabelSelector(job?.selector),
    ];
  },
});

function validateSchedule({ schedule, timeZone }: CronJobSpec, out: Errors): void {
  const path = 'spec.schedule';
  if (missing(schedule)) out.push(field.required(path));
  else {
    try {
      parseCron(schedule);
    } catch (error) {
      if (!(error instanceof CronError)) throw error;
      out.push(field.invalid(path, schedule, error.message));
    }
    if (/TZ=/.test(schedule)) {
      const text =
        timeZone === undefined
          ? 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'
          : 'cannot use both timeZone field and TZ or CRON_TZ in schedule';
      out.push(field.invalid(path, schedule, text));
    }
  }
  if (timeZone === undefined) return;
  const fault = zoneFault(timeZone);
  if (fault) out.push(field.invalid('spec.timeZone', timeZone, fault));
}

function zoneFault(name: string): string | undefined {
  if (name === '') return 'timeZone must be nil or non-empty string';
  if (name.toLowerCase() === 'local') {
    return 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones';
  }
  try {
    return Intl.DateTimeFormat('en', { timeZone: name }) && undefined;
  } catch {
    return `unknown time zone ${name}`;
  }
}

function validateTemplate({ jobTemplate }: CronJobSpec, out: Errors): void {
  const path = 'spec.jobTemplate.spec';
  const job = jobTemplate.spec;
  if (!job) return void out.push(field.required(`${path}.template.spec.containers`));
  validateJobSpec(job, path, out);
  if (job.selector) out.push(field.invalid(`${path}.selector`, job.selector, '`selector` will be auto-generated'));
  if (job.manualSelector) out.push(field.notSupported(`${path}.manualSelector`, true, ['nil', 'false']));
}
