import type { Row } from '../store.ts';
import { messages } from './messages.ts';
import type { SubItem } from './payload.ts';
import type { IreCall, ItemPlan } from './plan-types.ts';
import type { IdentifierEntry } from './rules.ts';

/**
 * The CIs that the item's look-up records point to. With an exact count every one of them must point to the CI, else the CIs with
 * the most of them are taken (documentation of CI identification rules, look-up entries).
 */
export function matchByLookup(plan: ItemPlan, entry: IdentifierEntry, call: IreCall): Row[] {
  const lookups = plan.item.lookup.filter((sub) => sub.className === entry.table && isUsable(sub, entry));
  const hits = new Map<string, number>();
  for (const lookup of lookups) for (const target of targetsOf(lookup, entry, call)) hits.set(target, (hits.get(target) ?? 0) + 1);
  const wanted = entry.exactCount ? lookups.length : Math.max(0, ...hits.values());
  return [...hits].flatMap(([sysId, count]) => {
    if (count < wanted) return [];
    const row = call.store.find(plan.rule?.appliesTo ?? '', sysId);
    if (row === undefined) {
      // The look-up record is there, the CI it names is gone.
      if (call.store.find('cmdb', sysId) === undefined) plan.errors.push(messages.matchedRecordGone(sysId, plan.item.className));
      return [];
    }
    return (row.values['duplicate_of'] ?? '') === '' ? [row] : [];
  });
}

function isUsable(sub: SubItem, { attributes }: IdentifierEntry): boolean {
  return attributes.every((name) => (sub.values[name] ?? '') !== '');
}

function targetsOf(lookup: SubItem, { table, attributes, reference }: IdentifierEntry, { store }: IreCall): Set<string> {
  const [first = '', ...rest] = attributes.toSorted(
    (left, right) => (lookup.values[right] ?? '').length - (lookup.values[left] ?? '').length,
  );
  const same = (row: Row, name: string): boolean => (row.values[name] ?? '').toLowerCase() === (lookup.values[name] ?? '').toLowerCase();
  const rows = store.equal(table, first, [lookup.values[first] ?? '']).filter((row) => rest.every((name) => same(row, name)));
  return new Set(rows.map(({ values }) => values[reference] ?? '').filter((sysId) => sysId !== ''));
}
