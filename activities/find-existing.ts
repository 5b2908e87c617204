import { isSyncError } from '../src/errors.ts';
import type { SysId } from '../src/model.ts';
import { encodedBytes, isQueryable, query, splitByBytes, valueOf, type Query, type ServiceNowClient } from '../src/servicenow/index.ts';
import type { InstanceTable } from './instance-model.ts';
import { lookUp, queryBytes } from './look-up.ts';
import type { PreparedRecord } from './prepare-records.ts';

export type Existing =
  | { readonly sysId: SysId; readonly same: boolean }
  /** The natural key cannot be looked up, so creating the record could double it. */
  | { readonly refused: string };

/** What the values of a second column may take of a query. */
const narrowingBytes = 2_000;

/**
 * Looks records up by their natural key, many at a time and in one Batch. The column with the most different values becomes the IN list,
 * columns with one common value become equalities, and what comes back is held against the whole key here: a database
 * compares more loosely than we do. Of several records with one key the oldest sys_created_on wins.
 */
export async function findExisting(
  client: ServiceNowClient,
  mapped: InstanceTable,
  records: readonly PreparedRecord[],
  signal: AbortSignal,
): Promise<Map<string, Existing>> {
  const found = new Map<string, Existing>();
  const withKey: PreparedRecord[] = [];
  for (const record of records) {
    if (Object.keys(record.naturalKey).length > 0) withKey.push(record);
    else found.set(record.key, { refused: `none of its key columns exists on ${mapped.name}` });
  }
  // Records of one table mostly have the same key columns; an optional one may be empty in some.
  for (const group of groupByColumns(withKey)) await lookUpGroup(client, mapped, group, found, signal);
  return found;
}

interface KeyGroup {
  /** Those with a value. */
  readonly columns: readonly string[];
  readonly emptyColumns: readonly string[];
  readonly records: readonly PreparedRecord[];
}

function groupByColumns(records: readonly PreparedRecord[]): KeyGroup[] {
  const groups = new Map<string, { columns: string[]; emptyColumns: string[]; records: PreparedRecord[] }>();
  for (const record of records) {
    const all = Object.keys(record.naturalKey);
    const columns = all.filter((column) => record.naturalKey[column] !== '');
    const group = groups.get(columns.join()) ?? { columns, emptyColumns: all.filter((column) => !columns.includes(column)), records: [] };
    group.records.push(record);
    groups.set(columns.join(), group);
  }
  return [...groups.values()];
}

async function lookUpGroup(
  client: ServiceNowClient,
  mapped: InstanceTable,
  group: KeyGroup,
  found: Map<string, Existing>,
  signal: AbortSignal,
): Promise<void> {
  const distinct = new Map(
    group.columns.map((column) => [column, new Set(group.records.map((record) => record.naturalKey[column] ?? ''))]),
  );
  const widest = [...distinct].sort(([, left], [, right]) => right.size - left.size)[0]?.[0];
  if (widest === undefined) return;
  const keyColumns = [...group.columns, ...group.emptyColumns];
  const wanted = Map.groupBy(group.records, (record) => joined(record.naturalKey, keyColumns));
  const fields = [...new Set([...keyColumns, ...group.records.flatMap((record) => Object.keys(record.comparedValues)), 'sys_created_on'])];
  const lookUps = queriesFor(group, distinct, widest, found).map((asked) => ({ table: mapped.name, query: asked, fields }));
  const rows = (await lookUp(client, lookUps, signal)).flat();
  rows.sort((left, right) => valueOf(left, 'sys_created_on').localeCompare(valueOf(right, 'sys_created_on')));
  for (const row of rows) {
    // Keys of the ledger that the instance does not tell apart are one record there.
    for (const record of wanted.get(joined(Object.fromEntries(keyColumns.map((column) => [column, valueOf(row, column)])), keyColumns)) ??
      []) {
      if (found.has(record.key)) continue;
      found.set(record.key, { sysId: valueOf(row, 'sys_id') as SysId, same: mapped.sameOnInstance(row, record.comparedValues) });
    }
  }
}

/** Queries for the group; records whose values cannot be sent are marked as refused and left out. */
function queriesFor(
  group: KeyGroup,
  distinct: ReadonlyMap<string, ReadonlySet<string>>,
  widest: string,
  found: Map<string, Existing>,
): Query[] {
  const narrows = (column: string): boolean => column !== widest && [...(distinct.get(column) ?? [])].every(isQueryable);
  const common = group.columns.filter((column) => narrows(column) && distinct.get(column)?.size === 1);
  let base = query();
  for (const column of group.emptyColumns) base = base.isEmpty(column);
  for (const column of common) base = base.equals(column, group.records[0]?.naturalKey[column] ?? '');
  // A few values more narrow it down: a popular tag alone would bring every item that has it.
  for (const [column, some] of distinct) {
    if (!narrows(column) || common.includes(column)) continue;
    const narrowed = base.in(column, [...some]);
    if (encodedBytes(narrowed.text) <= narrowingBytes) base = narrowed;
  }
  const values: string[] = [];
  for (const record of group.records) {
    const value = record.naturalKey[widest] ?? '';
    try {
      splitByBytes(base, widest, [value], queryBytes);
      values.push(value);
    } catch (error) {
      if (!isSyncError(error, 'rejected')) throw error;
      found.set(record.key, { refused: error.message });
    }
  }
  return splitByBytes(base, widest, values, queryBytes);
}

/** Keys are compared without case, as the instance's database does. */
function joined(values: Readonly<Record<string, string>>, columns: readonly string[]): string {
  return columns.map((column) => (values[column] ?? '').toLowerCase()).join('\n');
}
