import type { Row, Store } from '../store.ts';
import { matchByLookup } from './lookup.ts';
import { messages, quoted } from './messages.ts';
import type { Attempt, IreCall, ItemPlan } from './plan-types.ts';
import type { Dependency, IdentifierEntry, IdentifierRule } from './rules.ts';

/** The record that a dependent item hangs on; undefined while it is not there yet. */
export interface Host {
  row: Row | undefined;
  dependency: Dependency;
}

/** Finds the record of an item: by sys_id, by sys_object_source, then by the entries of its rules in their order. */
export function identify(plan: ItemPlan, rule: IdentifierRule, host: Host | undefined, call: IreCall, withSources: boolean): void {
  const { store } = call;
  const sysId = plan.item.values['sys_id'] ?? '';
  if (sysId !== '') {
    const row = store.find(rule.appliesTo, sysId);
    if (row === undefined || isDuplicate(row)) plan.errors.push(messages.unknownSysId(sysId, plan.item.className));
    plan.row = row;
    return;
  }
  const chain = call.rules.chainFor(plan.item.className);
  const canUseRules = chain.some(({ entries }) => entries.some((entry) => isComplete(plan, entry)));
  // The switch prefers the rules; the source still decides where they have nothing to go by (documented property).
  const bySource = plan.item.source !== undefined && !(call.properties.skipSourceMatching && canUseRules);
  if (withSources && matchedBySource(plan, rule, store, bySource)) return;
  if (!canUseRules) {
    for (const { name, entries } of chain) for (const entry of entries) plan.attempts.push(attemptOf(name, entry));
    plan.errors.push(messages.missingAttributes(rule.appliesTo, quoted(plan.item, call.quoting)));
    return;
  }
  // What hangs on a record that is not there yet cannot exist: no attempt is made (script_api_insert_related_reference_items.json).
  if (host !== undefined && host.row === undefined) return;
  for (const { name, entries } of chain) {
    for (const entry of entries) {
      const attempt = attemptOf(name, entry);
      plan.attempts.push(attempt);
      if (!isComplete(plan, entry)) continue;
      const found = candidates(plan, entry, host, call);
      if (plan.errors.length > 0) return;
      attempt.attemptResult = 'NO_MATCH';
      if (found.length > 0) {
        choose(plan, entry, attempt, found, host, call);
        return;
      }
    }
  }
}

function attemptOf(identifierName: string, { attributes, table, ciAttributes }: IdentifierEntry): Attempt {
  return { identifierName, attemptResult: 'SKIPPED', attributes, searchOnTable: table, hybridEntryCiAttributes: ciAttributes };
}

function candidates(plan: ItemPlan, entry: IdentifierEntry, host: Host | undefined, call: IreCall): Row[] {
  if (entry.kind === 'regular') {
    return recordsLike(plan, entry.table, entry.attributes, call.store).filter((row) => host === undefined || isHostedBy(row, host, call));
  }
  const found = matchByLookup(plan, entry, call);
  if (entry.kind === 'lookup') return found;
  const own = new Set(recordsLike(plan, plan.rule?.appliesTo ?? '', entry.ciAttributes, call.store));
  return found.filter((row) => own.has(row));
}

/**
 * One record: matched. Up to the threshold: the oldest is, and the others will point to it. More, or with the switch off: an error.
 * The pages speak of "less than" and of "exceeds" the threshold; the lab takes a set of five as still fine.
 */
function choose(plan: ItemPlan, entry: IdentifierEntry, attempt: Attempt, rows: Row[], host: Host | undefined, call: IreCall): void {
  const { properties, store } = call;
  const [oldest, ...others] = rows.toSorted((left, right) => (createdOn(left) < createdOn(right) ? -1 : 1));
  plan.duplicates = entry.kind === 'regular' ? others : [];
  if (others.length > 0 && (!properties.skipDuplicates || rows.length > properties.duplicateThreshold)) {
    attempt.attemptResult = 'MULTI_MATCH';
    plan.duplicates = rows;
    plan.errors.push(
      entry.kind !== 'regular'
        ? messages.duplicateLookups(entry.table, entry.attributes, entry.reference)
        : host?.row === undefined
          ? messages.multipleRecords(entry.table, entry.attributes)
          : messages.duplicateDependents(host.dependency.relTypeName, host.row.table, host.row.sysId),
    );
    return;
  }
  attempt.attemptResult = 'MATCHED';
  plan.row = oldest === undefined ? undefined : store.find(oldest.table, oldest.sysId);
  plan.entrySysId = entry.sysId;
}

function createdOn(row: Row): string {
  return row.values['sys_created_on'] ?? '';
}

/** Can this entry be tried with what the payload gives? */
export function isComplete(plan: ItemPlan, entry: IdentifierEntry): boolean {
  const { item } = plan;
  const has = (values: Record<string, string>) => (name: string) => name === 'sys_class_name' || (values[name] ?? '') !== '';
  if (entry.kind !== 'regular') {
    const hasLookup = item.lookup.some((sub) => sub.className === entry.table && entry.attributes.every(has(sub.values)));
    return hasLookup && entry.ciAttributes.every(has(item.values));
  }
  if (!entry.allowNull) return entry.attributes.every(has(item.values));
  return entry.attributes.some((name) => name !== 'sys_class_name' && (item.values[name] ?? '') !== '');
}

/** The first attempt, where the payload speaks of sources at all (INDEX, "settles"). */
function matchedBySource(plan: ItemPlan, rule: IdentifierRule, store: Store, isUsed: boolean): boolean {
  const attempt = (attemptResult: Attempt['attemptResult']): void => {
    const info = `sys_object_source ${attemptResult}`;
    plan.attempts.push({ identifierName: '', attemptResult, attributes: [], hybridEntryCiAttributes: [], info });
  };
  const { source } = plan.item;
  if (!isUsed || source === undefined || source.name === '' || source.nativeKey === '') {
    attempt('SKIPPED');
    return false;
  }
  const row = sourceRecords(store, source.name, source.nativeKey)
    .map(({ values }) => store.find(rule.appliesTo, values['target_sys_id'] ?? ''))
    .find((target) => target !== undefined && !isDuplicate(target));
  attempt(row === undefined ? 'NO_MATCH' : 'MATCHED');
  plan.row = row;
  return row !== undefined;
}

/** The sys_object_source records of a source and its native key. */
export function sourceRecords(store: Store, name: string, nativeKey: string): Row[] {
  return store.equal('sys_object_source', 'id', [nativeKey]).filter(({ values }) => values['name'] === name && values['id'] === nativeKey);
}

/** Records whose columns have the item's values, case ignored; duplicates of a main CI are left out. */
function recordsLike(plan: ItemPlan, table: string, attributes: string[], store: Store): Row[] {
  const wanted = (name: string): string => (name === 'sys_class_name' ? plan.item.className : (plan.item.values[name] ?? ''));
  const columns = attributes.toSorted((left, right) => wanted(right).length - wanted(left).length);
  const first = columns.find((name) => name !== 'sys_class_name') ?? columns[0] ?? '';
  return store
    .equal(table, first, [wanted(first)])
    .filter((row) => columns.every((name) => name === first || (row.values[name] ?? '').toLowerCase() === wanted(name).toLowerCase()))
    .filter((row) => !isDuplicate(row));
}

export function isDuplicate(row: Row): boolean {
  return (row.values['duplicate_of'] ?? '') !== '';
}

/** A dependent record is the same one only under the same host. */
function isHostedBy(row: Row, { row: hostRow, dependency }: Host, { store }: IreCall): boolean {
  const otherEnd = dependency.dependentEnd === 'parent' ? 'child' : 'parent';
  return store
    .equal('cmdb_rel_ci', dependency.dependentEnd, [row.sysId])
    .some(({ values }) => values[otherEnd] === hostRow?.sysId && values['type'] === dependency.relType);
}
