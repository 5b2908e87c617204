import type { Row } from '../store.ts';
import { dateTime } from '../values.ts';
import { sourceRecords } from './identify.ts';
import type { SourceInfo } from './payload.ts';
import type { IreCall, ItemPlan, RelationPlan } from './plan-types.ts';

/** Keeps sys_object_source: which record a source's native key stands for, and when the source saw it last. */
export function rememberSource(source: SourceInfo | undefined, target: { table: string; sysId: string }, call: IreCall): void {
  const { store, actor, properties } = call;
  if (source === undefined || source.name === '' || source.nativeKey === '') return;
  const existing = sourceRecords(store, source.name, source.nativeKey).find((record) => record.values['target_sys_id'] === target.sysId);
  const lastScan = source.recency === '' ? dateTime(store.clock.now()) : source.recency;
  const known = existing?.values['last_scan'] ?? '';
  const values = {
    name: source.name,
    id: source.nativeKey,
    source_feed: source.feed,
    target_table: target.table,
    target_sys_id: target.sysId,
    last_scan: properties.keepNewerScan && lastScan < known ? known : lastScan,
  };
  if (existing === undefined) store.insert('sys_object_source', values, actor);
  else store.update(existing, values, actor);
}

/** sys_rel_source: who reported a relation that no item depends on; the feed is UNKNOWN where the payload names none (documented). */
export function rememberRelationSource({ relation }: RelationPlan, row: Row, call: IreCall): void {
  const { store, actor, dataSource } = call;
  const name = relation.source.name === '' ? dataSource : relation.source.name;
  const feed = relation.source.feed === '' ? 'UNKNOWN' : relation.source.feed;
  const existing = store
    .equal('sys_rel_source', 'relationship', [row.sysId])
    .find(({ values }) => values['source_name'] === name && values['source_feed'] === feed);
  const values = { relationship: row.sysId, source_name: name, source_feed: feed, last_scan: dateTime(store.clock.now()) };
  if (existing === undefined) store.insert('sys_rel_source', values, actor);
  else store.update(existing, values, actor);
}

/** One open de-duplication task per main CI lists the set; it is made whether the set is handled or refused (servicenow.md §5.1). */
export function raiseDuplicateTask(plan: ItemPlan, call: IreCall): void {
  const { store, actor } = call;
  const members = plan.row === undefined ? plan.duplicates : [plan.row, ...plan.duplicates];
  const [main] = members.toSorted((left, right) =>
    (left.values['sys_created_on'] ?? '') < (right.values['sys_created_on'] ?? '') ? -1 : 1,
  );
  if (main === undefined || plan.duplicates.length === 0) return;
  const open = store.equal('reconcile_duplicate_task', 'cmdb_ci', [main.sysId]).find(({ values }) => values['active'] === 'true');
  const short = `Duplicate CIs of ${main.values['name'] ?? main.sysId} in ${main.table}`;
  const task = open ?? store.insert('reconcile_duplicate_task', { cmdb_ci: main.sysId, short_description: short, active: 'true' }, actor);
  const listed = new Set(store.equal('duplicate_audit_result', 'follow_on_task', [task.sysId]).map(({ values }) => values['duplicate_ci']));
  for (const { sysId } of members) {
    if (!listed.has(sysId)) store.insert('duplicate_audit_result', { follow_on_task: task.sysId, duplicate_ci: sysId }, actor);
  }
}

/** A class change that the instance does not allow becomes a task for a person. */
export function raiseReclassificationTask(plan: ItemPlan, call: IreCall): void {
  if (plan.refusedChange === undefined || plan.row === undefined) return;
  const { store, actor } = call;
  const { from, to } = plan.refusedChange;
  const isOpen = store
    .equal('reclassification_task', 'cmdb_ci', [plan.row.sysId])
    .some(({ values }) => values['active'] === 'true' && values['target_class'] === to);
  if (isOpen) return;
  store.insert(
    'reclassification_task',
    {
      cmdb_ci: plan.row.sysId,
      current_class: from,
      target_class: to,
      short_description: `Reclassify from ${from} to ${to}`,
      active: 'true',
    },
    actor,
  );
}
