import type { Caller } from './access.ts';
import { apiPath, ApiError, json, type ApiRequest, type ApiResponse } from './http.ts';
import { resolvePath, valueAt, type Path } from './query/paths.ts';
import type { Row } from './store.ts';
import { queryRows, requireNotForbidden, requireTable, unknownResource, type ApiContext } from './table-api.ts';

const FUNCTIONS = ['avg', 'min', 'max', 'sum'] as const;

/**
 * `/api/now[/v1]/stats/{table}` (servicenow.md §5.6; stats/*.json). Without grouping the result is an object, with it an array;
 * every number is a string. Like X-Total-Count it counts records that the caller cannot read; whether the platform does was not recorded.
 */
export function handleAggregate(context: ApiContext, caller: Caller, request: ApiRequest): ApiResponse {
  const [, tableName = '', ...more] = apiPath(request.path)?.parts ?? [];
  if (more.length > 0) throw unknownResource();
  if (request.method !== 'GET') throw new ApiError(405, 'Method not supported', null);
  const table = requireTable(context, tableName);
  requireNotForbidden(context, caller, table);
  const rows = queryRows(context, caller, table, request.query.get('sysparm_query') ?? '');
  const pathsOf = (parameter: string): [string, Path][] =>
    (request.query.get(parameter) ?? '').split(',').flatMap((field) => {
      const path = resolvePath(context.store.schema, table, field.trim());
      return path === undefined ? [] : [[field.trim(), path] as [string, Path]];
    });
  const groupBy = pathsOf('sysparm_group_by');
  const stats = (members: Row[]): Record<string, unknown> => {
    const result: Record<string, unknown> = {};
    if (request.query.get('sysparm_count') === 'true') result['count'] = String(members.length);
    for (const name of FUNCTIONS) {
      const fields = pathsOf(`sysparm_${name}_fields`);
      if (fields.length === 0) continue;
      result[name] = Object.fromEntries(
        fields.map(([field, path]) => [
          field,
          aggregate(
            name,
            members.map((row) => valueAt(context.store, row, path)),
          ),
        ]),
      );
    }
    return result;
  };
  if (groupBy.length === 0) return json(200, { result: { stats: stats(rows) } });
  const groups = Map.groupBy(rows, (row) => JSON.stringify(groupBy.map(([, path]) => valueAt(context.store, row, path))));
  const result = [...groups].map(([key, members]) => {
    const values = JSON.parse(key) as string[];
    return { stats: stats(members), groupby_fields: groupBy.map(([field], index) => ({ value: values[index] ?? '', field })) };
  });
  return json(200, { result });
}

function aggregate(name: (typeof FUNCTIONS)[number], values: string[]): string {
  const present = values.filter((value) => value !== '');
  if (present.length === 0) return '';
  const numbers = present.map(Number);
  if (numbers.some(Number.isNaN)) {
    const sorted = present.toSorted();
    return name === 'min' ? (sorted[0] ?? '') : name === 'max' ? (sorted.at(-1) ?? '') : '0';
  }
  const sum = numbers.reduce((total, value) => total + value, 0);
  if (name === 'avg') return (sum / numbers.length).toFixed(4);
  if (name === 'sum') return String(sum);
  return String(numbers.reduce((best, value) => (name === 'min' ? Math.min(best, value) : Math.max(best, value))));
}
