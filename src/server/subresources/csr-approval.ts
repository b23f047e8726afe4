// certificatesigningrequests/approval: who may approve says yes or no, once. Nothing else of the request changes.

import { field, type FieldError } from '../../api/errors.ts';
import type {
  CertificateSigningRequest as Request,
  CertificateSigningRequestCondition as Condition,
} from '../../api/generated/certificates-v1.ts';
import { rfc3339 } from '../../base/env.ts';
import type { Handler } from '../call.ts';
import { requireSigner } from '../signers.ts';
import { partHandler } from './rewrite.ts';

const DECISIONS: ReadonlySet<string> = new Set(['Approved', 'Denied']);

export const csrApproval: Handler = partHandler<Request>({
  take(sent, current, call) {
    requireSigner(call.server.authorizer, call.op.user, 'approve', current);
    const decided = (sent.status?.conditions ?? []).filter((c) => DECISIONS.has(c.type));
    const others = (current.status?.conditions ?? []).filter((c) => !DECISIONS.has(c.type));
    const now = rfc3339(call.server.env.clock.now());
    const stamped = decided.map((condition) => stamp(condition, current.status?.conditions ?? [], now));
    return { ...current, status: { ...current.status, conditions: [...others, ...stamped] } };
  },
  validate(object, old) {
    const out: FieldError[] = [];
    const path = 'status.conditions';
    const conditions = object.status?.conditions ?? [];
    conditions.forEach((condition, i) => {
      if (!DECISIONS.has(condition.type)) return;
      if (condition.status !== 'True') out.push(field.notSupported(`${path}[${i}].status`, condition.status, ['True']));
    });
    const has = (list: readonly Condition[], type: string) => list.some((c) => c.type === type);
    for (const type of DECISIONS) {
      if (has(old.status?.conditions ?? [], type) && !has(conditions, type)) {
        out.push(field.forbidden(path, `updates may not remove a condition of type ${JSON.stringify(type)}`));
      }
    }
    if (has(conditions, 'Approved') && has(conditions, 'Denied')) {
      const at = conditions.findIndex((c) => c.type === 'Denied');
      out.push(field.invalid(`${path}[${at}].type`, 'Denied', 'Approved and Denied conditions are mutually exclusive'));
    }
    return out;
  },
});

function stamp(condition: Condition, before: readonly Condition[], now: string): Condition {
  const was = before.find((c) => c.type === condition.type);
  const since = was?.status === condition.status ? was.lastTransitionTime : undefined;
  return {
    ...condition,
    lastUpdateTime: condition.lastUpdateTime ?? now,
    lastTransitionTime: since ?? condition.lastTransitionTime ?? now,
  };
}
