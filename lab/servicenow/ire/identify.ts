import type { Row, Store } from '../store.ts';
import { messages, quoted } from './messages.ts';
import type { ItemPlan, PlanOptions } from './plan.ts';
import type { Dependency, IdentifierRule } from './rules.ts';

/** One try to find the record of an item, as the answer lists it. */
export interface Attempt {
  identifierName: string;
  attemptResult: 'MATCHED' | 'NO_MATCH' | 'MULTI_MATCH' | 'SKIPPED';
  attributes: string[];
  searchOnTable?: string;
  hybridEntryCiAttributes: string[];
  info?: string;
}

/** skip_duplicates, threshold 5: the oldest record is updated, the others get duplicate_of (servicenow.md §5.1, properties). */
const DUPLICATE_THRESHOLD = 5;

/** Finds the record of an item: by sys_id, by sys_object_source, then by the entries of its rule in their order. */
export function identify(
  plan: ItemPlan,
  rule: IdentifierRule,
  host: { row: Row | undefined; dependency: Dependency } | undefined,
  options: PlanOptions,
): void {
  const { store } = options;
  const sysId = plan.item.values['sys_id'] ?? '';
  if (sysId !== '') {
    const row = store.find(plan.item.className, sysId);
    if (row === undefined || (row.values['duplicate_of'] ?? '') !== '') plan.errors.push(messages.unknownSysId(sysId, plan.item.className));
    plan.row = row;
    return;
  }
  if (matchedBySource(plan, rule, store)) return;
  let hadValues = false;
  for (const entry of rule.entries) {
    const isComplete = entry.attributes.every(
      (name) => entry.allowNull || name === 'sys_class_name' || (plan.item.values[name] ?? '') !== '',
    );
    const attempt: Attempt = {
      identifierName: rule.name,
      attemptResult: 'SKIPPED',
      attributes: entry.attributes,
      searchOnTable: entry.table,
      hybridEntryCiAttributes: [],
    };
    plan.attempts.push(attempt);
    if (!isComplete) continue;
    hadValues = true;
    const rows = recordsLike(plan, entry, store).filter((row) => host === undefined || isHostedBy(row, host, store));
    attempt.attemptResult = rows.length === 0 ? 'NO_MATCH' : rows.length === 1 ? 'MATCHED' : 'MULTI_MATCH';
    if (rows.length === 0) continue;
    if (rows.length > DUPLICATE_THRESHOLD) {
      plan.errors.push(messages.multipleRecords(entry.table, entry.attributes));
      return;
    }
    const [oldest, ...others] = rows.toSorted((left, right) => createdOn(left).localeCompare(createdOn(right)));
    plan.row = oldest;
    plan.duplicates = others;
    plan.entrySysId = entry.sysId;
    return;
  }
  if (!hadValues) plan.errors.push(messages.missingAttributes(rule.appliesTo, quoted(plan.item, options.dataSource)));
}

function createdOn(row: Row): string {
  return row.values['sys_created_on'] ?? '';
}

function matchedBySource(plan: ItemPlan, rule: IdentifierRule, store: Store): boolean {
  const { source } = plan.item;
  if (source === undefined) return false;
  const attempt = (attemptResult: Attempt['attemptResult']): void => {
    const info = `sys_object_source ${attemptResult}`;
    plan.attempts.push({ identifierName: '', attemptResult, attributes: [], hybridEntryCiAttributes: [], info });
  };
  if (source.name === '' || source.nativeKey === '') {
    attempt('SKIPPED');
    return false;
  }
  const row = sourceRecords(store, source.name, source.nativeKey)
    .map(({ values }) => store.find(rule.appliesTo, values['target_sys_id'] ?? ''))
    .find((target) => target !== undefined);
  attempt(row === undefined ? 'NO_MATCH' : 'MATCHED');
  plan.row = row;
  return row !== undefined;
}

/** The sys_object_source records of a source and its native key. */
export function sourceRecords(store: Store, name: string, nativeKey: string): Row[] {
  return store.equal('sys_object_source', 'id', [nativeKey]).filter(({ values }) => values['name'] === name && values['id'] === nativeKey);
}

function recordsLike(plan: ItemPlan, entry: IdentifierRule['entries'][number], store: Store): Row[] {
  const wanted = (name: string): string => (name === 'sys_class_name' ? plan.item.className : (plan.item.values[name] ?? ''));
  const [first = '', ...rest] = entry.attributes.toSorted((left) => (left === 'sys_class_name' ? 1 : -1));
  return store
    .equal(entry.table, first, [wanted(first)])
    .filter((row) => rest.every((name) => (row.values[name] ?? '').toLowerCase() === wanted(name).toLowerCase()))
    .filter((row) => (row.values['duplicate_of'] ?? '') === '');
}

/** A dependent record is the same one only under the same host. */
function isHostedBy(row: Row, host: { row: Row | undefined; dependency: Dependency }, store: Store): boolean {
  const { row: hostRow, dependency } = host;
  if (hostRow === undefined) return false;
  const otherEnd = dependency.dependentEnd === 'parent' ? 'child' : 'parent';
  return store
    .equal('cmdb_rel_ci', dependency.dependentEnd, [row.sysId])
    .some(({ values }) => values[otherEnd] === hostRow.sysId && values['type'] === dependency.relType);
}
