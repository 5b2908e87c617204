import type { FaultBook } from '../../kit/faults.ts';
import { newSysId, type Row, type Store } from '../store.ts';
import { dateTime, storedValue } from '../values.ts';
import { messages, quoted, type IreMessage } from './messages.ts';
import { findHost, type Host } from './dependency.ts';
import { identify, type Attempt } from './identify.ts';
import type { Payload, PayloadItem, PayloadRelation } from './payload.ts';
import { identifierRuleFor, type IdentifierRule } from './rules.ts';

export type Operation = 'INSERT' | 'UPDATE' | 'NO_CHANGE' | 'UPDATE_WITH_UPGRADE' | 'UPDATE_WITH_DOWNGRADE' | 'UPDATE_WITH_SWITCH';

/** What is to happen with one item. Nothing is written while planning, so that a simulation is a plan without its commit. */
export interface ItemPlan {
  item: PayloadItem;
  /** Items of the payload that this one stands for: itself and merged duplicates. */
  inputIndices: number[];
  state: 'new' | 'planning' | 'done';
  rule: IdentifierRule | undefined;
  host: Host | undefined;
  operation: Operation | undefined;
  /** The matched record. */
  row: Row | undefined;
  /** Of the matched record, or of the one to be inserted. */
  sysId: string;
  /** Further records that matched: they will point to the chosen one. */
  duplicates: Row[];
  entrySysId: string;
  attempts: Attempt[];
  errors: IreMessage[];
  warnings: IreMessage[];
  info: { code: string; message: string }[];
  values: Record<string, string>;
  mergedInto: number | undefined;
}

export interface RelationPlan {
  relation: PayloadRelation;
  errors: IreMessage[];
}

export interface PayloadPlan {
  items: ItemPlan[];
  relations: RelationPlan[];
  /** The whole payload is refused: nothing is committed. */
  refused: boolean;
}

export interface PlanOptions {
  store: Store;
  faults: FaultBook;
  dataSource: string;
  enhanced: boolean;
  deduplicate: boolean;
}

/** Plans a payload: validation, dependencies, identification, what would be written (servicenow.md §5.1). */
export function planPayload(payload: Payload, options: PlanOptions): PayloadPlan {
  const items = payload.items.map(emptyPlan);
  const relations = payload.relations.map((relation) => ({ relation, errors: relationErrors(relation, options.store) }));
  const plan: PayloadPlan = { items, relations, refused: false };
  const sourceError = dataSourceError(options);
  if (sourceError !== undefined) {
    for (const item of items) item.errors.push(sourceError);
    plan.refused = true;
    return plan;
  }
  for (const item of items) item.rule = identifierRuleFor(options.store, item.item.className);
  for (const item of items) resolveHost(item, plan, options);
  findDuplicates(plan, options);
  if (plan.refused) return plan;
  for (const item of items) planItem(item, plan, options);
  for (const { relation, errors } of relations) {
    const failed = [relation.parent, relation.child]
      .map((end) => (end === undefined ? undefined : items[end]))
      .find((end) => end !== undefined && finalPlan(items, end).operation === undefined);
    if (failed !== undefined) errors.push(messages.abandonedRelation(quoted(failed.item, options.dataSource)));
  }
  return plan;
}

/** The plan that stands for an item: the one it was merged into, or itself. */
export function finalPlan(items: ItemPlan[], plan: ItemPlan): ItemPlan {
  return plan.mergedInto === undefined ? plan : (items[plan.mergedInto] ?? plan);
}

function emptyPlan(item: PayloadItem): ItemPlan {
  return {
    item,
    inputIndices: [item.index],
    state: 'new',
    rule: undefined,
    host: undefined,
    operation: undefined,
    row: undefined,
    sysId: '',
    duplicates: [],
    entrySysId: 'Unknown',
    attempts: [],
    errors: [],
    warnings: [],
    info: [],
    values: {},
    mergedInto: undefined,
  };
}

function dataSourceError({ store, dataSource }: PlanOptions): IreMessage | undefined {
  if (dataSource === '') return messages.noSource();
  // Case-exact (servicenow.md §5.1, pitfalls).
  const isKnown = store
    .equal('sys_choice', 'name', ['cmdb_ci'])
    .some(({ values }) => values['element'] === 'discovery_source' && values['value'] === dataSource && values['inactive'] !== 'true');
  return isKnown ? undefined : messages.unknownSource(dataSource);
}

function relationErrors(relation: PayloadRelation, store: Store): IreMessage[] {
  const errors: IreMessage[] = [];
  const text = JSON.stringify(relation.raw);
  if (relation.parent === undefined) errors.push(messages.badIndex(text, 'parent', indexText(relation.raw, 'parent')));
  if (relation.child === undefined) errors.push(messages.badIndex(text, 'child', indexText(relation.raw, 'child')));
  if (relationTypeId(store, relation.type) === undefined) errors.push(messages.unknownRelationType(relation.type));
  return errors;
}

function indexText(raw: Record<string, unknown>, end: 'parent' | 'child'): string {
  return JSON.stringify(raw[`${end}_id`] ?? raw[end] ?? null).replaceAll('"', '');
}

/** The sys_id of a relation type by its name. */
export function relationTypeId(store: Store, name: string): string | undefined {
  return store.equal('cmdb_rel_type', 'name', [name])[0]?.sysId;
}

function resolveHost(plan: ItemPlan, payload: PayloadPlan, options: PlanOptions): void {
  if (plan.rule === undefined || plan.rule.independent) return;
  const found = findHost(
    plan.item,
    payload.relations,
    payload.items.map(({ item }) => item),
    options.store,
    options.dataSource,
  );
  if ('error' in found) plan.errors.push(found);
  else plan.host = found;
}

/** Items that would be the same record: same rule, same identifying values, same host. */
function findDuplicates(plan: PayloadPlan, options: PlanOptions): void {
  const seen = new Map<string, ItemPlan>();
  for (const item of hostsFirst(plan)) {
    const entry = item.rule?.entries.find(({ attributes }) => attributes.every((name) => (item.item.values[name] ?? '') !== ''));
    if (item.rule === undefined || entry === undefined) continue;
    const host = item.host === undefined ? '' : String(finalHost(plan, item.host));
    const key = JSON.stringify([item.rule.appliesTo, host, entry.attributes.map((name) => (item.item.values[name] ?? '').toLowerCase())]);
    const first = seen.get(key);
    if (first === undefined) {
      seen.set(key, item);
    } else if (options.enhanced && options.deduplicate) {
      first.inputIndices.push(item.item.index);
      item.mergedInto = first.item.index;
    } else {
      const error = messages.duplicates(first.item.index, item.item.index, item.item.className, entry.attributes);
      first.errors.push(error);
      item.errors.push(error);
      plan.refused = !options.enhanced;
    }
  }
  if (!plan.refused) return;
  // The plain endpoint rejects the whole payload (servicenow.md §5.1).
  for (const item of plan.items) if (item.errors.length === 0) item.errors.push(messages.abandonedPayload(options.dataSource));
}

/** Hosts before what hangs on them, else in the payload's order: a merged host must be known when its dependents are compared. */
function hostsFirst(plan: PayloadPlan): ItemPlan[] {
  const depthOf = (item: ItemPlan): number => {
    let depth = 0;
    for (let host = item.host; host !== undefined && depth <= plan.items.length; host = plan.items[host.index]?.host) depth += 1;
    return depth;
  };
  const depths = new Map(plan.items.map((item) => [item, depthOf(item)]));
  return plan.items.toSorted((left, right) => (depths.get(left) ?? 0) - (depths.get(right) ?? 0));
}

function finalHost(plan: PayloadPlan, host: Host): number {
  return plan.items[host.index]?.mergedInto ?? host.index;
}

function planItem(plan: ItemPlan, payload: PayloadPlan, options: PlanOptions): void {
  if (plan.state !== 'new' || plan.mergedInto !== undefined) return;
  plan.state = 'planning';
  const host = plan.host === undefined ? undefined : payload.items[finalHost(payload, plan.host)];
  if (host?.state === 'planning') plan.errors.push(messages.qualificationLoop(plan.host?.relation.type ?? ''));
  else if (host !== undefined) planItem(host, payload, options);
  plan.state = 'done';
  const { item } = plan;
  const fault = options.faults.take({ method: 'IRE', url: `ire:${item.className}`, body: JSON.stringify(item.raw) });
  if (fault?.errorCode !== undefined) {
    const text = quoted(item, options.dataSource);
    plan.errors.push(fault.errorCode === 'LOCK_TIMEOUT' ? messages.lockTimeout(text) : { error: fault.errorCode, message: text });
  }
  if (plan.rule === undefined) plan.errors.push(messages.ruleMissing(item.className));
  if (host !== undefined && host.operation === undefined && plan.errors.length === 0) {
    plan.errors.push(messages.abandoned(quoted(item, options.dataSource), quoted(host.item, options.dataSource)));
  }
  if (plan.errors.length > 0 || plan.rule === undefined) return;
  const hostRow = host === undefined || plan.host === undefined ? undefined : { row: host.row, dependency: plan.host.dependency };
  identify(plan, plan.rule, hostRow, options);
  if (plan.errors.length === 0) decide(plan, options);
}

/** The operation and the values to write. */
function decide(plan: ItemPlan, { store, dataSource }: PlanOptions): void {
  const { item, row } = plan;
  const table = store.schema.get(item.className);
  if (table === undefined) return;
  const now = dateTime(store.clock.now());
  for (const [name, value] of Object.entries(item.values)) {
    const column = table.columns.get(name);
    if (column === undefined) plan.warnings.push(messages.unknownField(name, item.className));
    else if (!name.startsWith('sys_')) plan.values[name] = storedValue(column, value);
  }
  for (const column of table.columns.values()) {
    const isEmpty = (plan.values[column.name] ?? row?.values[column.name] ?? '') === '';
    if (column.mandatory === true && isEmpty) plan.errors.push(messages.requiredEmpty(column.name, item.className));
  }
  for (const related of item.related) {
    if (plan.rule?.related.has(related.className) !== true)
      plan.errors.push(messages.relatedRuleMissing(item.className, related.className));
  }
  if (plan.errors.length > 0) return;
  const changes = Object.entries(plan.values).some(([name, value]) => value !== (row?.values[name] ?? ''));
  // Always written, changed or not (servicenow.md §5.1).
  plan.values['discovery_source'] = dataSource;
  plan.values['last_discovered'] ??= now;
  if (row === undefined) {
    plan.values['first_discovered'] ??= now;
    plan.sysId = newSysId();
    plan.operation = 'INSERT';
    return;
  }
  plan.sysId = row.sysId;
  plan.operation = reclassification(plan, row, store) ?? (changes ? 'UPDATE' : 'NO_CHANGE');
}

/** A matched record of another class moves to the payload's class, unless the item's settings forbid it. */
function reclassification(plan: ItemPlan, row: Row, store: Store): Operation | undefined {
  const { className, settings } = plan.item;
  if (row.table === className) return undefined;
  const kind = store.schema.isA(className, row.table) ? 'UPGRADE' : store.schema.isA(row.table, className) ? 'DOWNGRADE' : 'SWITCH';
  const isForbidden = {
    UPGRADE: settings.updateWithoutUpgrade,
    DOWNGRADE: settings.updateWithoutDowngrade,
    SWITCH: settings.updateWithoutSwitch,
  };
  if (!isForbidden[kind]) return `UPDATE_WITH_${kind}`;
  const message = `Class ${kind.toLowerCase()} from [${row.table}] to [${className}] is skipped by the settings of the payload item`;
  plan.info.push({ code: `SKIPPED_CLASS_${kind}`, message });
  return undefined;
}
