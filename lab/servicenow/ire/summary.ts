import { subKindOf, type OutcomeKind } from './kinds.ts';
import type { ItemPlan } from './plan-types.ts';

const NAMES = [
  'inserted',
  'updated',
  'unchanged',
  'partial',
  'incomplete',
  'skipped',
  'warnings',
  'errors',
  'mergedPartialPayloads',
  'additionalInserted',
] as const;
type Name = (typeof NAMES)[number];

/** Counts by class, for `generate_summary:true` (identifyreconcile_enhanced_generate_summary_insert.json). */
export function summaryOf(items: ItemPlan[], kinds: Map<ItemPlan, OutcomeKind>): Record<string, Record<Name, number>> {
  const summary: Record<string, Record<Name, number>> = {};
  const count = (className: string, name: Name, by = 1): void => {
    const counts = (summary[className] ??= Object.fromEntries(NAMES.map((known) => [known, 0])) as Record<Name, number>);
    counts[name] += by;
  };
  for (const item of items) {
    const kind = kinds.get(item) ?? 'failed';
    const className = kind === 'done' ? item.className : item.item.className;
    if (kind === 'done') count(className, item.isAdditional && item.operation === 'INSERT' ? 'additionalInserted' : nameOf(item.operation));
    else if (kind !== 'failed') count(className, kind);
    count(className, 'errors', kind === 'partial' ? 0 : item.errors.length);
    count(className, 'warnings', item.warnings.length + (kind === 'partial' ? item.errors.length : 0));
    count(className, 'skipped', item.info.length);
    if (kind === 'done') count(className, 'mergedPartialPayloads', item.mergedPayloadIds.length);
    for (const sub of item.subs) {
      const subKind = subKindOf(sub);
      if (subKind === 'done') count(sub.sub.className, nameOf(sub.operation));
      else if (subKind !== 'failed') count(sub.sub.className, subKind);
    }
  }
  return summary;
}

function nameOf(operation: string | undefined): Name {
  return operation === 'INSERT' ? 'inserted' : operation === 'NO_CHANGE' ? 'unchanged' : 'updated';
}
