import type { Table } from '../schema.ts';
import type { Row, Store } from '../store.ts';
import { isNumeric } from '../values.ts';
import { parseQuery, type AnyOf, type Condition } from './parse.ts';
import { resolvePath, valueAt, walk, type Path } from './paths.ts';
import { scriptValue } from './script-values.ts';

/** Everything a query needs to know about who asks. */
export interface QueryContext {
  userSysId: string;
  /** False for a column that the caller may not read. */
  mayRead: (table: Table, column: string) => boolean;
}

export interface QueryResult {
  rows: Row[];
  /** A column of the query is hidden from the caller: the platform refuses the whole query (403). */
  unreadable: string | undefined;
  /** Fragments without effect. */
  dropped: string[];
  /** Fields of the query that the table does not have. */
  unknown: string[];
}

interface Bound {
  path: Path;
  condition: Condition;
  /** The operands, `javascript:` resolved; one except for IN. */
  operands: string[];
  test: (value: string) => boolean;
}

/** Runs an encoded query over a table and the tables that extend it (servicenow.md §5.2). */
export function runQuery(store: Store, table: Table, text: string, context: QueryContext): QueryResult {
  const query = parseQuery(text);
  const unknown: string[] = [];
  let unreadable: string | undefined;
  const resolve = (field: string): Path | undefined => {
    const path = resolvePath(store.schema, table, field);
    if (path === undefined) unknown.push(field);
    else if (!context.mayRead(path.table, path.column.name)) unreadable = field;
    return path;
  };
  const bind = (condition: Condition): Bound[] => {
    const path = resolve(condition.field);
    return path === undefined ? [] : [boundCondition(store, path, condition, context)];
  };
  // An alternative that lost all its conditions matches everything: dropping never makes a result smaller.
  const alternatives = query.alternatives.map((anyOfs) =>
    anyOfs.map((anyOf: AnyOf) => anyOf.flatMap(bind)).filter((bound) => bound.length > 0),
  );
  const orderBy = query.orderBy.flatMap(({ field, descending }) => {
    const path = resolve(field);
    return path === undefined ? [] : [{ path, descending }];
  });
  const dropped = [...query.dropped, ...unknown];
  if (unreadable !== undefined) return { rows: [], unreadable, dropped, unknown };
  if (dropped.length > 0 && returnsNoRows(store)) return { rows: [], unreadable, dropped, unknown };
  const rows = collect(store, table, alternatives);
  if (orderBy.length > 0) sort(store, rows, orderBy);
  return { rows, unreadable, dropped, unknown };
}

/** A condition as rules of the instance hold it: an encoded query asked of one record. Fragments without effect are dropped. */
export function recordMatcher(store: Store, table: Table, text: string): (row: Row) => boolean {
  const bind = (condition: Condition): Bound[] => {
    const path = resolvePath(store.schema, table, condition.field);
    return path === undefined ? [] : [boundCondition(store, path, condition, { userSysId: '', mayRead: () => true })];
  };
  const alternatives = parseQuery(text).alternatives.map((anyOfs) =>
    anyOfs.map((anyOf: AnyOf) => anyOf.flatMap(bind)).filter((bound) => bound.length > 0),
  );
  return (row) => alternatives.some((anyOfs) => anyOfs.every((anyOf) => anyOf.some((bound) => holds(store, row, bound))));
}

function returnsNoRows(store: Store): boolean {
  return propertyOf(store, 'glide.invalid_query.returns_no_rows') === 'true';
}

/** The value of a system property; '' where there is none. */
export function propertyOf(store: Store, name: string): string {
  if (store.schema.get('sys_properties') === undefined) return '';
  return store.equal('sys_properties', 'name', [name])[0]?.values['value'] ?? '';
}

function boundCondition(store: Store, path: Path, condition: Condition, context: QueryContext): Bound {
  const isList = condition.operator === 'IN' || condition.operator === 'NOTIN' || condition.operator === 'NOT IN';
  const raw = isList ? condition.value.split(',') : [condition.value];
  const operands = raw.map((value) => {
    const resolved = value.startsWith('javascript:')
      ? scriptValue(value.slice('javascript:'.length), { now: store.clock.now(), userSysId: context.userSysId })
      : value;
    return resolved.toLowerCase();
  });
  return { path, condition, operands, test: predicate(condition.operator, operands, isNumeric(path.column)) };
}

function predicate(operator: Condition['operator'], operands: string[], numeric: boolean): (value: string) => boolean {
  const [operand = ''] = operands;
  const equals = (value: string, other: string): boolean =>
    value === other || (numeric && value !== '' && other !== '' && Number(value) === Number(other));
  const compare = (value: string): number | undefined => {
    if (value === '' || operand === '') return undefined;
    if (!numeric) return value < operand ? -1 : value > operand ? 1 : 0;
    const difference = Number(value) - Number(operand);
    return Number.isNaN(difference) ? undefined : difference;
  };
  const compared = (accepts: (difference: number) => boolean) => (value: string) => {
    const difference = compare(value);
    return difference !== undefined && accepts(difference);
  };
  const members = new Set(operands);
  switch (operator) {
    case '=':
      return (value) => equals(value, operand);
    case '!=':
      return (value) => !equals(value, operand);
    case 'IN':
      return (value) => members.has(value);
    case 'NOTIN':
    case 'NOT IN':
      return (value) => !members.has(value);
    case 'LIKE':
      return (value) => value.includes(operand);
    case 'NOTLIKE':
    case 'NOT LIKE':
      return (value) => !value.includes(operand);
    case 'STARTSWITH':
      return (value) => value.startsWith(operand);
    case 'ENDSWITH':
      return (value) => value.endsWith(operand);
    case 'ISEMPTY':
      return (value) => value === '';
    case 'ISNOTEMPTY':
      return (value) => value !== '';
    case '>':
      return compared((difference) => difference > 0);
    case '>=':
      return compared((difference) => difference >= 0);
    case '<':
      return compared((difference) => difference < 0);
    case '<=':
      return compared((difference) => difference <= 0);
  }
}

function collect(store: Store, table: Table, alternatives: Bound[][][]): Row[] {
  if (alternatives.length === 1) return collectOne(store, table, alternatives[0] ?? []);
  const found = new Set<Row>();
  for (const anyOfs of alternatives) for (const row of collectOne(store, table, anyOfs)) found.add(row);
  return [...found];
}

function collectOne(store: Store, table: Table, anyOfs: Bound[][]): Row[] {
  const matches = (row: Row): boolean => anyOfs.every((anyOf) => anyOf.some((bound) => holds(store, row, bound)));
  const rows: Row[] = [];
  for (const row of candidates(store, table, anyOfs) ?? store.rows(table.name)) if (matches(row)) rows.push(row);
  return rows;
}

function holds(store: Store, row: Row, bound: Bound): boolean {
  if (bound.path.references.length === 0) return bound.test(store.valueOf(row, bound.path.column).toLowerCase());
  const end = walk(store, row, bound.path);
  return bound.test(end === undefined ? '' : store.valueOf(end, bound.path.column).toLowerCase());
}

/** The smallest set of records that an index can give; undefined where only a scan will do. */
function candidates(store: Store, table: Table, anyOfs: Bound[][]): Iterable<Row> | undefined {
  let best: Set<Row> | undefined;
  for (const anyOf of anyOfs) {
    const sets = anyOf.map((bound) => indexed(store, table, bound));
    if (sets.some((set) => set === undefined)) continue;
    const union = new Set(sets.flatMap((set) => set ?? []));
    if (best === undefined || union.size < best.size) best = union;
    if (best.size === 0) break;
  }
  return best;
}

function indexed(store: Store, table: Table, bound: Bound): Row[] | undefined {
  const { operator } = bound.condition;
  const { column, references } = bound.path;
  if (operator !== '=' && operator !== 'IN') return undefined;
  // Booleans and numbers have several spellings of one value, and the class is not stored in every row.
  if (isNumeric(column) || column.type === 'boolean' || column.name === 'sys_class_name') return undefined;
  if (bound.operands.includes('')) return undefined;
  if (references.length > 1) return undefined;
  const [reference] = references;
  if (reference === undefined) {
    if (column.name !== 'sys_id') return store.equal(table.name, column.name, bound.operands);
    return bound.operands.flatMap((sysId) => store.find(table.name, sysId) ?? []);
  }
  if (reference.referenceKey !== undefined || reference.reference === undefined) return undefined;
  const targets = store.equal(reference.reference, column.name, bound.operands);
  return store.equal(
    table.name,
    reference.name,
    targets.map((target) => target.sysId),
  );
}

function sort(store: Store, rows: Row[], orderBy: { path: Path; descending: boolean }[]): void {
  const keys = new Map(rows.map((row) => [row, orderBy.map(({ path }) => valueAt(store, row, path).toLowerCase())]));
  rows.sort((left, right) => {
    for (const [index, { path, descending }] of orderBy.entries()) {
      const one = keys.get(left)?.[index] ?? '';
      const other = keys.get(right)?.[index] ?? '';
      const order = isNumeric(path.column) ? Number(one) - Number(other) : one < other ? -1 : one > other ? 1 : 0;
      if (order !== 0) return descending ? -order : order;
    }
    return 0;
  });
}
