import { finalPlan, type ItemPlan, type PayloadPlan } from './plan-types.ts';

/** Partial items that hang together by relations share one partial payload; one larger than the limit is split (documented property). */
export function unfinishedGroups(plan: PayloadPlan, items: ItemPlan[], maxSize: number): ItemPlan[][] {
  const groupOf = new Map<ItemPlan, ItemPlan[]>(items.map((item) => [item, [item]]));
  for (const { relation } of plan.relations) {
    const parent = relation.parent === undefined ? undefined : finalPlan(plan, relation.parent.item);
    const child = relation.child === undefined ? undefined : finalPlan(plan, relation.child.item);
    const one = parent === undefined ? undefined : groupOf.get(parent);
    const other = child === undefined ? undefined : groupOf.get(child);
    if (one === undefined || other === undefined || one === other) continue;
    const [large, small] = one.length >= other.length ? [one, other] : [other, one];
    large.push(...small);
    for (const item of small) groupOf.set(item, large);
  }
  const size = Math.max(1, maxSize);
  return [...new Set(groupOf.values())].flatMap((group) =>
    Array.from({ length: Math.ceil(group.length / size) }, (_, part) => group.slice(part * size, (part + 1) * size)),
  );
}
