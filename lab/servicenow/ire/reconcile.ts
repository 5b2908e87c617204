import type { Row, Store } from '../store.ts';
import { dateTime, storedValue } from '../values.ts';
import { messages } from './messages.ts';
import type { IreCall, ItemPlan } from './plan-types.ts';

/** Never reconciled, never taken as a change of the payload (servicenow.md §5.1: always updated). */
const DISCOVERY_COLUMNS = new Set(['discovery_source', 'last_discovered', 'first_discovered']);

/** Fills `plan.values` with what this source may write, and says whether any of it differs from the record. */
export function planValues(plan: ItemPlan, call: IreCall): boolean {
  const { store, dataSource, properties } = call;
  const table = store.schema.get(plan.className);
  if (table === undefined) return false;
  const { row } = plan;
  const moment = dateTime(store.clock.now());
  for (const [name, value] of Object.entries(plan.item.values)) {
    const column = table.columns.get(name);
    if (name.startsWith('sys_')) continue;
    if (column === undefined) plan.warnings.push(messages.unknownField(name, plan.className));
    else if (name !== 'discovery_source') plan.values[name] = storedValue(column, value);
  }
  if (row !== undefined) keepWhatOthersOwn(plan, row, call);
  for (const { name, mandatory } of table.columns.values()) {
    const isEmpty = (plan.values[name] ?? row?.values[name] ?? '') === '';
    if (mandatory === true && isEmpty && properties.requiredAttributes) plan.errors.push(messages.requiredEmpty(name, plan.className));
  }
  const given = plan.values['last_discovered'] ?? '';
  const known = row?.values['last_discovered'] ?? '';
  if (row !== undefined && given !== '' && given < known && properties.keepNewerDiscovery) {
    delete plan.values['last_discovered'];
    return differs(plan.values, row);
  }
  const isChanged = differs(plan.values, row) || (row?.values['discovery_source'] ?? dataSource) !== dataSource;
  plan.values['discovery_source'] = dataSource;
  if (given === '') plan.values['last_discovered'] = moment;
  if (row === undefined) plan.values['first_discovered'] ??= moment;
  return isChanged;
}

function differs(values: Record<string, string>, row: Row | undefined): boolean {
  return Object.entries(values).some(([name, value]) => value !== (row?.values[name] ?? ''));
}

/** Static reconciliation rules keep a column for the sources that may write it; an empty value never wipes out a full one by itself. */
function keepWhatOthersOwn(plan: ItemPlan, row: Row, call: IreCall): void {
  const rules = rulesFor(call.store, plan.className);
  const kept = Object.entries(plan.values).filter(([name, value]) => {
    if (DISCOVERY_COLUMNS.has(name)) return true;
    const current = row.values[name] ?? '';
    const governing = rules.filter((rule) => rule.covers(name));
    const own = governing.find(({ source }) => source === call.dataSource);
    if (value === '' && current !== '' && own?.mayEmpty(name) !== true) return false;
    if (governing.length > 0 && !mayWrite(row, name, current, governing, call)) return false;
    if (governing.length > 0) plan.governed.push(name);
    return true;
  });
  plan.values = Object.fromEntries(kept);
}

/**
 * Who wrote a column last is known from cmdb_datasource_last_update; the same source or one of no lower priority may write it again.
 * Without history anybody may, as the page warns; a source without a rule has the lowest priority. An empty column may be filled
 * (glide.reconciliation.override.null).
 */
function mayWrite(row: Row, column: string, current: string, governing: ReconciliationRule[], call: IreCall): boolean {
  if (current === '' && call.properties.overrideNull) return true;
  const last = lastWriter(call.store, row.sysId, column)?.values['discovery_source'];
  return last === undefined || last === call.dataSource || rankOf(call.dataSource, governing) <= rankOf(last, governing);
}

function rankOf(source: string, governing: ReconciliationRule[]): number {
  const at = governing.findIndex((rule) => rule.source === source);
  const rule = governing[at];
  return rule === undefined ? Number.MAX_SAFE_INTEGER : rule.priority;
}

interface ReconciliationRule {
  source: string;
  priority: number;
  covers(column: string): boolean;
  mayEmpty(column: string): boolean;
}

/** Rules for a column before rules for all columns, those of the class itself before inherited ones, then by priority. */
function rulesFor(store: Store, className: string): ReconciliationRule[] {
  if (store.count('cmdb_reconciliation_definition') === 0) return [];
  const lineage = store.schema.get(className)?.lineage ?? [];
  const rows = lineage.flatMap((name) =>
    store
      .equal('cmdb_reconciliation_definition', 'applies_to', [name])
      .filter(({ values }) => values['active'] === 'true')
      .sort((left, right) => priorityOf(left) - priorityOf(right)),
  );
  const specific = rows.filter(({ values }) => (values['attributes'] ?? '') !== '');
  const general = rows.filter(({ values }) => (values['attributes'] ?? '') === '');
  const named = new Set(specific.flatMap(({ values }) => columns(values['attributes'])));
  return [...specific, ...general].map((row) => {
    const attributes = columns(row.values['attributes']);
    return {
      source: row.values['discovery_source'] ?? '',
      priority: priorityOf(row),
      covers: (column) => (attributes.length > 0 ? attributes.includes(column) : !named.has(column)),
      mayEmpty: (column) => columns(row.values['null_update']).includes(column),
    };
  });
}

function priorityOf(row: Row): number {
  return Number(row.values['priority'] ?? '0');
}

function columns(text: string | undefined): string[] {
  return (text ?? '').split(',').filter((name) => name !== '');
}

function lastWriter(store: Store, record: string, attribute: string): Row | undefined {
  return store.equal('cmdb_datasource_last_update', 'record', [record]).find(({ values }) => values['attribute'] === attribute);
}

/** Remembers who wrote the columns that rules speak of; only those, as documented. */
export function rememberWriter(plan: ItemPlan, row: Row, call: IreCall): void {
  const { store, actor, dataSource } = call;
  const rules = rulesFor(store, plan.className);
  if (rules.length === 0) return;
  const isGoverned = (name: string): boolean => !DISCOVERY_COLUMNS.has(name) && rules.some((rule) => rule.covers(name));
  const governed = plan.operation === 'INSERT' ? Object.keys(plan.values).filter(isGoverned) : plan.governed;
  for (const attribute of governed) {
    const values = {
      record: row.sysId,
      class: row.table,
      attribute,
      discovery_source: dataSource,
      updated_on: dateTime(store.clock.now()),
    };
    const known = lastWriter(store, row.sysId, attribute);
    if (known === undefined) store.insert('cmdb_datasource_last_update', values, actor);
    else store.update(known, values, actor);
  }
}
