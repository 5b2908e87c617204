import { newSysId, type Row, type Store } from '../store.ts';
import { dateTime, storedValue } from '../values.ts';
import { sourceRecords } from './identify.ts';
import { finalPlan, relationTypeId, type ItemPlan, type PayloadPlan, type RelationPlan } from './plan.ts';

export interface RelatedOutcome {
  className: string;
  operation: 'INSERT' | 'UPDATE' | 'NO_CHANGE' | undefined;
  sysId: string | undefined;
}

export interface Outcome {
  relations: { plan: RelationPlan; operation: 'INSERT' | 'NO_CHANGE' | undefined; sysId: string | undefined }[];
  /** By item index. */
  related: Map<number, RelatedOutcome[]>;
  /** Records written, for the latency model. */
  writes: number;
}

/** Carries out a plan, or (simulated) says what would happen without writing anything. */
export function commitPlan(plan: PayloadPlan, store: Store, actor: string, simulate: boolean): Outcome {
  const outcome: Outcome = { relations: [], related: new Map(), writes: 0 };
  for (const item of plan.items) {
    if (item.operation === undefined || item.mergedInto !== undefined) continue;
    if (!simulate) commitItem(item, store, actor);
    outcome.writes += simulate ? 0 : 1;
    if (item.item.related.length > 0) outcome.related.set(item.item.index, relatedItems(item, store, actor, simulate));
  }
  for (const relation of plan.relations) outcome.relations.push(commitRelation(relation, plan, store, actor, simulate));
  return outcome;
}

function commitItem(plan: ItemPlan, store: Store, actor: string): void {
  if (plan.row === undefined) {
    plan.row = store.insert(plan.item.className, plan.values, actor, { sysId: plan.sysId });
  } else {
    if (plan.operation?.startsWith('UPDATE_WITH_') === true) store.reclassify(plan.row, plan.item.className, actor);
    store.update(plan.row, plan.values, actor);
    for (const duplicate of plan.duplicates) store.update(duplicate, { duplicate_of: plan.row.sysId }, actor);
  }
  rememberSource(plan, plan.row, store, actor);
}

function rememberSource(plan: ItemPlan, row: Row, store: Store, actor: string): void {
  const { source } = plan.item;
  if (source === undefined || source.name === '' || source.nativeKey === '') return;
  const values = {
    name: source.name,
    id: source.nativeKey,
    source_feed: source.feed,
    target_table: row.table,
    target_sys_id: row.sysId,
    last_scan: source.recency === '' ? dateTime(store.clock.now()) : source.recency,
  };
  const existing = sourceRecords(store, source.name, source.nativeKey).find((record) => record.values['target_sys_id'] === row.sysId);
  if (existing === undefined) store.insert('sys_object_source', values, actor);
  else store.update(existing, values, actor);
}

function commitRelation(
  plan: RelationPlan,
  payload: PayloadPlan,
  store: Store,
  actor: string,
  simulate: boolean,
): Outcome['relations'][number] {
  const { relation, errors } = plan;
  const parent = endOf(payload, relation.parent);
  const child = endOf(payload, relation.child);
  const type = relationTypeId(store, relation.type);
  if (payload.refused || errors.length > 0 || parent === undefined || child === undefined || type === undefined) {
    return { plan, operation: undefined, sysId: undefined };
  }
  const existing = store
    .equal('cmdb_rel_ci', 'parent', [parent.sysId])
    .find(({ values }) => values['child'] === child.sysId && values['type'] === type);
  if (existing !== undefined) return { plan, operation: 'NO_CHANGE', sysId: existing.sysId };
  if (simulate) return { plan, operation: 'INSERT', sysId: undefined };
  const row = store.insert('cmdb_rel_ci', { parent: parent.sysId, child: child.sysId, type }, actor);
  return { plan, operation: 'INSERT', sysId: row.sysId };
}

function endOf(payload: PayloadPlan, index: number | undefined): ItemPlan | undefined {
  const plan = index === undefined ? undefined : payload.items[index];
  return plan === undefined ? undefined : finalPlan(payload.items, plan);
}

/** Related items hang on the record by the column that the rule's related entry names; the first other column tells them apart. */
function relatedItems(plan: ItemPlan, store: Store, actor: string, simulate: boolean): RelatedOutcome[] {
  return plan.item.related.map(({ className, values }) => {
    const table = store.schema.get(className);
    const reference = plan.rule?.related.get(className);
    if (table === undefined || reference === undefined) return { className, operation: undefined, sysId: undefined };
    const written: Record<string, string> = { [reference]: plan.sysId };
    for (const [name, value] of Object.entries(values)) {
      const column = table.columns.get(name);
      if (column !== undefined && !name.startsWith('sys_')) written[name] = storedValue(column, value);
    }
    const key = Object.keys(values).find((name) => table.columns.has(name)) ?? '';
    const existing = store.equal(className, reference, [plan.sysId]).find((row) => row.values[key] === written[key]);
    if (existing === undefined) {
      const sysId = newSysId();
      if (!simulate) store.insert(className, written, actor, { sysId });
      return { className, operation: 'INSERT' as const, sysId };
    }
    const changes = Object.entries(written).some(([name, value]) => (existing.values[name] ?? '') !== value);
    if (changes && !simulate) store.update(existing, written, actor);
    return { className, operation: changes ? ('UPDATE' as const) : ('NO_CHANGE' as const), sysId: existing.sysId };
  });
}
