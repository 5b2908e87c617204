import type { Table } from './schema.ts';
import { UniqueViolation, WriteAborted, type Row, type Store } from './store.ts';
import { storedValue } from './values.ts';
import { fromDisplayValue } from './written-values.ts';

/** A transform map as seed data declares it (seed key `transforms`). */
export interface Transform {
  staging: string;
  /** The map's name, as answers show it. */
  name: string;
  table: string;
  /** Target column ← staging column. */
  fields: Record<string, string>;
  /** Target columns that identify an existing record; without any, every row inserts. */
  coalesce?: string[];
  /** true: a row without an existing target is not inserted. */
  updateOnly?: boolean;
  /** An onBefore script that ignores rows without one of these staging columns; the text is a custom field of the answer. */
  requires?: { column: string; message: string }[];
  /** A script's remark on rows that have this staging column: the row succeeds with a status_message. */
  remark?: { column: string; message: string };
}

/** One entry of `result` in an answer of the Import Set API. */
export type TransformResult = Record<string, string> & { status: 'inserted' | 'updated' | 'ignored' | 'error' };

/**
 * Runs one transform map over one staging row. A transform writes as the system: no ACL is asked. An unchanged target is `ignored` (not
 * recorded); a row that a script ignores is an `error` with HTTP success (import-set/status_error_ignored_row.json).
 */
export function runTransform(
  store: Store,
  transform: Transform,
  staged: Readonly<Record<string, string>>,
  linkBase: string,
): TransformResult {
  const head = { transform_map: transform.name, table: transform.table };
  const target = store.schema.get(transform.table);
  if (target === undefined) return { ...head, status: 'error', error_message: 'Invalid table' };
  const missing = transform.requires?.find(({ column }) => (staged[column] ?? '') === '');
  if (missing !== undefined) {
    const custom = { status_message: 'Row transform ignored by onBefore script', validation_message: missing.message };
    return { ...head, status: 'error', error_message: 'Target record not found', ...custom };
  }
  const values = targetValues(store, target, transform, staged);
  const existing = coalesced(store, transform, values);
  if (existing === undefined && transform.updateOnly === true)
    return { ...head, status: 'error', error_message: 'Target record not found' };
  try {
    const isChanged = existing === undefined || store.update(existing, values, 'system');
    const row = existing ?? store.insert(target.name, values, 'system');
    return {
      ...head,
      ...remarkOf(transform, staged),
      ...named(store, row, linkBase),
      status: existing === undefined ? 'inserted' : isChanged ? 'updated' : 'ignored',
      sys_id: row.sysId,
    };
  } catch (error) {
    if (!(error instanceof WriteAborted) && !(error instanceof UniqueViolation)) throw error;
    return { ...head, status: 'error', error_message: error.message };
  }
}

function targetValues(store: Store, target: Table, transform: Transform, staged: Readonly<Record<string, string>>): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [to, from] of Object.entries(transform.fields)) {
    const column = target.columns.get(to);
    const text = staged[from] ?? '';
    // An empty staging value does not empty the target (Copy empty fields is off by default).
    if (column === undefined || text === '') continue;
    values[to] = storedValue(column, column.type === 'reference' ? fromDisplayValue(store, target, column, text) : text);
  }
  return values;
}

/** The record that all coalesce columns find; a row without a value for one of them finds nothing. */
function coalesced(store: Store, transform: Transform, values: Record<string, string>): Row | undefined {
  const [first, ...rest] = transform.coalesce ?? [];
  if (first === undefined || (values[first] ?? '') === '') return undefined;
  return store
    .equal(transform.table, first, [values[first] ?? ''])
    .find((row) => rest.every((column) => (row.values[column] ?? '').toLowerCase() === (values[column] ?? '').toLowerCase()));
}

function remarkOf({ remark }: Transform, staged: Readonly<Record<string, string>>): Record<string, string> {
  return remark === undefined || (staged[remark.column] ?? '') === '' ? {} : { status_message: remark.message };
}

function named(store: Store, row: Row, linkBase: string): Record<string, string> {
  const display = store.schema.get(row.table)?.display ?? '';
  return {
    display_name: display,
    display_value: row.values[display] ?? '',
    record_link: `${linkBase}/table/${row.table}/${row.sysId}`,
  };
}
