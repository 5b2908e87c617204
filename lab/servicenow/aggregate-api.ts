import type { Caller } from './access.ts';
import { apiPath, json, type ApiRequest, type ApiResponse } from './http.ts';
import { queryOf } from './page-query.ts';
import { resolvePath, valueAt, walk, type Path } from './query/paths.ts';
import { displayValueOf } from './render.ts';
import type { Table } from './schema.ts';
import type { Row, Store } from './store.ts';
import {
  apiLevelRefusal,
  insufficientRights,
  methodNotAllowed,
  queryRows,
  requireTable,
  unknownResource,
  type ApiContext,
} from './table-api.ts';

const FUNCTIONS = ['avg', 'min', 'max', 'sum'] as const;
type AggregateFunction = (typeof FUNCTIONS)[number];

interface Field {
  name: string;
  path: Path;
}

interface Group {
  keys: string[];
  labels: string[];
  rows: Row[];
}

/**
 * `/api/now[/v1]/stats/{table}` (servicenow.md §5.6, c_AggregateAPI; stats/*.json). Without grouping the result is an object, with it an
 * array; every number is a string. A caller who may not read the table is refused (documented up to Zurich; later releases speak of read access by
 * role); the body of that 403 was not recorded.
 */
export function handleAggregate(context: ApiContext, caller: Caller, request: ApiRequest): ApiResponse {
  const [, tableName = '', ...more] = apiPath(request.path)?.parts ?? [];
  if (more.length > 0) throw unknownResource();
  if (request.method !== 'GET') throw methodNotAllowed();
  const table = requireTable(context, tableName);
  if (!context.access.may(caller, table, 'read')) throw apiLevelRefusal();
  const { store } = context;
  const rows = queryRows(context, caller, table, queryOf(store, table, request));
  const fieldsOf = (parameter: string): Field[] => fields(context, caller, table, request.query.get(parameter) ?? '');
  const wanted = FUNCTIONS.map((name) => ({ name, fields: fieldsOf(`sysparm_${name}_fields`) }));
  const withCount = request.query.get('sysparm_count') === 'true';
  const stats = (members: Row[]): Record<string, unknown> => ({
    ...(withCount ? { count: String(members.length) } : {}),
    ...Object.fromEntries(
      wanted
        .filter((entry) => entry.fields.length > 0)
        .map((entry) => [
          entry.name,
          Object.fromEntries(entry.fields.map(({ name, path }) => [name, ofField(store, entry.name, members, path)])),
        ]),
    ),
  });
  const groupBy = fieldsOf('sysparm_group_by');
  if (groupBy.length === 0) return json(200, { result: { stats: stats(rows) } });
  const display = request.query.get('sysparm_display_value') ?? 'false';
  const result = ordered(context, table, groupsOf(store, rows, groupBy), groupBy, request.query.get('sysparm_order_by') ?? '')
    .filter((group) => having(context, table, request.query.get('sysparm_having') ?? '', group.rows))
    .map((group) => ({ stats: stats(group.rows), groupby_fields: groupBy.map(({ name }, at) => groupField(group, at, name, display)) }));
  return json(200, { result });
}

/** Names that do not exist are left out; a column that the caller may not read refuses the request, as in a query. */
function fields(context: ApiContext, caller: Caller, table: Table, list: string): Field[] {
  return list.split(',').flatMap((text) => {
    const name = text.trim();
    const path = resolvePath(context.store.schema, table, name);
    if (path === undefined) return [];
    if (!context.access.mayReadField(caller, path.table, path.column.name)) throw insufficientRights();
    return [{ name, path }];
  });
}

/** Groups in the order of what stands for their values (not recorded). */
function groupsOf(store: Store, rows: Row[], groupBy: Field[]): Group[] {
  const byKey = Map.groupBy(rows, (row) => JSON.stringify(groupBy.map(({ path }) => valueAt(store, row, path))));
  const groups = [...byKey].map(([key, members]) => {
    const keys = JSON.parse(key) as string[];
    const labels = groupBy.map(({ path }, at) => labelOf(store, members[0], path, keys[at] ?? ''));
    return { keys, labels, rows: members };
  });
  return groups.sort((left, right) => compareLists(left.labels, right.labels));
}

function labelOf(store: Store, row: Row | undefined, path: Path, value: string): string {
  const end = row === undefined ? undefined : walk(store, row, path);
  return end === undefined ? value : (displayValueOf(store, path.table, path.column, value) ?? '');
}

/** How `sysparm_display_value` changes the group's fields was not recorded; the lab does as the Table API does. */
function groupField(group: Group, at: number, field: string, display: string): object {
  const value = group.keys[at] ?? '';
  const label = group.labels[at] ?? '';
  if (display === 'all') return { display_value: label, value, field };
  return { value: display === 'true' ? label : value, field };
}

/** `sysparm_order_by`: `COUNT`, `AVG^field` or `field`, each with `^DESC` for the other direction; ascending by default. */
function ordered(context: ApiContext, table: Table, groups: Group[], groupBy: Field[], orderBy: string): Group[] {
  const keys = orderBy
    .split(',')
    .filter((term) => term !== '')
    .map((term) => {
      const parts = term.split('^');
      const descending = parts.at(-1)?.toUpperCase() === 'DESC';
      const [head = '', field] = descending ? parts.slice(0, -1) : parts;
      return { descending, of: (group: Group) => orderKey(context, table, groupBy, group, head, field) };
    });
  return groups.toSorted((left, right) => {
    for (const { descending, of } of keys) {
      const difference = compare(of(left), of(right));
      if (difference !== 0) return descending ? -difference : difference;
    }
    return 0;
  });
}

function orderKey(context: ApiContext, table: Table, groupBy: Field[], group: Group, head: string, field: string | undefined): string {
  if (head.toUpperCase() === 'COUNT') return String(group.rows.length);
  if (field !== undefined) return aggregateOf(context, table, group.rows, head, field) ?? '';
  return group.labels[groupBy.findIndex(({ name }) => name === head)] ?? '';
}

/** `sysparm_having`: `aggregate^field^operator^value`, several joined by commas; a clause that cannot be read is dropped. */
function having(context: ApiContext, table: Table, clauses: string, rows: Row[]): boolean {
  return clauses.split(',').every((clause) => {
    const [name = '', field = '', operator = '', value = ''] = clause.split('^');
    const actual = aggregateOf(context, table, rows, name, field);
    if (actual === undefined || !(operator in HAVING_OPERATORS)) return true;
    return HAVING_OPERATORS[operator]?.(compare(actual, value)) ?? true;
  });
}

const HAVING_OPERATORS: Record<string, (difference: number) => boolean> = {
  '=': (difference) => difference === 0,
  '!=': (difference) => difference !== 0,
  '>': (difference) => difference > 0,
  '>=': (difference) => difference >= 0,
  '<': (difference) => difference < 0,
  '<=': (difference) => difference <= 0,
};

function aggregateOf(context: ApiContext, table: Table, rows: Row[], name: string, field: string): string | undefined {
  const path = resolvePath(context.store.schema, table, field);
  const lower = name.toLowerCase();
  if (path === undefined) return lower === 'count' ? String(rows.length) : undefined;
  if (lower === 'count') return String(rows.filter((row) => valueAt(context.store, row, path) !== '').length);
  const known = FUNCTIONS.find((candidate) => candidate === lower);
  return known === undefined ? undefined : ofField(context.store, known, rows, path);
}

function ofField(store: Store, name: AggregateFunction, rows: Row[], path: Path): string {
  return aggregate(
    name,
    rows.map((row) => valueAt(store, row, path)),
  );
}

function aggregate(name: AggregateFunction, values: string[]): string {
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

function compareLists(left: string[], right: string[]): number {
  for (const [at, value] of left.entries()) {
    const difference = compare(value, right[at] ?? '');
    if (difference !== 0) return difference;
  }
  return 0;
}

/** As numbers where both are, else as text. */
function compare(left: string, right: string): number {
  const difference = left === '' || right === '' ? Number.NaN : Number(left) - Number(right);
  if (!Number.isNaN(difference)) return difference;
  return left < right ? -1 : left > right ? 1 : 0;
}
