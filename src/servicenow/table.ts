/** The Table API, default version (servicenow.md §5.2): reads, single writes, and the same as items of a Batch. */
import { SyncError } from '../errors.ts';
import type { CallKind, SysId } from '../model.ts';
import type { BatchItem, BatchOutcome } from './batch.ts';
import type { CheckColumns } from './columns.ts';
import type { Send } from './http.ts';
import { firstForeignRow, plainValue, query as emptyQuery, type Query } from './query.ts';
import { isObject } from '../transport.ts';

/** A record as the instance sends it: texts, and references as `{link, value}`. Read a column with {@link valueOf}. */
export type Row = Readonly<Record<string, unknown>>;
/** Real column names and texts, as they are sent. */
export type WriteValues = Readonly<Record<string, string>>;

export interface ListOptions {
  readonly query: Query;
  readonly fields: readonly string[];
  /** Rows per request (default 1,000). */
  readonly limit?: number | undefined;
}

export interface WrittenRecord {
  readonly sysId: SysId;
  /** The record after the write, as far as the written columns go: fields that an ACL skipped show their old value. */
  readonly row: Row;
}

export interface TableApi {
  /**
   * One request, in the order of the query. ACLs are applied after the limit, so fewer rows than `limit` do not mean the end.
   * @throws SyncError `misconfigured` (unknown column or table), `malformed-answer` with code `query-ignored` when rows come
   *   back that the query excludes
   */
  list(table: string, options: ListOptions, signal?: AbortSignal): Promise<readonly Row[]>;
  /** All rows, ordered by sys_id, one page in memory at a time; ends only where nothing follows. The query must not be ordered. */
  listAll(table: string, options: ListOptions, signal?: AbortSignal): AsyncGenerator<Row, void>;
  /** One record; undefined when it does not exist or is not readable (the instance does not say which). */
  get(table: string, sysId: SysId, fields: readonly string[], signal?: AbortSignal): Promise<Row | undefined>;
  /** @throws SyncError `outcome-unknown` when it may or may not have been created */
  create(table: string, values: WriteValues, kind: CallKind, signal?: AbortSignal): Promise<WrittenRecord>;
  /** @throws SyncError `not-found` when the record is gone, `outcome-unknown` when it may or may not have been changed */
  update(table: string, sysId: SysId, values: WriteValues, kind: CallKind, signal?: AbortSignal): Promise<WrittenRecord>;
  /** The same as items of a Batch; ids are the caller's. */
  listItem(id: string, table: string, options: ListOptions): BatchItem;
  /** One record with all its columns, whichever: what is readable of a table. */
  sampleItem(id: string, table: string): BatchItem;
  createItem(id: string, table: string, values: WriteValues): BatchItem;
  updateItem(id: string, table: string, sysId: SysId, values: WriteValues): BatchItem;
  deleteItem(id: string, table: string, sysId: SysId): BatchItem;
}

const defaultLimit = 1_000;
/**
 * A Link header repeats the URL for first, prev, next and last, and HTTP clients take no more than 16 KB of headers: of a longer
 * URL the instance is asked for X-Total-Count instead (servicenow.md §5.2).
 */
const longestLinkedUrl = 2_000;
const countInsteadOfLinks = { sysparm_no_count: undefined, sysparm_suppress_pagination_header: 'true' } as const;
/** Pages of one listing: a guard against an instance that never ends, far above any real table. */
const maxPages = 100_000;

export function createTableApi({ send, checkColumns }: { readonly send: Send; readonly checkColumns: CheckColumns }): TableApi {
  const readPage = async (table: string, options: ListOptions, offset: number, signal: AbortSignal | undefined): Promise<Page> => {
    const asked = listQuery(table, options, checkColumns, offset);
    const isLong = queryString(asked).length > longestLinkedUrl;
    const query = isLong ? { ...asked, ...countInsteadOfLinks } : asked;
    const answer = await send({ method: 'GET', path: tablePath(table), query, kind: 'serviceNowReads', effect: 'read', signal });
    const rows = rowsOf(answer.body, table);
    requireAskedFor(rows, options.query, table);
    const hasNext = isLong
      ? Number(answer.header('x-total-count') ?? 0) > offset + (options.limit ?? defaultLimit)
      : /rel="?next"?/i.test(answer.header('link') ?? '');
    return { rows, hasNext };
  };
  const write = async (method: 'POST' | 'PATCH', table: string, request: WriteRequest): Promise<WrittenRecord> => {
    const { sysId, values, kind, signal } = request;
    checkWritable(table, values, checkColumns);
    const answer = await send({
      method,
      path: tablePath(table, sysId),
      query: writeQuery(values),
      body: values,
      kind,
      effect: 'write',
      signal,
    });
    return writtenRecord(answer.body, table);
  };
  return {
    list: async (table, options, signal) => (await readPage(table, options, 0, signal)).rows,
    listAll: (table, options, signal) => listAll(readPage, table, options, signal),
    get: async (table, sysId, fields, signal) => {
      checkColumns(table, fields);
      const query = { sysparm_fields: withSysId(fields).join(','), sysparm_exclude_reference_link: 'true' };
      const path = tablePath(table, sysId);
      const answer = await send({ method: 'GET', path, query, kind: 'serviceNowReads', effect: 'read', alsoFine: [404], signal });
      if (answer.status === 404) return undefined;
      const row = isObject(answer.body) ? answer.body['result'] : undefined;
      if (!isObject(row)) throw malformedRows(table);
      return row;
    },
    create: (table, values, kind, signal) => write('POST', table, { values, kind, signal }),
    update: (table, sysId, values, kind, signal) => write('PATCH', table, { sysId, values, kind, signal }),
    listItem: (id, table, options) => ({
      id,
      method: 'GET',
      // Nobody reads the links of an item, which are many times its rows.
      path: `${tablePath(table)}?${queryString({ ...listQuery(table, options, checkColumns, 0), sysparm_suppress_pagination_header: 'true' })}`,
    }),
    sampleItem: (id, table) => ({
      id,
      method: 'GET',
      path: `${tablePath(table)}?sysparm_limit=1&sysparm_exclude_reference_link=true&sysparm_no_count=true`,
    }),
    createItem: (id, table, values) => {
      checkWritable(table, values, checkColumns);
      return { id, method: 'POST', path: `${tablePath(table)}?${queryString(writeQuery(values))}`, body: values };
    },
    updateItem: (id, table, sysId, values) => {
      checkWritable(table, values, checkColumns);
      return { id, method: 'PATCH', path: `${tablePath(table, sysId)}?${queryString(writeQuery(values))}`, body: values };
    },
    deleteItem: (id, table, sysId) => ({ id, method: 'DELETE', path: tablePath(table, sysId) }),
  };
}

interface Page {
  readonly rows: readonly Row[];
  /** Whether the instance names a next page. Only a sign: its link is never followed. */
  readonly hasNext: boolean;
}

interface WriteRequest {
  readonly sysId?: SysId;
  readonly values: WriteValues;
  readonly kind: CallKind;
  readonly signal: AbortSignal | undefined;
}

type ReadPage = (table: string, options: ListOptions, offset: number, signal: AbortSignal | undefined) => Promise<Page>;

/**
 * Keyset paging: rows that appear or vanish while we read shift no later page. A page can be empty because an ACL hid all its
 * rows (the limit comes first, servicenow.md §5.2), so an empty page ends the list only if the instance names no next one.
 */
async function* listAll(
  readPage: ReadPage,
  table: string,
  options: ListOptions,
  signal: AbortSignal | undefined,
): AsyncGenerator<Row, void> {
  const limit = options.limit ?? defaultLimit;
  let lastId: string | undefined;
  let offset = 0;
  for (let page = 0; page < maxPages; page += 1) {
    const from = lastId === undefined ? options.query : options.query.greaterThan('sys_id', lastId);
    const { rows, hasNext } = await readPage(table, { ...options, query: from.orderBy('sys_id'), limit }, offset, signal);
    if (rows.length === 0 && !hasNext) return;
    yield* rows;
    const newLast = rows.length === 0 ? undefined : plainValue(rows.at(-1)?.['sys_id']);
    if (newLast === undefined) {
      if (rows.length > 0) throw malformedRows(table);
      offset += limit;
      continue;
    }
    if (newLast === lastId) throw endless(table);
    lastId = newLast;
    offset = 0;
  }
  throw endless(table);
}

/** Text of one column: of a plain value, or of the `value` of a reference; '' where the row lacks it. */
export function valueOf(row: Row, column: string): string {
  return plainValue(row[column]) ?? '';
}

function tablePath(table: string, sysId?: SysId): string {
  if (!/^[a-z][a-z0-9_]{0,79}$/.test(table)) {
    throw new SyncError({ kind: 'bug', service: 'servicenow', message: 'A request was not sent: the table name is not an identifier.' });
  }
  return `/api/now/table/${table}${sysId === undefined ? '' : `/${encodeURIComponent(sysId)}`}`;
}

function listQuery(table: string, options: ListOptions, checkColumns: CheckColumns, offset: number): Record<string, string | undefined> {
  checkColumns(table, options.fields);
  checkColumns(table, options.query.columns);
  return {
    sysparm_query: options.query.text === '' ? undefined : options.query.text,
    sysparm_fields: withSysId(options.fields).join(','),
    sysparm_limit: String(options.limit ?? defaultLimit),
    sysparm_offset: offset === 0 ? undefined : String(offset),
    sysparm_exclude_reference_link: 'true',
    sysparm_no_count: 'true',
  };
}

function writeQuery(values: WriteValues): Record<string, string | undefined> {
  return { sysparm_fields: withSysId(Object.keys(values)).join(','), sysparm_exclude_reference_link: 'true' };
}

function withSysId(fields: readonly string[]): readonly string[] {
  return fields.includes('sys_id') ? fields : ['sys_id', ...fields];
}

function queryString(query: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(query)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]))
    .join('&');
}

/** Columns must exist, and those that the platform keeps itself are never sent (design §5). */
function checkWritable(table: string, values: WriteValues, checkColumns: CheckColumns): void {
  const own = Object.keys(values).find((column) => column.startsWith('sys_'));
  if (own !== undefined) {
    throw new SyncError({
      kind: 'bug',
      service: 'servicenow',
      message: `A write to ${table} was not sent: ${own} belongs to the platform.`,
    });
  }
  checkColumns(table, Object.keys(values));
}

function rowsOf(body: unknown, table: string): readonly Row[] {
  const rows = isObject(body) ? body['result'] : undefined;
  if (!Array.isArray(rows) || !rows.every(isObject)) throw malformedRows(table);
  return rows;
}

/**
 * Rows of a list that was asked for as an item of a Batch; undefined when the item has no answer of its own (unserviced, refused)
 * or its page is full: then it has to be asked alone, which pages and casts refusals.
 * @throws SyncError `malformed-answer` with code `query-ignored` as {@link TableApi.list} does
 */
export function listRowsOf(outcome: BatchOutcome | undefined, table: string, options: ListOptions): readonly Row[] | undefined {
  if (outcome?.outcome !== 'answered' || outcome.status !== 200) return undefined;
  const rows = isObject(outcome.body) ? outcome.body['result'] : undefined;
  if (!Array.isArray(rows) || !rows.every(isObject)) return undefined;
  requireAskedFor(rows, options.query, table);
  return rows.length < (options.limit ?? defaultLimit) ? rows : undefined;
}

/** The sys_id of a created or updated record in a Table answer; undefined when there is none. */
export function sysIdOf(body: unknown): { readonly sysId: SysId; readonly row: Row } | undefined {
  const row = isObject(body) ? body['result'] : undefined;
  const sysId = isObject(row) ? plainValue(row['sys_id']) : undefined;
  return isObject(row) && sysId !== undefined && sysId !== '' ? { sysId: sysId as SysId, row } : undefined;
}

function writtenRecord(body: unknown, table: string): WrittenRecord {
  const written = sysIdOf(body);
  if (written !== undefined) return written;
  throw new SyncError({
    kind: 'outcome-unknown',
    service: 'servicenow',
    message: `A record of ${table} was written, but the answer does not name it.`,
  });
}

function requireAskedFor(rows: readonly Row[], asked: Query, table: string): void {
  if (firstForeignRow(rows, asked) === undefined) return;
  throw new SyncError({
    kind: 'malformed-answer',
    service: 'servicenow',
    code: 'query-ignored',
    message: `A query on ${table} brought records that it excludes: the instance ignored a part of it (columns ${[...new Set(asked.columns)].join(', ')}).`,
    remedy: 'Set the property glide.invalid_query.returns_no_rows to true, and check that the integration user may read these columns.',
  });
}

function malformedRows(table: string): SyncError {
  return new SyncError({
    kind: 'malformed-answer',
    service: 'servicenow',
    message: `The answer for ${table} has no record where the Table API documents one.`,
  });
}

function endless(table: string): SyncError {
  return new SyncError({ kind: 'malformed-answer', service: 'servicenow', message: `The list of ${table} does not end: a page repeats.` });
}

/** A query that matches everything; for tables that are read whole. */
export const everything: Query = emptyQuery();
