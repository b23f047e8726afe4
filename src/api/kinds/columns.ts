// Table columns and cells that many kinds share.

import { humanAge } from '../human-duration.ts';
import type { Cell, Column } from '../kind.ts';
import type { KubeObject } from '../object.ts';
import type { Container } from '../generated/core-v1.ts';
import { selectorFromLabels } from '../selectors.ts';

export const NONE = '<none>';
export const UNKNOWN = '<unknown>';

/** A column of text; `wide` ones only show with -o wide. */
export const text = (name: string, description = ''): Column => ({ name, type: 'string', description });
export const wide = (name: string, description = ''): Column => ({ name, type: 'string', priority: 1, description });
export const integer = (name: string, description = ''): Column => ({ name, type: 'integer', description });

export const NAME: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'The name of the object, unique among its kind within the namespace.',
};
export const AGE = text('Age', 'The time since the object was created.');
export const CREATED_AT: Column = { name: 'Created At', type: 'date', description: 'When the object was created.' };
export const CONTAINERS = wide('Containers', 'Names of each container in the template.');
export const IMAGES = wide('Images', 'Images referenced by each container in the template.');
export const SELECTOR = wide('Selector', 'The label query that selects pods.');

export const ageOf = (object: KubeObject, now: number): Cell => humanAge(object.metadata.creationTimestamp, now);

/** The names and the images of containers, each joined by commas. */
export function layoutOf(containers: readonly Container[] | undefined): [names: string, images: string] {
  const list = containers ?? [];
  return [list.map((c) => c.name).join(','), list.map((c) => c.image ?? '').join(',')];
}

/** `a=b,c=d`, or `<none>`. */
export const labelsText = (labels: Readonly<Record<string, string>> | undefined): string =>
  selectorFromLabels(labels).toString() || NONE;
