import type { Outcome, RelatedOutcome } from './commit.ts';
import type { ItemPlan, PayloadPlan } from './plan.ts';

/** Codes that make an item partial on the enhanced endpoints: a later payload may complete it (servicenow.md §5.1). */
const PARTIAL_CODES = new Set([
  'MISSING_MATCHING_ATTRIBUTES',
  'REQUIRED_ATTRIBUTE_EMPTY',
  'MISSING_DEPENDENCY',
  'INSERT_NOT_ALLOWED_FOR_SOURCE',
]);

export interface ResponseOptions {
  enhanced: boolean;
  simulate: boolean;
  partialPayloads: boolean;
  summary: boolean;
  /** Keeps an item that could not be processed; returns the sys_id of the kept payload. */
  keepPayload: (kind: 'partial' | 'incomplete', plan: ItemPlan) => string;
}

interface AnsweredItem {
  plan: ItemPlan;
  kind: 'done' | 'partial' | 'incomplete' | 'failed';
  body: Record<string, unknown>;
}

/** The answer of an identification call (identifyreconcile/*.json). HTTP 200 says nothing about the items. */
export function ireResponse(plan: PayloadPlan, outcome: Outcome, options: ResponseOptions): object {
  const items = plan.items.filter(({ mergedInto }) => mergedInto === undefined).map((item) => answerItem(item, outcome, options));
  const relations = outcome.relations.map(({ plan: { relation, errors }, operation, sysId }) => ({
    className: 'cmdb_rel_ci',
    ...(operation === undefined ? {} : { operation }),
    ...(sysId === undefined ? {} : { sysId }),
    identifierEntrySysId: 'Unknown',
    ...(errors.length === 0 ? {} : { errors }),
    errorCount: errors.length,
    markers: [],
    inputIndices: [relation.index],
    mergedPayloadIds: [],
  }));
  const hasError =
    items.some(({ kind }) => kind === 'failed' || kind === 'incomplete') || relations.some(({ errorCount }) => errorCount > 0);
  const hasWarning = items.some(({ plan: item, kind }) => item.warnings.length > 0 || kind === 'partial');
  return {
    result: {
      ...(options.enhanced ? { hasError, hasWarning } : {}),
      items: items.map(({ body }) => body),
      additionalCommittedItems: [],
      relations,
      additionalCommittedRelations: [],
      ...(options.summary ? { summary: summaryOf(items, outcome) } : {}),
    },
  };
}

function answerItem(plan: ItemPlan, outcome: Outcome, options: ResponseOptions): AnsweredItem {
  const kind = kindOf(plan, options);
  const errors = kind === 'partial' ? [] : plan.errors;
  const warnings = kind === 'partial' ? [...plan.errors, ...plan.warnings] : plan.warnings;
  const body: Record<string, unknown> = {
    className: plan.item.className,
    ...operationOf(plan, kind, options),
    ...relatedOf(plan, outcome),
    identifierEntrySysId: plan.entrySysId,
    ...(options.enhanced || errors.length > 0 ? { errors } : {}),
    ...(warnings.length > 0 ? { warnings } : {}),
    identificationAttempts: plan.attempts,
    ...(plan.info.length > 0 || errors.length > 0 ? { info: plan.info } : {}),
    errorCount: errors.length,
    markers: [],
    warningCount: warnings.length,
    inputIndices: plan.inputIndices,
    mergedPayloadIds: [],
  };
  return { plan, kind, body };
}

function kindOf(plan: ItemPlan, options: ResponseOptions): AnsweredItem['kind'] {
  if (plan.operation !== undefined) return 'done';
  if (!options.enhanced) return 'failed';
  if (plan.errors.some(({ error, message }) => error === 'INVALID_INPUT_DATA' && message.includes('data source'))) return 'incomplete';
  const isPartial = options.partialPayloads && plan.errors.length > 0 && plan.errors.every(({ error }) => PARTIAL_CODES.has(error));
  return isPartial ? 'partial' : 'failed';
}

function operationOf(plan: ItemPlan, kind: AnsweredItem['kind'], options: ResponseOptions): Record<string, unknown> {
  switch (kind) {
    case 'done':
      // The plain simulation leaves the sys_id of an insert out, the enhanced one invents one (INDEX, "settles").
      if (options.simulate && plan.row === undefined && !options.enhanced) return { operation: plan.operation };
      return { operation: plan.operation, sysId: plan.sysId };
    case 'partial':
      return { operation: 'INSERT_AS_PARTIAL', sysId: 'Unknown', partialSysIds: [options.keepPayload('partial', plan)] };
    case 'incomplete':
      return { operation: 'INSERT_AS_INCOMPLETE', sysId: 'Unknown', incompleteSysIds: [options.keepPayload('incomplete', plan)] };
    case 'failed':
      return { sysId: 'Unknown' };
  }
}

/** Look-up items answer as related items without an operation. */
function relatedOf(plan: ItemPlan, outcome: Outcome): Record<string, unknown> {
  const related = outcome.related.get(plan.item.index) ?? [];
  const all: RelatedOutcome[] = [
    ...plan.item.lookup.map(({ className }) => ({ className, operation: undefined, sysId: undefined })),
    ...related,
  ];
  if (all.length === 0) return {};
  return {
    relatedSysIds: all.map(({ sysId }) => sysId ?? null),
    relatedItems: all.map(({ className, operation, sysId }, subIndex) => ({
      ...(operation === undefined ? {} : { operation }),
      ...(sysId === undefined ? {} : { sysId }),
      className,
      markers: [],
      inputIndices: [{ mainIndex: plan.item.index, subIndex }],
      mergedPayloadIds: [],
    })),
    additionalRelatedItems: [],
  };
}

function summaryOf(items: AnsweredItem[], outcome: Outcome): Record<string, Record<string, number>> {
  const summary: Record<string, Record<string, number>> = {};
  const of = (className: string): Record<string, number> =>
    (summary[className] ??= {
      inserted: 0,
      updated: 0,
      unchanged: 0,
      partial: 0,
      incomplete: 0,
      skipped: 0,
      warnings: 0,
      errors: 0,
      mergedPartialPayloads: 0,
      additionalInserted: 0,
    });
  const count = (className: string, name: string, by = 1): void => {
    const counts = of(className);
    counts[name] = (counts[name] ?? 0) + by;
  };
  for (const { plan, kind } of items) {
    const { className } = plan.item;
    if (kind === 'done') count(className, operationName(plan.operation));
    else if (kind === 'failed') count(className, 'errors', plan.errors.length);
    else count(className, kind);
    count(className, 'warnings', plan.warnings.length);
  }
  for (const related of outcome.related.values())
    for (const { className, operation } of related) count(className, operationName(operation));
  return summary;
}

function operationName(operation: string | undefined): string {
  return operation === 'INSERT' ? 'inserted' : operation === 'NO_CHANGE' ? 'unchanged' : 'updated';
}
