/** System properties (`sys_properties`). Most accounts may not read them: the table looks empty then (examples/servicenow/schema). */
import { isSyncError } from '../errors.ts';
import { query } from './query.ts';
import { valueOf, type TableApi } from './table.ts';

export interface PropertiesApi {
  /** Values by name; a property that does not exist, or is not readable, is not in it. */
  read(names: readonly string[], signal?: AbortSignal): Promise<ReadonlyMap<string, string>>;
}

export function createPropertiesApi(table: TableApi): PropertiesApi {
  return {
    read: async (names, signal) => {
      try {
        const rows = await table.list('sys_properties', { query: query().in('name', names), fields: ['name', 'value'] }, signal);
        return new Map(rows.map((row) => [valueOf(row, 'name'), valueOf(row, 'value')]));
      } catch (error) {
        if (isSyncError(error, 'forbidden')) return new Map();
        throw error;
      }
    },
  };
}
