// PodTemplate: core/v1.

import type { PodTemplate as PodTemplateObject } from '../../generated/core-v1.ts';
import { defineKind } from '../../kind.ts';
import { field } from '../../errors.ts';
import type { Errors } from '../../validate/checks.ts';
import { validateFinalizerNames } from '../../validate/object-meta.ts';
import { validatePodTemplate } from '../../validate/pod-spec.ts';
import { labelsText, layoutOf, NAME, text } from '../columns.ts';
import { defaultPodTemplate } from './pod-defaults.ts';
import { templateWarnings } from './pod-warnings.ts';

export type PodTemplate = PodTemplateObject;

export const PodTemplate = defineKind<PodTemplateObject>({
  group: '',
  version: 'v1',
  kind: 'PodTemplate',
  plural: 'podtemplates',
  namespaced: true,
  generation: true,

  default: ({ template }) => defaultPodTemplate(template),
  validate({ metadata, template }) {
    const out: Errors = [];
    validateFinalizerNames(metadata.finalizers, 'metadata.finalizers', out);
    if (template) validatePodTemplate(template, 'template', out);
    else out.push(field.required('template.spec.containers'));
    return out;
  },
  warnings: ({ template }) => templateWarnings(template, 'template'),

  columns: [
    NAME,
    text('Containers', 'Names of each container in the template.'),
    text('Images', 'Images referenced by each container in the template.'),
    text('Pod Labels', 'The labels for the pod template.'),
  ],
  row: ({ metadata, template }) => [
    metadata.name,
    ...layoutOf(template?.spec?.containers),
    labelsText(template?.metadata?.labels),
  ],
});
