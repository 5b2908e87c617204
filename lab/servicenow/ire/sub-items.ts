import { newSysId, type Row } from '../store.ts';
import { storedValue } from '../values.ts';
import { mergedSubs } from './duplicates.ts';
import { messages, quoted } from './messages.ts';
import type { IreCall, ItemPlan, SubPlan } from './plan-types.ts';

/**
 * Prepares an item's look-up and related records: what they refer to the CI by, what tells them apart, what is missing.
 * Look-up records are numbered first (a payload with both kinds was not recorded).
 */
export function planSubs(plan: ItemPlan, call: IreCall): void {
  const { item, rule } = plan;
  if (rule === undefined) return;
  const lookups = item.lookup.map((sub, index): SubPlan => {
    const entry = rule.entries.find(({ kind, table }) => kind !== 'regular' && table === sub.className);
    return { ...emptySub('lookup', sub, index), reference: entry?.reference ?? '', attributes: entry?.attributes ?? [] };
  });
  const related = item.related.map((sub, index): SubPlan => {
    const found = rule.related.get(sub.className);
    const first = Object.keys(sub.values).find((name) => call.store.schema.get(sub.className)?.columns.has(name) === true);
    const attributes = found === undefined || found.attributes.length > 0 ? (found?.attributes ?? []) : first === undefined ? [] : [first];
    return { ...emptySub('related', sub, item.lookup.length + index), reference: found?.reference ?? '', attributes };
  });
  plan.subs = [...lookups, ...related];
  for (const sub of plan.subs) fillValues(sub, call);
  plan.subs = mergedSubs(plan, plan.subs, call);
  for (const sub of plan.subs) checkSub(plan, sub, call);
}

function emptySub(kind: SubPlan['kind'], sub: SubPlan['sub'], subIndex: number): Omit<SubPlan, 'reference' | 'attributes'> {
  return { kind, sub, subIndices: [subIndex], values: {}, errors: [], operation: undefined, sysId: undefined };
}

function fillValues(plan: SubPlan, { store }: IreCall): void {
  const table = store.schema.get(plan.sub.className);
  for (const [name, value] of Object.entries(plan.sub.values)) {
    const column = table?.columns.get(name);
    if (column !== undefined && !name.startsWith('sys_')) plan.values[name] = storedValue(column, value);
  }
}

/** A related record needs what tells it apart. On the enhanced endpoints it alone fails (script_api_related_item_insert_as_partial.json). */
function checkSub(plan: ItemPlan, sub: SubPlan, call: IreCall): void {
  if (sub.kind === 'lookup') return;
  const isComplete = sub.attributes.length > 0 && sub.attributes.every((name) => (sub.values[name] ?? '') !== '');
  if (isComplete) return;
  const error = messages.missingAttributes(sub.sub.className, quoted(sub.sub, call.quoting));
  (call.partialCommits ? sub.errors : plan.errors).push(error);
}

/** Finds or makes the records; simulated, it says what would be done. Returns the number of records written. */
export function commitSubs(plan: ItemPlan, call: IreCall): number {
  let writes = 0;
  for (const sub of plan.subs) {
    if (sub.errors.length > 0 || sub.reference === '') continue;
    const isWritten = commitSub(plan, sub, call);
    if (isWritten && !call.simulate) writes += 1;
  }
  return writes;
}

function commitSub(plan: ItemPlan, sub: SubPlan, { store, actor, simulate }: IreCall): boolean {
  const { className } = sub.sub;
  const values = { ...sub.values, [sub.reference]: plan.sysId };
  const same = (row: Row): boolean =>
    sub.attributes.every((name) => (row.values[name] ?? '').toLowerCase() === (values[name] ?? '').toLowerCase());
  const existing = plan.operation === 'INSERT' ? undefined : store.equal(className, sub.reference, [plan.sysId]).find((row) => same(row));
  if (existing === undefined) {
    sub.operation = 'INSERT';
    sub.sysId = newSysId();
    if (!simulate) store.insert(className, values, actor, { sysId: sub.sysId });
    return true;
  }
  sub.sysId = existing.sysId;
  const isChanged = Object.entries(values).some(([name, value]) => (existing.values[name] ?? '') !== value);
  sub.operation = isChanged ? 'UPDATE' : 'NO_CHANGE';
  if (isChanged && !simulate) store.update(existing, values, actor);
  return isChanged;
}
