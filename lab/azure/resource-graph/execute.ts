import type { GraphPartition } from '../estate/model.ts';
import type { Json, JsonObject } from '../json.ts';
import { ArmError } from '../arm/errors.ts';
import { compareValues, decide, evaluate, expandedValues, holds } from './evaluate.ts';
import { inIdOrder, inPartitionOrder, type Candidate, type Position } from './order.ts';
import type { Expression, NamedExpression, Operator, Query } from './syntax.ts';

/** Above this many rows a query that has to hold its result is refused, as the service refuses what is too large. */
const HELD_ROWS_LIMIT = 250_000;

export interface Page {
  readonly rows: JsonObject[];
  readonly totalRecords: number;
  /** Where the next page starts; undefined at the end. */
  readonly next: Position | undefined;
}

/** Remembers totals of (query, scope, revision): a total costs a scan, a page must not. */
export interface TotalsCache {
  get(key: string): number | undefined;
  set(key: string, total: number): void;
}

export function createTotalsCache(limit = 64): TotalsCache {
  const totals = new Map<string, number>();
  return {
    get: (key) => totals.get(key),
    set: (key, total) => {
      if (totals.size >= limit) totals.delete(totals.keys().next().value ?? key);
      totals.set(key, total);
    },
  };
}

export interface Execution {
  readonly query: Query;
  readonly partitions: readonly GraphPartition[];
  readonly top: number;
  readonly skip: number;
  readonly from: Position;
  readonly totals: { readonly cache: TotalsCache; readonly key: string };
  /** Pages after the first lose a row where the query is not ordered by id: its skip token is not reliable (azure.md §1.9). */
  readonly losesUnordered: boolean;
}

/**
 * One page of a query. A query that only filters, computes and projects, in no order or by id, is read from where the page
 * starts: memory and work of a page do not grow with the estate. Anything else is computed whole and cut.
 */
export function executePage(execution: Execution): Page {
  const plan = planOf(execution.query.operators);
  const streamable = plan.rest.length === 0 && execution.skip === 0 && execution.from.kind !== 'offset';
  return streamable ? streamedPage(execution, plan) : heldPage(execution);
}

interface Plan {
  /** The conditions before anything else: they may be decided for whole partitions. */
  readonly conditions: readonly Expression[];
  /** extend, project and where after them. */
  readonly rowwise: readonly Operator[];
  readonly orderedById: boolean;
  /** What cannot be streamed. */
  readonly rest: readonly Operator[];
}

function planOf(operators: readonly Operator[]): Plan {
  let index = 0;
  const conditions: Expression[] = [];
  for (; index < operators.length; index += 1) {
    const operator = operators[index];
    if (operator?.kind !== 'where') break;
    conditions.push(operator.condition);
  }
  const rowwise: Operator[] = [];
  let orderedById = false;
  for (; index < operators.length; index += 1) {
    const operator = operators[index];
    if (operator === undefined) break;
    if (isOrderById(operator)) orderedById = true;
    else if (operator.kind === 'extend' || operator.kind === 'project' || operator.kind === 'project-away' || operator.kind === 'where') {
      if (redefinesId(operator)) break;
      rowwise.push(operator);
    } else break;
  }
  return { conditions, rowwise, orderedById, rest: operators.slice(index) };
}

function isOrderById(operator: Operator): boolean {
  if (operator.kind !== 'order' || operator.keys.length !== 1) return false;
  const [key] = operator.keys;
  return key?.descending === false && key.expression.kind === 'path' && key.expression.path.join('.') === 'id';
}

/** `extend id = tolower(id)` is no longer the order of the rows. */
function redefinesId(operator: Operator): boolean {
  if (operator.kind !== 'extend' && operator.kind !== 'project') return false;
  return operator.columns.some(
    ({ name, expression }) => name === 'id' && !(expression.kind === 'path' && expression.path.join('.') === 'id'),
  );
}

function streamedPage(execution: Execution, plan: Plan): Page {
  const candidates = candidatesOf(execution.partitions, plan.conditions);
  const totalRecords = totalOf(execution, candidates, plan);
  const source = plan.orderedById ? inIdOrder(candidates, execution.from) : inPartitionOrder(candidates, unorderedStart(execution));
  const rows: JsonObject[] = [];
  let last: Position | undefined;
  for (const { row, position } of source) {
    const result = applyRowwise(row, plan.rowwise);
    if (result === undefined) continue;
    if (rows.length === execution.top) return { rows, totalRecords, next: last };
    rows.push(result);
    last = position;
  }
  return { rows, totalRecords, next: undefined };
}

function unorderedStart({ from, losesUnordered }: Execution): Position {
  return losesUnordered && from.kind === 'partition' ? { ...from, row: from.row + 1 } : from;
}

function candidatesOf(partitions: readonly GraphPartition[], conditions: readonly Expression[]): Candidate[] {
  const candidates: Candidate[] = [];
  for (const [index, partition] of partitions.entries()) {
    const open: Expression[] = [];
    let excluded = false;
    for (const condition of conditions) {
      const decided = decide(condition, partition.constants);
      if (decided === undefined) open.push(condition);
      else if (!decided) excluded = true;
    }
    if (!excluded && partition.rows.size > 0) candidates.push({ index, partition, conditions: open });
  }
  return candidates;
}

function totalOf(execution: Execution, candidates: readonly Candidate[], plan: Plan): number {
  const filters = plan.rowwise.filter((operator) => operator.kind === 'where');
  if (filters.length === 0 && candidates.every(({ conditions }) => conditions.length === 0)) {
    return candidates.reduce((sum, { partition }) => sum + partition.rows.size, 0);
  }
  const known = execution.totals.cache.get(execution.totals.key);
  if (known !== undefined) return known;
  let total = 0;
  for (const { row } of inPartitionOrder(candidates, { kind: 'start' })) {
    if (filters.length === 0 || applyRowwise(row, plan.rowwise) !== undefined) total += 1;
  }
  execution.totals.cache.set(execution.totals.key, total);
  return total;
}

/** The row after extend, project and where; undefined where a condition drops it. */
function applyRowwise(row: JsonObject, operators: readonly Operator[]): JsonObject | undefined {
  let current = row;
  for (const operator of operators) {
    if (operator.kind === 'where') {
      if (!holds(operator.condition, current)) return undefined;
    } else if (operator.kind === 'extend') current = { ...current, ...columnsOf(operator.columns, current) };
    else if (operator.kind === 'project') current = columnsOf(operator.columns, current);
    else if (operator.kind === 'project-away') {
      current = Object.fromEntries(Object.entries(current).filter(([name]) => !operator.names.includes(name)));
    }
  }
  return current;
}

function columnsOf(columns: readonly NamedExpression[], row: JsonObject): JsonObject {
  const result: Record<string, Json> = {};
  let seen = row;
  for (const { name, expression } of columns) {
    result[name] = evaluate(expression, seen) ?? null;
    // A later column of the same operator may use an earlier one.
    seen = { ...seen, [name]: result[name] };
  }
  return result;
}

function heldPage(execution: Execution): Page {
  const rows = resultRows(execution);
  const offset = execution.from.kind === 'offset' ? execution.from.offset : execution.skip;
  const end = offset + execution.top;
  return {
    rows: rows.slice(offset, end),
    totalRecords: rows.length,
    next: end < rows.length ? { kind: 'offset', offset: end } : undefined,
  };
}

/** The whole result of a query; ArmError 400 where it is more than can be held. Rows that are only counted are not held. */
export function resultRows({ query, partitions }: Pick<Execution, 'query' | 'partitions'>): JsonObject[] {
  const plan = planOf(query.operators);
  const candidates = candidatesOf(partitions, plan.conditions);
  const operators = query.operators.slice(plan.conditions.length);
  const first = operators.findIndex((operator) => !ROWWISE.has(operator.kind));
  const rowwise = first === -1 ? operators : operators.slice(0, first);
  const [next, ...later] = first === -1 ? [] : operators.slice(first);
  if (next?.kind === 'summarize') {
    const counted = rowwise.length === 0 ? countedByConstants(candidates, next) : undefined;
    return later.reduce(applyHeld, counted ?? summarize(rowsThrough(candidates, rowwise), next));
  }
  const rows: JsonObject[] = [];
  for (const row of rowsThrough(candidates, rowwise)) {
    if (rows.length >= HELD_ROWS_LIMIT) throw tooLarge();
    rows.push(row);
  }
  return (next === undefined ? [] : [next, ...later]).reduce(applyHeld, rows);
}

const ROWWISE: ReadonlySet<Operator['kind']> = new Set(['where', 'extend', 'project', 'project-away']);

function* rowsThrough(candidates: readonly Candidate[], operators: readonly Operator[]): Generator<JsonObject> {
  for (const { row } of inPartitionOrder(candidates, { kind: 'start' })) {
    const result = applyRowwise(row, operators);
    if (result !== undefined) yield result;
  }
}

/** Counts by columns that are the same in all rows of each partition: no row has to be made for that. */
function countedByConstants(candidates: readonly Candidate[], operator: Summarize): JsonObject[] | undefined {
  if (operator.aggregates.some((aggregate) => aggregate.function !== 'count')) return undefined;
  const groups = new Map<string, { key: JsonObject; count: number }>();
  for (const { partition, conditions } of candidates) {
    const key: Record<string, Json> = {};
    for (const { name, expression } of operator.by) {
      const constant = expression.kind === 'path' ? partition.constants.get(expression.path.join('.')) : undefined;
      if (constant === undefined) return undefined;
      key[name] = constant;
    }
    if (conditions.length > 0) return undefined;
    const text = JSON.stringify(key);
    const group = groups.get(text) ?? { key, count: 0 };
    group.count += partition.rows.size;
    groups.set(text, group);
  }
  if (operator.by.length === 0 && groups.size === 0) return undefined;
  return [...groups.values()].map(({ key, count }) => ({
    ...key,
    ...Object.fromEntries(operator.aggregates.map(({ name }) => [name, count])),
  }));
}

function tooLarge(): ArmError {
  return new ArmError(400, 'BadRequest', 'The query holds too many rows; filter or project less, or order by id.', {
    details: [
      { code: 'QueryExecutionResultSizeLimitExceeded', message: `A result of more than ${String(HELD_ROWS_LIMIT)} rows cannot be held.` },
    ],
  });
}

function applyHeld(rows: JsonObject[], operator: Operator): JsonObject[] {
  switch (operator.kind) {
    case 'order':
      return rows.toSorted((left, right) => {
        for (const { expression, descending } of operator.keys) {
          const order = compareValues(evaluate(expression, left), evaluate(expression, right));
          if (order !== 0) return descending ? -order : order;
        }
        return 0;
      });
    case 'limit':
      return rows.slice(0, operator.count);
    case 'summarize':
      return summarize(rows, operator);
    case 'mv-expand':
      return rows.flatMap((row) =>
        expandedValues(evaluate(operator.column.expression, row)).map((value) => ({ ...row, [operator.column.name]: value })),
      );
    default:
      return rows.map((row) => applyRowwise(row, [operator])).filter((row) => row !== undefined);
  }
}

type Summarize = Extract<Operator, { kind: 'summarize' }>;

function summarize(rows: Iterable<JsonObject>, { aggregates, by }: Summarize): JsonObject[] {
  const groups = new Map<string, { key: JsonObject; count: number; distinct: Set<string>[] }>();
  for (const row of rows) {
    const key = columnsOf(by, row);
    const text = JSON.stringify(Object.values(key));
    const group = groups.get(text) ?? { key, count: 0, distinct: aggregates.map(() => new Set<string>()) };
    groups.set(text, group);
    group.count += 1;
    for (const [index, { argument }] of aggregates.entries()) {
      if (argument !== undefined) group.distinct[index]?.add(JSON.stringify(evaluate(argument, row) ?? null));
    }
  }
  if (groups.size === 0 && by.length === 0) groups.set('[]', { key: {}, count: 0, distinct: aggregates.map(() => new Set()) });
  return [...groups.values()].map(({ key, count, distinct }) => ({
    ...key,
    ...Object.fromEntries(
      aggregates.map((aggregate, index) => [aggregate.name, aggregate.function === 'count' ? count : (distinct[index]?.size ?? 0)]),
    ),
  }));
}
