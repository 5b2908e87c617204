import type { Outcome, RelationOutcome } from './commit.ts';
import { kindOf, subKindOf, type OutcomeKind } from './kinds.ts';
import type { ItemRef } from './payload.ts';
import { finalPlan, type IreCall, type ItemPlan, type PayloadPlan, type SubPlan } from './plan-types.ts';
import { summaryOf } from './summary.ts';

export interface Answered {
  plan: PayloadPlan;
  outcome: Outcome;
  call: IreCall;
  /** sys_ids of the kept payloads, by item. */
  kept: Map<ItemPlan, string[]>;
}

export interface IreAnswer {
  result: { items: object[] } & Record<string, unknown>;
}

/** The answer of an identification call (identifyreconcile/*.json). HTTP 200 says nothing about the items. */
export function ireResponse(answered: Answered, withSummary: boolean): IreAnswer {
  const { plan, outcome, call } = answered;
  const shown = plan.items.filter((item) => item.mergedInto === undefined);
  const kinds = new Map(shown.map((item) => [item, kindOf(plan, item, call)]));
  const is = (kind: OutcomeKind) => shown.some((item) => !item.isAdditional && kinds.get(item) === kind);
  const relations = outcome.relations.filter((relation) => !relation.plan.isAdditional);
  const hasError = is('failed') || is('incomplete') || relations.some((relation) => relationKind(relation, answered) === 'failed');
  const hasWarning =
    is('partial') || shown.some(({ warnings, subs }) => warnings.length > 0 || subs.some(({ errors }) => errors.length > 0));
  const isCommitted = (item: ItemPlan): boolean => item.isAdditional && kinds.get(item) === 'done';
  return {
    result: {
      ...(call.enhanced ? { hasError, hasWarning } : {}),
      items: shown.filter((item) => !item.isAdditional).map((item) => itemBody(item, kinds.get(item) ?? 'failed', answered)),
      additionalCommittedItems: shown.filter(isCommitted).map((item) => itemBody(item, 'done', answered)),
      relations: relations.map((relation) => relationBody(relation, answered)),
      additionalCommittedRelations: outcome.relations
        .filter((relation) => relation.plan.isAdditional && relation.operation !== undefined)
        .map((relation) => relationBody(relation, answered)),
      ...(withSummary ? { summary: summaryOf(shown, kinds) } : {}),
    },
  };
}

function itemBody(item: ItemPlan, kind: OutcomeKind, answered: Answered): object {
  const { call } = answered;
  const errors = kind === 'partial' ? [] : item.errors;
  const warnings = kind === 'partial' ? [...item.errors, ...item.warnings] : item.warnings;
  return {
    className: kind === 'done' ? item.className : item.item.className,
    ...operationOf(item, kind, answered),
    ...relatedOf(item, call),
    identifierEntrySysId: item.entrySysId,
    ...(errors.length > 0 || kind === 'partial' ? { errors } : {}),
    ...(warnings.length > 0 ? { warnings } : {}),
    identificationAttempts: item.attempts,
    ...(item.info.length > 0 || errors.length > 0 ? { info: item.info } : {}),
    errorCount: errors.length,
    markers: [],
    // The plain endpoints' published answers have no count of warnings where there are none.
    ...(call.enhanced || warnings.length > 0 ? { warningCount: warnings.length } : {}),
    inputIndices: item.inputIndices,
    mergedPayloadIds: item.mergedPayloadIds,
  };
}

function operationOf(item: ItemPlan, kind: OutcomeKind, { call, kept }: Answered): Record<string, unknown> {
  switch (kind) {
    case 'done':
      // The plain simulation leaves the sys_id of an insert out, the enhanced one invents one (INDEX, "settles").
      if (call.simulate && item.operation === 'INSERT' && !call.enhanced) return { operation: item.operation };
      return { operation: item.operation, sysId: item.sysId };
    case 'partial':
      return { operation: 'INSERT_AS_PARTIAL', sysId: 'Unknown', partialSysIds: kept.get(item) ?? [] };
    case 'incomplete':
      return { operation: 'INSERT_AS_INCOMPLETE', sysId: 'Unknown', incompleteSysIds: kept.get(item) ?? [] };
    case 'failed':
      return { sysId: 'Unknown' };
  }
}

/**
 * The look-up and related records of an item. For a CI that was there already the plain endpoints name look-up records without
 * operation and sys_id (identifyreconcile_update_two_items_with_lookup_and_relation.json).
 */
function relatedOf(item: ItemPlan, call: IreCall): Record<string, unknown> {
  if (item.subs.length === 0 || item.operation === undefined) return {};
  const isBare = (sub: SubPlan): boolean => !call.enhanced && sub.kind === 'lookup' && item.operation !== 'INSERT';
  const isNamed = (sub: SubPlan): boolean =>
    sub.sysId !== undefined && !isBare(sub) && !(call.simulate && sub.operation === 'INSERT' && !call.enhanced);
  const merged = item.subs.filter(({ kind, subIndices }) => kind === 'lookup' && subIndices.length > 1);
  return {
    // One that failed has none (script_api_related_item_insert_as_partial.json).
    relatedSysIds: item.subs.filter(({ errors }) => errors.length === 0).map((sub) => (isNamed(sub) ? sub.sysId : null)),
    relatedItems: item.subs.map((sub) => ({
      ...(isBare(sub) ? {} : subOutcome(sub)),
      ...(isNamed(sub) ? { sysId: sub.sysId } : sub.errors.length > 0 ? { sysId: 'Unknown' } : {}),
      className: sub.sub.className,
      markers: [],
      inputIndices: sub.subIndices.map((subIndex) => ({ mainIndex: item.item.index, subIndex })),
      mergedPayloadIds: [],
    })),
    ...(call.enhanced ? {} : { additionalRelatedItems: [] }),
    ...(merged.length === 0
      ? {}
      : { duplicateLookupIndices: Object.fromEntries(merged.map(({ subIndices: [first, ...others] }) => [String(first), others])) }),
  };
}

function subOutcome(sub: SubPlan): object {
  const kind = subKindOf(sub);
  const isPartial = kind === 'partial';
  const errors = isPartial ? [] : sub.errors;
  return {
    ...(kind === 'done'
      ? { operation: sub.operation }
      : kind === 'failed'
        ? {}
        : { operation: isPartial ? 'INSERT_AS_PARTIAL' : 'INSERT_AS_INCOMPLETE' }),
    errors,
    ...(isPartial ? { warnings: sub.errors } : {}),
    errorCount: errors.length,
    warningCount: isPartial ? sub.errors.length : 0,
  };
}

/** A relation fails with its ends: with a partial one it is partial, else it is kept for the record (documentation of the API). */
function relationKind({ operation, plan }: RelationOutcome, { plan: payload, call }: Answered): OutcomeKind {
  if (operation !== undefined) return 'done';
  const kind = (end: ItemRef | undefined): OutcomeKind => {
    const item = end === undefined ? undefined : finalPlan(payload, end.item);
    return item === undefined ? 'failed' : kindOf(payload, item, call);
  };
  const ends = [kind(plan.relation.parent), kind(plan.relation.child)];
  return ends.includes('failed') ? 'failed' : ends.includes('incomplete') ? 'incomplete' : ends.includes('partial') ? 'partial' : 'failed';
}

function relationBody(relation: RelationOutcome, answered: Answered): object {
  const { plan, operation, sysId } = relation;
  const { call } = answered;
  const kind = relationKind(relation, answered);
  const isPartial = kind === 'partial';
  const errors = isPartial ? [] : plan.errors;
  const name = operation ?? (kind === 'failed' ? undefined : isPartial ? 'INSERT_AS_PARTIAL' : 'INSERT_AS_INCOMPLETE');
  return {
    className: 'cmdb_rel_ci',
    ...(name === undefined ? {} : { operation: name }),
    ...(sysId === undefined ? {} : { sysId }),
    ...(call.simulate && operation === 'INSERT' ? {} : { identifierEntrySysId: 'Unknown' }),
    ...(errors.length === 0 ? {} : { errors }),
    ...(isPartial ? { warnings: plan.errors } : {}),
    errorCount: errors.length,
    ...(call.enhanced ? { warningCount: isPartial ? plan.errors.length : 0 } : {}),
    markers: [],
    inputIndices: plan.isAdditional ? [] : [plan.relation.index],
    mergedPayloadIds: [],
  };
}
