/** Refuses columns that the instance's dictionary does not have, before a request is made. */
import { SyncError } from '../errors.ts';
import type { InstanceDictionary } from './dictionary.ts';
import { platformColumns } from './platform-columns.ts';

/** @throws SyncError `misconfigured` for a column (or table) that is not known */
export type CheckColumns = (table: string, columns: Iterable<string>) => void;

/** Checks against the dictionary, and against the built-in list for the platform's own tables. */
export function createColumnCheck(dictionary: InstanceDictionary | undefined): CheckColumns {
  return (table, columns) => {
    for (const column of columns) if (!isKnown(dictionary, table, column)) throw unknownColumn(table, column, dictionary);
  };
}

function isKnown(dictionary: InstanceDictionary | undefined, table: string, column: string): boolean {
  if (platformColumns[table]?.has(column) === true) return true;
  const columns = dictionary?.tables[table]?.columns;
  if (columns === undefined) return false;
  const dot = column.indexOf('.');
  if (dot === -1) return column === 'sys_id' || Object.hasOwn(columns, column);
  const target = columns[column.slice(0, dot)]?.reference;
  return target !== undefined && isKnown(dictionary, target, column.slice(dot + 1));
}

function unknownColumn(table: string, column: string, dictionary: InstanceDictionary | undefined): SyncError {
  const probed = dictionary?.tables[table];
  const because =
    probed === undefined
      ? `the dictionary of ${table} has not been read`
      : probed.state === 'absent'
        ? `the instance has no table ${table}`
        : `the dictionary of ${table} has no such column`;
  return new SyncError({
    kind: 'misconfigured',
    service: 'servicenow',
    code: 'unknown-column',
    message: `Column ${column} of ${table} was not used: ${because}. An unknown column in a query would match every record.`,
    remedy:
      'Install the application that brings it, or give the integration user the role personalize_read_dictionary if the dictionary is hidden.',
  });
}
