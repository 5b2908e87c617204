/** Counting without reading rows (servicenow.md §5.6). */
import { SyncError } from '../errors.ts';
import type { CheckColumns } from './columns.ts';
import type { Send } from './http.ts';
import { plainValue, type Query } from './query.ts';
import { isObject } from '../transport.ts';

export interface AggregateApi {
  /** Rows that match. Counts what the user may read only as far as the instance does. */
  count(table: string, query: Query, signal?: AbortSignal): Promise<number>;
  /** Rows that match, per value of a column; '' is "empty". */
  countBy(table: string, query: Query, column: string, signal?: AbortSignal): Promise<ReadonlyMap<string, number>>;
}

export function createAggregateApi({ send, checkColumns }: { readonly send: Send; readonly checkColumns: CheckColumns }): AggregateApi {
  const ask = async (table: string, query: Query, groupBy: string | undefined, signal: AbortSignal | undefined): Promise<unknown> => {
    checkColumns(table, query.columns);
    if (groupBy !== undefined) checkColumns(table, [groupBy]);
    const { body } = await send({
      method: 'GET',
      path: `/api/now/stats/${encodeURIComponent(table)}`,
      query: { sysparm_count: 'true', sysparm_query: query.text === '' ? undefined : query.text, sysparm_group_by: groupBy },
      kind: 'serviceNowReads',
      effect: 'read',
      signal,
    });
    return isObject(body) ? body['result'] : undefined;
  };
  return {
    count: async (table, query, signal) => countOf(await ask(table, query, undefined, signal), table),
    countBy: async (table, query, column, signal) => {
      const groups = await ask(table, query, column, signal);
      // Without any group the instance answers like a count without groups: an object.
      if (isObject(groups)) return new Map<string, number>();
      if (!Array.isArray(groups)) throw malformed(table);
      return new Map(groups.map((group) => [groupValue(group, column, table), countOf(group, table)]));
    },
  };
}

function countOf(result: unknown, table: string): number {
  const stats = isObject(result) ? result['stats'] : undefined;
  const count = isObject(stats) ? Number(stats['count']) : Number.NaN;
  if (!Number.isInteger(count)) throw malformed(table);
  return count;
}

function groupValue(group: unknown, column: string, table: string): string {
  const fields = isObject(group) ? group['groupby_fields'] : undefined;
  const field: unknown = Array.isArray(fields)
    ? fields.find((candidate) => isObject(candidate) && candidate['field'] === column)
    : undefined;
  const value = isObject(field) ? plainValue(field['value']) : undefined;
  if (value === undefined) throw malformed(table);
  return value;
}

function malformed(table: string): SyncError {
  return new SyncError({ kind: 'malformed-answer', service: 'servicenow', message: `The statistics of ${table} have no count.` });
}
