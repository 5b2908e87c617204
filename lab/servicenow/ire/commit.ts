import type { Row, Store } from '../store.ts';
import { messages, quoted } from './messages.ts';
import type { ItemRef } from './payload.ts';
import { finalPlan, hostsFirst, type IreCall, type ItemPlan, type PayloadPlan, type RelationPlan } from './plan-types.ts';
import { rememberWriter } from './reconcile.ts';
import { raiseDuplicateTask, raiseReclassificationTask, rememberRelationSource, rememberSource } from './sources.ts';
import { commitSubs } from './sub-items.ts';

export interface RelationOutcome {
  plan: RelationPlan;
  operation: 'INSERT' | 'NO_CHANGE' | undefined;
  sysId: string | undefined;
}

export interface Outcome {
  relations: RelationOutcome[];
  /** Records written, for the latency model. */
  writes: number;
}

/** Carries out a plan, or (simulated) says what would happen without writing anything. */
export function commitPlan(plan: PayloadPlan, call: IreCall): Outcome {
  const outcome: Outcome = { relations: [], writes: 0 };
  for (const item of hostsFirst(plan)) {
    if (item.mergedInto !== undefined) continue;
    if (!call.simulate) raiseTasks(item, call);
    if (item.operation !== undefined) outcome.writes += commitItem(item, plan, call);
  }
  for (const relation of plan.relations) {
    if (relation.isMerged) continue;
    const committed = commitRelation(relation, plan, call);
    if (committed.operation === 'INSERT' && !call.simulate) outcome.writes += 1;
    outcome.relations.push(committed);
  }
  if (!call.simulate) commitReferences(plan, call.store, call.actor);
  return outcome;
}

function raiseTasks(item: ItemPlan, call: IreCall): void {
  raiseDuplicateTask(item, call);
  raiseReclassificationTask(item, call);
}

/** Writes one item; a record that the instance refuses fails that item, and what hangs on it is abandoned. Returns the records written. */
function commitItem(item: ItemPlan, plan: PayloadPlan, call: IreCall): number {
  if (call.simulate) return commitSubs(item, call);
  const host = item.host === undefined ? undefined : finalPlan(plan, item.host.index);
  if (host !== undefined && host.operation === undefined) {
    item.operation = undefined;
    item.errors.push(messages.abandoned(quoted(item.item, call.quoting), quoted(host.item, call.quoting)));
    return 0;
  }
  try {
    const row = writeItem(item, call);
    rememberSource(item.item.source, row, call);
    rememberWriter(item, row, call);
    const writes = 1 + commitSubs(item, call);
    for (const { sub, sysId } of item.subs) if (sysId !== undefined) rememberSource(sub.source, { table: sub.className, sysId }, call);
    return writes;
  } catch (error) {
    item.operation = undefined;
    item.errors.push(messages.insertFailed(item.className, Error.isError(error) ? error.message : String(error)));
    return 0;
  }
}

function writeItem(item: ItemPlan, { store, actor }: IreCall): Row {
  if (item.row === undefined) {
    item.row = store.insert(item.className, item.values, actor, { sysId: item.sysId });
    return item.row;
  }
  if (item.row.table !== item.className) store.reclassify(item.row, item.className, actor);
  store.update(item.row, item.values, actor);
  for (const duplicate of item.duplicates) store.update(duplicate, { duplicate_of: item.row.sysId }, actor);
  return item.row;
}

function commitRelation(plan: RelationPlan, payload: PayloadPlan, call: IreCall): RelationOutcome {
  const { relation } = plan;
  const parent = endOf(payload, relation.parent);
  const child = endOf(payload, relation.child);
  const [type] = call.rules.relationTypes(relation.type);
  if (payload.refused || plan.errors.length > 0 || parent === undefined || child === undefined || type === undefined) {
    return { plan, operation: undefined, sysId: undefined };
  }
  const existing = parent.isNew || child.isNew ? undefined : existingRelation(plan, payload, parent.sysId, child.sysId, type, call.store);
  if (existing !== undefined) {
    if (!plan.isDependency && !call.simulate) rememberRelationSource(plan, existing, call);
    return { plan, operation: 'NO_CHANGE', sysId: existing.sysId };
  }
  if (call.simulate) return { plan, operation: 'INSERT', sysId: undefined };
  const row = call.store.insert('cmdb_rel_ci', { parent: parent.sysId, child: child.sysId, type }, call.actor);
  if (!plan.isDependency) rememberRelationSource(plan, row, call);
  return { plan, operation: 'INSERT', sysId: row.sysId };
}

/** Looked for from the dependent end, which has few relations: a host may have thousands. */
function existingRelation(
  { relation }: RelationPlan,
  payload: PayloadPlan,
  parent: string,
  child: string,
  type: string,
  store: Store,
): Row | undefined {
  const dependentIsChild = payload.items[relation.child?.item ?? -1]?.host?.relation === relation;
  const [end, sysId] = dependentIsChild ? (['child', child] as const) : (['parent', parent] as const);
  return store
    .equal('cmdb_rel_ci', end, [sysId])
    .find(({ values }) => values['parent'] === parent && values['child'] === child && values['type'] === type);
}

function endOf(payload: PayloadPlan, ref: ItemRef | undefined): { sysId: string; isNew: boolean } | undefined {
  const item = ref === undefined ? undefined : finalPlan(payload, ref.item);
  if (item?.operation === undefined || ref === undefined) return undefined;
  if (ref.sub === undefined) return { sysId: item.sysId, isNew: item.operation === 'INSERT' };
  const sub = item.subs.find((plan) => plan.sub === ref.sub);
  return sub?.sysId === undefined ? undefined : { sysId: sub.sysId, isNew: sub.operation === 'INSERT' };
}

/** References to look-up and related records, which have a sys_id only now. */
function commitReferences(plan: PayloadPlan, store: Store, actor: string): void {
  for (const { referenced, referencedBy, field } of plan.references) {
    if (referenced.sub === undefined) continue;
    const target = endOf(plan, referenced);
    const holder = endOf(plan, referencedBy);
    if (target === undefined || holder === undefined) continue;
    const table = referencedBy.sub?.className ?? finalPlan(plan, referencedBy.item)?.className ?? '';
    const row = store.schema.get(table)?.columns.has(field) === true ? store.find(table, holder.sysId) : undefined;
    if (row !== undefined) store.update(row, { [field]: target.sysId }, actor);
  }
}
