import { createHash } from 'node:crypto';
import { newSysId, type Row, type Store } from '../store.ts';
import { dateTime } from '../values.ts';
import { identityKeys, mergedItem, sourceKey } from './duplicates.ts';
import { kindOf } from './kinds.ts';
import { parsePayload, type PayloadItem } from './payload.ts';
import { emptyPlan, relationPlan } from './plan.ts';
import { finalPlan, type IreCall, type ItemPlan, type PayloadPlan } from './plan-types.ts';
import { unfinishedGroups } from './partial-groups.ts';

const PARTIALS = 'cmdb_ire_partial_payloads';
const INDEX = 'cmdb_ire_partial_payloads_index';
/** Documented: older partial payloads are deleted. */
const LIFE_MS = 90 * 86_400_000;

/**
 * Lets stored partial payloads join the items they belong to, found by their identifier keys. What else a partial payload holds comes
 * along as additional items. Answers the rows that have been taken up: once committed they are replaced by what came of them.
 */
export function joinPartials(plan: PayloadPlan, call: IreCall): Row[] {
  const joined = new Map<string, Row>();
  if (call.store.count(PARTIALS) === 0) return [];
  const oldest = oldestLiving(call.store);
  // Items that join may have further partial payloads of their own; the list grows while it is walked.
  for (const item of plan.items) {
    for (const key of keysOf(item.item, call)) {
      for (const { values } of call.store.equal(INDEX, 'identifier_key', [key])) {
        const row = call.store.find(PARTIALS, values['partial_payload'] ?? '');
        if (row === undefined || joined.has(row.sysId) || (row.values['sys_created_on'] ?? '') < oldest) continue;
        joined.set(row.sysId, row);
        join(plan, item, row, call);
      }
    }
  }
  return [...joined.values()];
}

function join(plan: PayloadPlan, item: ItemPlan, row: Row, call: IreCall): void {
  const stored = parsePayload(JSON.parse(row.values['payload'] ?? '{}'));
  const keys = new Set(keysOf(item.item, call));
  const places = new Map<number, number>();
  for (const old of stored.items) {
    if (keysOf(old, call).some((key) => keys.has(key))) {
      const { index, internalId, settings } = item.item;
      item.item = { ...mergedItem(old, item.item, call), index, internalId, settings };
      item.className = item.item.className;
      places.set(old.index, index);
    } else {
      const index = plan.items.length;
      plan.items.push(emptyPlan({ ...old, index }, true));
      places.set(old.index, index);
    }
  }
  item.mergedPayloadIds.push(row.sysId);
  for (const relation of stored.relations) {
    const parent = places.get(relation.parent?.item ?? -1);
    const child = places.get(relation.child?.item ?? -1);
    if (parent === undefined || child === undefined) continue;
    const moved = { ...relation, index: plan.relations.length, parent: { item: parent }, child: { item: child } };
    plan.relations.push(relationPlan(moved, call, true));
  }
}

/** Keys by source for every item, by identifier for independent ones: a dependent record is the same only under its host. */
function keysOf(item: PayloadItem, call: IreCall): string[] {
  const rule = call.rules.ruleFor(item.className);
  const bySource = sourceKey(item.source);
  const byIdentifier =
    rule?.independent === true
      ? identityKeys({ items: [], relations: [], references: [], refused: false }, { ...emptyPlan(item), rule })
      : [];
  return [...(bySource === undefined ? [] : [`source ${bySource}`]), ...byIdentifier.map(({ key }) => key)].map((key) =>
    createHash('sha256').update(key).digest('hex'),
  );
}

/** Keeps what could not be committed. Answers the sys_ids by item; a simulation invents them (identifyreconcile_queryenhanced_insert_as_partial.json). */
export function keepUnfinished(plan: PayloadPlan, joined: Row[], call: IreCall): Map<ItemPlan, string[]> {
  const kept = new Map<ItemPlan, string[]>();
  if (!call.simulate) for (const row of joined) deletePartial(call.store, row);
  const unfinished = plan.items.filter((item) => item.mergedInto === undefined);
  const partial = unfinished.filter((item) => kindOf(plan, item, call) === 'partial');
  for (const group of unfinishedGroups(plan, partial, call.properties.partialItemsMaxSize)) {
    const sysId = keepPartial(group, plan, call);
    for (const item of group) kept.set(item, [sysId]);
  }
  for (const item of unfinished) {
    if (item.isAdditional || kindOf(plan, item, call) !== 'incomplete') continue;
    kept.set(item, [keep('cmdb_ire_incomplete_payloads', [item], { items: [rawOf(item.item)], relations: [] }, call)]);
  }
  if (!call.simulate) keepSubs(plan, call);
  return kept;
}

function keepPartial(group: ItemPlan[], plan: PayloadPlan, call: IreCall): string {
  const places = new Map(group.map((item, place) => [item, place]));
  const relations = plan.relations.flatMap(({ relation, isMerged }) => {
    const parent = relation.parent === undefined ? undefined : finalPlan(plan, relation.parent.item);
    const child = relation.child === undefined ? undefined : finalPlan(plan, relation.child.item);
    if (isMerged || parent === undefined || child === undefined || !places.has(parent) || !places.has(child)) return [];
    return [{ parent: places.get(parent), child: places.get(child), type: relation.type }];
  });
  const sysId = keep(PARTIALS, group, { items: group.map(({ item }) => rawOf(item)), relations }, call);
  if (call.simulate) return sysId;
  for (const { item } of group)
    for (const key of keysOf(item, call)) call.store.insert(INDEX, { partial_payload: sysId, identifier_key: key }, call.actor);
  return sysId;
}

function keep(table: string, group: ItemPlan[], payload: object, { store, simulate, dataSource, actor }: IreCall): string {
  const sysId = newSysId();
  if (simulate) return sysId;
  const [first] = group;
  const values = {
    class_name: first?.item.className ?? '',
    payload: JSON.stringify(payload),
    data_source: dataSource,
    error_code: first?.errors[0]?.error ?? '',
  };
  store.insert(table, values, actor, { sysId });
  return sysId;
}

/** Related records that fail by themselves are kept too; the lab does not complete those later (not recorded). */
function keepSubs(plan: PayloadPlan, call: IreCall): void {
  for (const { subs, operation } of plan.items) {
    for (const { sub, errors } of operation === undefined ? [] : subs) {
      if (errors.length === 0) continue;
      const table = sourceKey(sub.source) === undefined ? 'cmdb_ire_incomplete_payloads' : PARTIALS;
      const values = {
        class_name: sub.className,
        payload: JSON.stringify({ items: [{ className: sub.className, values: sub.values }] }),
        data_source: call.dataSource,
        error_code: errors[0]?.error ?? '',
      };
      call.store.insert(table, values, call.actor);
    }
  }
}

function rawOf({ className, internalId, values, lookup, related, source }: PayloadItem): object {
  return {
    className,
    ...(internalId === undefined ? {} : { internal_id: internalId }),
    values,
    ...(lookup.length === 0 ? {} : { lookup: lookup.map(rawSub) }),
    ...(related.length === 0 ? {} : { related: related.map(rawSub) }),
    ...(source === undefined ? {} : { sys_object_source_info: rawSource(source) }),
  };
}

function rawSub({ className, values, source }: PayloadItem['lookup'][number]): object {
  return { className, values, ...(source === undefined ? {} : { sys_object_source_info: rawSource(source) }) };
}

function rawSource({ name, nativeKey, feed, recency }: NonNullable<PayloadItem['source']>): object {
  return { source_name: name, source_native_key: nativeKey, source_feed: feed, source_recency_timestamp: recency };
}

/** Deletes partial payloads that nobody completed within 90 days of lab time. */
export function purgePartials(store: Store): void {
  const oldest = oldestLiving(store);
  const expired: Row[] = [];
  // In the order they came: the first living one ends it.
  for (const row of store.rows(PARTIALS)) {
    if ((row.values['sys_created_on'] ?? '') >= oldest) break;
    expired.push(row);
  }
  for (const row of expired) deletePartial(store, row);
}

function oldestLiving(store: Store): string {
  return dateTime(new Date(store.clock.nowMs() - LIFE_MS));
}

/** Another payload may have taken it up while this one waited for a lock. */
function deletePartial(store: Store, row: Row): void {
  if (store.find(PARTIALS, row.sysId) === undefined) return;
  for (const entry of store.equal(INDEX, 'partial_payload', [row.sysId])) store.delete(entry);
  store.delete(row);
}
