import type { Access, Caller } from './access.ts';
import { ApiError } from './http.ts';
import { propertyOf } from './query/evaluate.ts';
import { choicesOf, findByDisplayName } from './render.ts';
import type { Column, Table } from './schema.ts';
import type { Store } from './store.ts';
import { storedValue, utcDateTime } from './values.ts';

export interface WriteInput {
  store: Store;
  access: Access;
  caller: Caller;
  table: Table;
  body: unknown;
  operation: 'create' | 'write';
  /** `sysparm_input_display_value=true`: labels, names and local times instead of stored values (servicenow.md §5.2). */
  asDisplayValues: boolean;
}

/**
 * What a write stores. Unknown names, `sys_*` fields and fields that a field ACL keeps from the caller are left out without a word;
 * dictionary `mandatory` is not enforced (servicenow.md §5.2).
 */
export function writtenValues({ store, access, caller, table, body, operation, asDisplayValues }: WriteInput): Record<string, string> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ApiError(400, 'Exception while reading request', 'The payload is not a valid record object');
  }
  const values: Record<string, string> = {};
  for (const [name, value] of Object.entries(body)) {
    const column = table.columns.get(name);
    if (column === undefined || name.startsWith('sys_') || !access.mayWriteField(caller, table, name, operation)) continue;
    const input: unknown = asDisplayValues && typeof value === 'string' ? fromDisplayValue(store, table, column, value) : value;
    values[name] = storedValue(column, input);
  }
  return values;
}

/** The stored value behind a label, a name or a local time; what stands for nothing is taken as it is, an unknown reference is empty. */
export function fromDisplayValue(store: Store, table: Table, column: Column, text: string): string {
  if (text === '') return '';
  if (column.type === 'reference') {
    if (column.reference === undefined || store.schema.get(column.reference) === undefined || column.referenceKey !== undefined)
      return text;
    return store.find(column.reference, text)?.sysId ?? findByDisplayName(store, column.reference, text)[0]?.sysId ?? '';
  }
  if (column.type === 'glide_date_time') return utcDateTime(text, propertyOf(store, 'glide.sys.default.tz') || 'UTC');
  for (const [value, label] of choicesOf(store, table, column.name)) if (label.toLowerCase() === text.toLowerCase()) return value;
  return text;
}
