import type { Access, Caller } from './access.ts';
import { ApiError, apiPath, json, jsonBody, MAX_BODY_BYTES, noContent, type ApiRequest, type ApiResponse } from './http.ts';
import { pageLinks, queryOf, wholeNumber } from './page-query.ts';
import { propertyOf, runQuery } from './query/evaluate.ts';
import { renderRow, type DisplayMode, type RenderOptions } from './render.ts';
import type { Table } from './schema.ts';
import { UniqueViolation, WriteAborted, type Row, type Store } from './store.ts';
import { writtenValues } from './written-values.ts';

const DEFAULT_LIMIT = 10_000;

/** What the API rooms share. */
export interface ApiContext {
  store: Store;
  access: Access;
  /** `https://localhost:PORT`, known once the server listens. */
  baseUrl: () => string;
}

/** `/api/now[/v1|/v2]/table/{table}[/{sys_id}]` (servicenow.md §5.2). */
export function handleTable(context: ApiContext, caller: Caller, request: ApiRequest): ApiResponse {
  const path = apiPath(request.path);
  const [, tableName = '', sysId, ...more] = path?.parts ?? [];
  if (path === undefined || more.length > 0) throw unknownResource();
  const call: TableCall = {
    ...context,
    caller,
    request,
    table: requireTable(context, tableName),
    version: path.version,
    apiBase: `${context.baseUrl()}${path.base}`,
  };
  if (sysId === undefined) {
    if (request.method === 'GET') return list(call);
    if (request.method === 'POST') return insert(call);
    throw methodNotAllowed();
  }
  if (request.method === 'GET') return one(call, sysId);
  // PUT writes what is sent and leaves the rest alone, like PATCH.
  if (request.method === 'PATCH' || request.method === 'PUT') return update(call, sysId);
  if (request.method === 'DELETE') return remove(call, sysId);
  throw methodNotAllowed();
}

interface TableCall extends ApiContext {
  caller: Caller;
  request: ApiRequest;
  table: Table;
  version: '' | 'v1' | 'v2';
  apiBase: string;
}

/** The verdict does not depend on the caller's roles (errors/400_invalid_table.json). */
export function requireTable(context: ApiContext, name: string): Table {
  const table = context.store.schema.get(name);
  if (table === undefined) throw new ApiError(400, `Invalid table ${name}`, null);
  return table;
}

/** The status is an open question of the references (404 and 400 are both reported); the lab answers 404. */
export function unknownResource(): ApiError {
  return new ApiError(404, 'Requested URI does not represent any resource', null);
}

export function methodNotAllowed(): ApiError {
  // No 405 was recorded; the lab uses the common envelope.
  return new ApiError(405, 'Method not supported', null);
}

export function noRecord(): ApiError {
  return new ApiError(404, 'No Record found', "Record doesn't exist or ACL restricts the record retrieval");
}

/** A table that answers 403 instead of an empty list; which body it carries was not recorded. */
export function requireNotForbidden(context: ApiContext, caller: Caller, table: Table): void {
  if (context.access.may(caller, table, 'read') || context.access.ruleFor(table).unreadable !== 'forbidden') return;
  throw apiLevelRefusal();
}

/** errors/403_api_level_acl.json */
export function apiLevelRefusal(): ApiError {
  return new ApiError(403, 'User Not Authorized', 'Failed API level ACL Validation');
}

/** errors/403_field_not_readable_in_query.json */
export function insufficientRights(): ApiError {
  return new ApiError(403, 'Insufficient rights to query records', 'Field(s) present in the query do not have permission to be read');
}

/** Runs `sysparm_query`; a hidden column refuses the whole query (errors/403_field_not_readable_in_query.json). */
export function queryRows(context: ApiContext, caller: Caller, table: Table, query: string): Row[] {
  const result = runQuery(context.store, table, query, {
    userSysId: caller.sysId,
    mayRead: (owner, column) => context.access.mayReadField(caller, owner, column),
  });
  const { queries } = context.access.ruleFor(table);
  const isRefused = queries === 'refused' && query !== '';
  const isUnknownRefused = queries === 'unknown-refused' && result.unknown.length > 0;
  if (result.unreadable === undefined && !isRefused && !isUnknownRefused) return result.rows;
  throw insufficientRights();
}

function list(call: TableCall): ApiResponse {
  const { request, table, store, caller, access } = call;
  requireNotForbidden(call, caller, table);
  const rows = queryRows(call, caller, table, queryOf(store, table, request));
  const limit = wholeNumber(request.query.get('sysparm_limit')) ?? DEFAULT_LIMIT;
  const offset = wholeNumber(request.query.get('sysparm_offset')) ?? 0;
  // The limit is applied before the ACLs: a short page is not the last one, and the total counts what the caller cannot see.
  const page = rows.slice(offset, offset + limit).filter((row) => access.may(caller, classOf(store, row), 'read'));
  if (page.length === 0 && call.version === 'v1') {
    throw new ApiError(404, 'No Record found', 'Records matching query not found. Check query parameter or offset parameter');
  }
  const options = renderOptions(call);
  const withCount = request.query.get('sysparm_no_count') !== 'true';
  const headers: Record<string, string> = withCount ? { 'x-total-count': String(rows.length) } : {};
  const link = pageLinks(request, { baseUrl: call.baseUrl(), total: rows.length, limit, offset, withCount });
  if (link !== undefined) headers['link'] = link;
  return json(200, { result: page.map((row) => renderRow(store, table, row, options)) }, headers);
}

function one(call: TableCall, sysId: string): ApiResponse {
  requireNotForbidden(call, call.caller, call.table);
  const row = readable(call, sysId);
  return json(200, { result: renderRow(call.store, call.table, row, renderOptions(call)) });
}

function insert(call: TableCall): ApiResponse {
  const { store, table, caller, access, request } = call;
  if (!access.may(caller, table, 'create')) throw refused('Insert');
  const body = bodyOf(call);
  if (access.refusesColumns(caller, table, columnsOf(body), 'create')) throw refused('Insert');
  const values = valuesOf(call, body, 'create');
  const row = guarded(() => store.insert(table.name, values, caller.userName));
  const location = { location: `${call.apiBase}/table/${table.name}/${row.sysId}` };
  if (request.headers['x-no-response-body'] === 'true') return { ...noContent(), status: 201, headers: location };
  return json(201, { result: renderRow(store, table, row, renderOptions(call)) }, location);
}

function update(call: TableCall, sysId: string): ApiResponse {
  const { store, table, caller, access, request } = call;
  // The right to write is judged before the record is looked for: 403 tells a denied caller, 404 one who may write (servicenow.md §5.2).
  if (!access.may(caller, table, 'write')) throw refused('Update');
  const body = bodyOf(call);
  const row = readable(call, sysId);
  const rowTable = classOf(store, row);
  if (!access.may(caller, rowTable, 'write')) throw refused('Update');
  if (access.refusesColumns(caller, rowTable, columnsOf(body), 'write')) throw refused('Update');
  const values = valuesOf(call, body, 'write');
  guarded(() => store.update(row, values, caller.userName));
  if (request.headers['x-no-response-body'] === 'true') return { ...noContent(), status: 200 };
  return json(200, { result: renderRow(store, table, row, renderOptions(call)) });
}

function remove(call: TableCall, sysId: string): ApiResponse {
  if (!call.access.may(call.caller, call.table, 'delete')) throw refused('Delete');
  call.store.delete(readable(call, sysId));
  return noContent();
}

function readable(call: TableCall, sysId: string): Row {
  const row = call.store.find(call.table.name, sysId);
  if (row === undefined || !call.access.may(call.caller, classOf(call.store, row), 'read')) throw noRecord();
  return row;
}

function classOf(store: Store, row: Row): Table {
  const table = store.schema.get(row.table);
  if (table === undefined) throw new Error(`The lab has no table "${row.table}".`);
  return table;
}

export function refused(operation: 'Insert' | 'Update' | 'Delete'): ApiError {
  return new ApiError(403, 'Operation Failed', `ACL Exception ${operation} Failed due to security constraints`);
}

function bodyOf(call: TableCall): unknown {
  const megabytes = Number(propertyOf(call.store, 'glide.rest.max_content_length'));
  return jsonBody(call.request, megabytes >= 1 ? Math.min(megabytes, 25) * 1024 * 1024 : MAX_BODY_BYTES);
}

function columnsOf(body: unknown): string[] {
  return typeof body === 'object' && body !== null ? Object.keys(body) : [];
}

function valuesOf(call: TableCall, body: unknown, operation: 'create' | 'write'): Record<string, string> {
  return writtenValues({ ...call, body, operation, asDisplayValues: call.request.query.get('sysparm_input_display_value') === 'true' });
}

/** A rule that stopped the write is a 403 (errors/403_business_rule_abort.json); how a broken unique index is worded was not recorded. */
export function guarded<T>(write: () => T): T {
  try {
    return write();
  } catch (error) {
    const isRefused = error instanceof UniqueViolation || error instanceof WriteAborted;
    if (isRefused) throw new ApiError(403, 'Operation Failed', error.message);
    throw error;
  }
}

function renderOptions(call: TableCall): RenderOptions {
  const { query } = call.request;
  const display = query.get('sysparm_display_value');
  const fields = query.get('sysparm_fields');
  return {
    linkBase: call.apiBase,
    display: display === 'true' || display === 'all' ? (display satisfies DisplayMode) : 'false',
    excludeReferenceLink: query.get('sysparm_exclude_reference_link') === 'true',
    fields: fields === null || fields === '' ? undefined : fields.split(',').map((field) => field.trim()),
    mayRead: (table, column) => call.access.mayReadField(call.caller, table, column),
  };
}
