// One transaction of the proxy as a span for each Service that a change asked it to look at.

import type { Tracer } from '../base/trace.ts';

/** `asked`: Services with the revision of the change, 0 where there was none. */
export function proxySpans(tracer: Tracer, asked: ReadonlyMap<string, number>, began: number): void {
  for (const [key, revision] of asked) {
    if (revision === 0) continue;
    const span = tracer.begin('proxy', 'SyncProxyRules', undefined, revision, began);
    span.resource = 'services';
    [span.namespace = '', span.objectName = ''] = key.split('/');
    span.finish();
  }
}
