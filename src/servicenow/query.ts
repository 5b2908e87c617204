/**
 * Encoded queries that mean what they say. An instance drops what it does not understand and then matches everything
 * (servicenow.md §5.2), so nothing doubtful is ever sent: columns are identifiers, values are checked, lists are never empty.
 */
import { SyncError } from '../errors.ts';

/** A condition that a returned row can be held against. */
export interface ExactFilter {
  readonly column: string;
  readonly values: readonly string[];
}

/** Immutable: every method returns a new query. */
export interface Query {
  equals(column: string, value: string): Query;
  notEquals(column: string, value: string): Query;
  /** Any of the values. Values that IN cannot carry (a comma, an operator sign) become OR-ed equalities. */
  in(column: string, values: readonly string[]): Query;
  startsWith(column: string, value: string): Query;
  greaterThan(column: string, value: string): Query;
  isEmpty(column: string): Query;
  isNotEmpty(column: string): Query;
  /** The column refers to the user who asks. */
  isCurrentUser(column: string): Query;
  orderBy(column: string, direction?: 'ascending' | 'descending'): Query;
  /** Value of `sysparm_query`, not yet URL-escaped. */
  readonly text: string;
  /** Every column that the query names. */
  readonly columns: readonly string[];
  readonly exact: readonly ExactFilter[];
}

interface Parts {
  readonly conditions: readonly string[];
  readonly orders: readonly string[];
  readonly columns: readonly string[];
  readonly exact: readonly ExactFilter[];
}

/** Starts an empty query, which matches everything. */
export function query(): Query {
  return build({ conditions: [], orders: [], columns: [], exact: [] });
}

function build(parts: Parts): Query {
  const where = (column: string, condition: string, exact?: ExactFilter): Query =>
    build({
      ...parts,
      conditions: [...parts.conditions, condition],
      columns: [...parts.columns, checkColumn(column)],
      exact: exact === undefined ? parts.exact : [...parts.exact, exact],
    });
  return {
    equals: (column, value) => where(column, `${column}=${checkValue(column, value)}`, { column, values: [value] }),
    notEquals: (column, value) => where(column, `${column}!=${checkValue(column, value)}`),
    in: (column, values) => where(column, anyOf(column, values), { column, values }),
    startsWith: (column, value) => where(column, `${column}STARTSWITH${checkWordOperand(column, value)}`),
    greaterThan: (column, value) => where(column, `${column}>${checkValue(column, value)}`),
    isEmpty: (column) => where(column, `${column}ISEMPTY`),
    isNotEmpty: (column) => where(column, `${column}ISNOTEMPTY`),
    isCurrentUser: (column) => where(column, `${column}=javascript:gs.getUserID()`),
    orderBy: (column, direction = 'ascending') =>
      build({
        ...parts,
        orders: [...parts.orders, `${direction === 'ascending' ? 'ORDERBY' : 'ORDERBYDESC'}${column}`],
        columns: [...parts.columns, checkColumn(column)],
      }),
    text: [...parts.conditions, ...parts.orders].join('^'),
    columns: parts.columns,
    exact: parts.exact,
  };
}

function anyOf(column: string, values: readonly string[]): string {
  if (values.length === 0) throw refused(column, 'a list of no values would match everything');
  const checked = [...new Set(values)].map((value) => checkValue(column, value));
  const listed = checked.filter((value) => !isUnlistable(value));
  const alone = checked.filter(isUnlistable).map((value) => `${column}=${value}`);
  return [...(listed.length === 0 ? [] : [`${column}IN${listed.join(',')}`]), ...alone].join('^OR');
}

/** IN separates by commas; an operator sign behind a word operator could be taken for the operator. */
function isUnlistable(value: string): boolean {
  return /[,=<>]/.test(value) || value !== value.trim();
}

function checkColumn(column: string): string {
  if (!/^[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*){0,3}$/.test(column)) throw refused('(a column)', 'its name is not an identifier');
  return column;
}

function checkValue(column: string, value: string): string {
  if (value.trim() === '') throw refused(column, 'the value is empty: ask for emptiness by isEmpty');
  if (value.includes('^')) throw refused(column, 'the value contains ^, which separates conditions and cannot be escaped');
  if (/[\u0000-\u001f\u007f\u0085\u2028\u2029]/.test(value))
    throw refused(column, 'the value contains a control character or a line break');
  if (!value.isWellFormed()) throw refused(column, 'the value contains half a character (a lone surrogate)');
  if (/^\s*javascript:/i.test(value)) throw refused(column, 'the instance would run the value as a script');
  if (value.startsWith('=')) throw refused(column, 'the value begins with an operator sign');
  return value;
}

function checkWordOperand(column: string, value: string): string {
  if (/[=<>]/.test(value)) throw refused(column, 'the value contains an operator sign');
  return checkValue(column, value);
}

function refused(column: string, because: string): SyncError {
  return new SyncError({
    kind: 'rejected',
    service: 'servicenow',
    code: 'unsafe-query',
    message: `A query on ${column} was not sent: ${because}.`,
  });
}

/** Whether a value can be looked up at all: records whose key cannot are parked instead. */
export function isQueryable(value: string): boolean {
  try {
    checkValue('value', value);
    return true;
  } catch {
    // Every throw of checkValue is a refusal, which is the answer here.
    return false;
  }
}

/** Bytes that a query takes in a URL. */
export function encodedBytes(text: string): number {
  return encodeURIComponent(text).length;
}

/**
 * Cuts "column is any of values" into as few queries as fit into `maxBytes` of URL each (default 6,000; the instance's own
 * limit for a whole URL is 8,192). Doubled values are asked for once, the order is kept. No values: no queries.
 * @throws SyncError `rejected` for a value that cannot be sent, or does not fit alone
 */
export function splitByBytes(base: Query, column: string, values: readonly string[], maxBytes = 6_000): Query[] {
  const room = maxBytes - encodedBytes(base.text) - encodedBytes(`^${column}IN`);
  const queries: Query[] = [];
  let chunk: string[] = [];
  let used = 0;
  for (const value of new Set(values)) {
    checkValue(column, value);
    const bytes = encodedBytes(isUnlistable(value) ? `^OR${column}=${value}` : `,${value}`);
    if (bytes > room) throw refused(column, 'the value is too long for a URL');
    if (used + bytes > room) {
      queries.push(base.in(column, chunk));
      chunk = [];
      used = 0;
    }
    chunk.push(value);
    used += bytes;
  }
  return chunk.length === 0 ? queries : [...queries, base.in(column, chunk)];
}

/**
 * Holds rows against the query's equalities: a row that none of them allows proves that the instance dropped a condition.
 * Compared as leniently as databases do: case, accents, surrounding blanks and the two spellings of a boolean do not count.
 */
export function firstForeignRow<Row extends Readonly<Record<string, unknown>>>(rows: readonly Row[], asked: Query): Row | undefined {
  const filters = asked.exact.map(({ column, values }) => ({ column, wanted: new Set(values.map(loose)) }));
  return rows.find((row) =>
    filters.some(({ column, wanted }) => {
      const value = plainValue(row[column]);
      return value !== undefined && !wanted.has(loose(value));
    }),
  );
}

function loose(value: string): string {
  const folded = value.normalize('NFKD').replace(/\p{M}/gu, '').trim().toLowerCase();
  return folded === '1' ? 'true' : folded === '0' ? 'false' : folded;
}

/** Text of a column as the Table API gives it: a string, or an object with `value`; undefined where the row lacks it. */
export function plainValue(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === null) return '';
  if (typeof value === 'object' && 'value' in value) return plainValue(value.value);
  return undefined;
}
