import { messages } from './messages.ts';
import { finalPlan, hostsFirst, type IreCall, type ItemPlan, type PayloadPlan, type SubPlan } from './plan-types.ts';
import type { PayloadItem, SourceInfo } from './payload.ts';

/** An identifying set of values of an item, with the columns it is made of. */
interface IdentityKey {
  key: string;
  fields: string[];
}

/** Every complete set of criterion values of an item; dependent items include their host. */
export function identityKeys(plan: PayloadPlan, item: ItemPlan): IdentityKey[] {
  const { rule } = item;
  if (rule === undefined) return [];
  const host = item.host === undefined ? '' : String(finalPlan(plan, item.host.index)?.item.index ?? '');
  return rule.entries.flatMap(({ kind, attributes }) => {
    if (kind !== 'regular') return [];
    const values = attributes.map((name) => (name === 'sys_class_name' ? item.item.className : (item.item.values[name] ?? '')));
    if (values.includes('')) return [];
    return [{ key: JSON.stringify([rule.appliesTo, host, attributes, values.map((value) => value.toLowerCase())]), fields: attributes }];
  });
}

/** The key of an item by its source, where it gives one. */
export function sourceKey(source: SourceInfo | undefined): string | undefined {
  return source === undefined || source.name === '' || source.nativeKey === ''
    ? undefined
    : JSON.stringify([source.name, source.nativeKey.toLowerCase()]);
}

/**
 * Items that would be the same record, by any of the class's identifiers: the plain endpoint rejects the whole payload, the enhanced
 * one merges them (servicenow.md §5.1). Hosts come first, so that what hangs on merged hosts is compared under the one that stays.
 */
export function findDuplicates(plan: PayloadPlan, call: IreCall): void {
  const seen = new Map<string, ItemPlan>();
  for (const item of hostsFirst(plan)) {
    const keys = identityKeys(plan, item);
    const bySource = sourceKey(item.item.source);
    if (call.deduplicate && bySource !== undefined) keys.push({ key: `source ${bySource}`, fields: [] });
    const twin = keys.find(({ key }) => seen.has(key));
    const first = twin === undefined ? undefined : seen.get(twin.key);
    if (first === undefined || twin === undefined) {
      for (const { key } of keys) seen.set(key, item);
      continue;
    }
    if (call.deduplicate) {
      mergeItems(first, item, call);
      for (const { key } of keys) seen.set(key, first);
      continue;
    }
    const error = messages.duplicates(first.item.index, item.item.index, item.item.className, twin.fields);
    first.errors.push(error);
    item.errors.push(error);
  }
}

function mergeItems(first: ItemPlan, twin: ItemPlan, call: IreCall): void {
  first.inputIndices.push(...twin.inputIndices);
  first.mergedPayloadIds.push(...twin.mergedPayloadIds);
  first.isAdditional &&= twin.isAdditional;
  twin.mergedInto = first.item.index;
  first.item = mergedItem(first.item, twin.item, call);
}

/** Later values win, unless both name a moment and the later one is older; the more special class stays. */
export function mergedItem(first: PayloadItem, second: PayloadItem, { store }: IreCall): PayloadItem {
  const isOlder = (second.source?.recency ?? '') !== '' && (second.source?.recency ?? '') < (first.source?.recency ?? '');
  return {
    ...first,
    className: store.schema.isA(second.className, first.className) ? second.className : first.className,
    values: isOlder ? { ...second.values, ...first.values } : { ...first.values, ...second.values },
    lookup: [...first.lookup, ...second.lookup],
    related: [...first.related, ...second.related],
    source: isOlder ? first.source : (second.source ?? first.source),
  };
}

/** Look-up and related records that are the same one; answers those that stay. */
export function mergedSubs(item: ItemPlan, subs: SubPlan[], call: IreCall): SubPlan[] {
  const seen = new Map<string, SubPlan>();
  return subs.filter((plan) => {
    const { sub, attributes, kind } = plan;
    const values = attributes.map((name) => plan.values[name] ?? '');
    if (attributes.length === 0 || values.includes('')) return true;
    const key = JSON.stringify([kind, sub.className, values.map((value) => value.toLowerCase())]);
    const first = seen.get(key);
    if (first === undefined) {
      seen.set(key, plan);
      return true;
    }
    if (call.deduplicate) {
      first.subIndices.push(...plan.subIndices);
      return false;
    }
    const list = kind === 'lookup' ? item.item.lookup : item.item.related;
    const [one, other] = [list.indexOf(first.sub), list.indexOf(sub)];
    item.errors.push(messages.duplicateSubItems(kind === 'lookup' ? 'Lookup' : 'Related', one, other, item.item.index, attributes));
    return true;
  });
}
