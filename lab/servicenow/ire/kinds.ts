import { identityKeys, sourceKey } from './duplicates.ts';
import { finalPlan, type IreCall, type ItemPlan, type PayloadPlan, type SubPlan } from './plan-types.ts';

/** Done; or not: kept for a later payload to complete it, kept for the record only, or just answered. */
export type OutcomeKind = 'done' | 'partial' | 'incomplete' | 'failed';

/** Codes of an item that a later payload may complete (servicenow.md §5.1). */
const PARTIAL_CODES = new Set([
  'MISSING_MATCHING_ATTRIBUTES',
  'REQUIRED_ATTRIBUTE_EMPTY',
  'MISSING_DEPENDENCY',
  'INSERT_NOT_ALLOWED_FOR_SOURCE',
]);

/**
 * On the enhanced endpoints whatever is not committed is kept. Partial: it has a key to be found again by (source and native key, or a
 * complete identifier) and one of four errors, or it hangs on a partial item. Everything else is incomplete
 * (documentation of the engine, partial and incomplete items).
 */
export function kindOf(plan: PayloadPlan, item: ItemPlan, call: IreCall): OutcomeKind {
  if (item.operation !== undefined) return 'done';
  // Without a data source every endpoint puts the payload aside (documentation of sysparm_data_source).
  if (call.dataSource === '') return 'incomplete';
  if (!call.enhanced || !call.partialPayloads) return 'failed';
  const host = item.host === undefined ? undefined : finalPlan(plan, item.host.index);
  const isAbandoned = item.errors.length > 0 && item.errors.every(({ error }) => error === 'ABANDONED');
  if (isAbandoned && host !== undefined && kindOf(plan, host, call) === 'partial') return 'partial';
  const hasKey = sourceKey(item.item.source) !== undefined || identityKeys(plan, item).length > 0;
  const isPartial = hasKey && item.errors.length > 0 && item.errors.every(({ error }) => PARTIAL_CODES.has(error));
  return isPartial ? 'partial' : 'incomplete';
}

export function subKindOf({ sub, errors, operation }: SubPlan): OutcomeKind {
  if (errors.length === 0) return operation === undefined ? 'failed' : 'done';
  return sourceKey(sub.source) === undefined ? 'incomplete' : 'partial';
}
