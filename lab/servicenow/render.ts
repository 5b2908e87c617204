import type { Column, Table } from './schema.ts';
import { propertyOf } from './query/evaluate.ts';
import { referenced, resolvePath, walk } from './query/paths.ts';
import type { Row, Store } from './store.ts';
import { localDateTime } from './values.ts';

export type DisplayMode = 'false' | 'true' | 'all';

/** How a list or a record is answered (servicenow.md §5.2; INDEX "settles"). */
export interface RenderOptions {
  /** `https://host/api/now`, with the version of the called URL: links repeat it. */
  linkBase: string;
  display: DisplayMode;
  excludeReferenceLink: boolean;
  /** undefined: all columns of the table. Names that do not exist are left out without a word. */
  fields: string[] | undefined;
  mayRead: (table: Table, column: string) => boolean;
}

/** Renders a record as the Table API answers it, seen through `table` (a parent shows only its own columns). */
export function renderRow(store: Store, table: Table, row: Row, options: RenderOptions): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const field of options.fields ?? table.columns.keys()) {
    const path = resolvePath(store.schema, table, field);
    if (path === undefined || !options.mayRead(path.table, path.column.name)) continue;
    const end = walk(store, row, path);
    const value = end === undefined ? '' : store.valueOf(end, path.column);
    result[field] = renderValue(store, path.table, path.column, value, options);
  }
  return result;
}

function renderValue(store: Store, table: Table, column: Column, value: string, options: RenderOptions): unknown {
  const isLinked = column.type === 'reference' && column.reference !== undefined && value !== '';
  const link = isLinked && !options.excludeReferenceLink ? { link: referenceLink(column, value, options.linkBase) } : undefined;
  if (options.display === 'false') return link === undefined ? value : { ...link, value };
  const displayValue = displayValueOf(store, table, column, value);
  if (options.display === 'true') return link === undefined ? (displayValue ?? '') : { display_value: displayValue, ...link };
  return { display_value: displayValue, ...link, value };
}

function referenceLink(column: Column, value: string, linkBase: string): string {
  const base = `${linkBase}/table/${column.reference ?? ''}`;
  return column.referenceKey === undefined ? `${base}/${value}` : `${base}?${column.referenceKey}=${value}`;
}

/** The label, name or local time that stands for a value; null for an empty choice. */
export function displayValueOf(store: Store, table: Table, column: Column, value: string): string | null {
  if (column.type === 'reference') {
    const target = referenced(store, column, value);
    return target === undefined ? value : displayNameOf(store, target);
  }
  // Recorded of sla_due and activity_due (table-api/get_list_change_request_display_all_exclude_link.json).
  if (column.type === 'due_date' && value === '') return 'UNKNOWN';
  if (column.type === 'glide_date_time' || column.type === 'due_date')
    return localDateTime(value, propertyOf(store, 'glide.sys.default.tz') || 'UTC');
  const choices = choicesOf(store, table, column.name);
  if (choices.size === 0) return value;
  return choices.get(value) ?? (value === '' ? null : value);
}

/** What stands for a record in a reference: its display column, else its sys_id. */
export function displayNameOf(store: Store, row: Row): string {
  const table = store.schema.get(row.table);
  return row.values[table?.display ?? ''] ?? row.sysId;
}

/** The records that a display name stands for, in any class of the table. */
export function findByDisplayName(store: Store, table: string, name: string): Row[] {
  const display = store.schema.get(table)?.display;
  return display === undefined ? [] : store.equal(table, display, [name]);
}

/** The choices of a column by value, declared on the table or on one it extends. */
export function choicesOf(store: Store, table: Table, column: string): Map<string, string> {
  const choices = new Map<string, string>();
  for (const name of table.lineage) {
    for (const row of store.equal('sys_choice', 'name', [name])) {
      const { element, value = '', label = '', inactive } = row.values;
      if (element === column && inactive !== 'true' && !choices.has(value)) choices.set(value, label);
    }
    if (choices.size > 0) break;
  }
  return choices;
}
