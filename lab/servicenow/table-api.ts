import type { Access, Caller } from './access.ts';
import { ApiError, apiPath, json, jsonBody, noContent, type ApiRequest, type ApiResponse } from './http.ts';
import { runQuery } from './query/evaluate.ts';
import { renderRow, type DisplayMode, type RenderOptions } from './render.ts';
import type { Table } from './schema.ts';
import { UniqueViolation, type Row, type Store } from './store.ts';
import { storedValue } from './values.ts';

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

function methodNotAllowed(): ApiError {
  // No 405 was recorded; the lab uses the common envelope.
  return new ApiError(405, 'Method not supported', null);
}

function noRecord(): ApiError {
  return new ApiError(404, 'No Record found', "Record doesn't exist or ACL restricts the record retrieval");
}

/** A table that answers 403 instead of an empty list; which body it carries was not recorded. */
export function requireNotForbidden(context: ApiContext, caller: Caller, table: Table): void {
  if (context.access.may(caller, table, 'read') || context.access.ruleFor(table).unreadable !== 'forbidden') return;
  throw new ApiError(403, 'User Not Authorized', 'Failed API level ACL Validation');
}

/** Runs `sysparm_query`; a hidden column refuses the whole query (errors/403_field_not_readable_in_query.json). */
export function queryRows(context: ApiContext, caller: Caller, table: Table, query: string): Row[] {
  const result = runQuery(context.store, table, query, {
    userSysId: caller.sysId,
    mayRead: (owner, column) => context.access.mayReadField(caller, owner, column),
  });
  if (result.unreadable === undefined) return result.rows;
  throw new ApiError(403, 'Insufficient rights to query records', 'Field(s) present in the query do not have permission to be read');
}

function list(call: TableCall): ApiResponse {
  const { request, table, store, caller, access } = call;
  requireNotForbidden(call, caller, table);
  const rows = queryRows(call, caller, table, request.query.get('sysparm_query') ?? '');
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
  const link = pageLinks(call, rows.length, limit, offset, withCount);
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
  const values = writtenValues(call, table, jsonBody(request));
  const row = guarded(() => store.insert(table.name, values, caller.userName));
  const location = { location: `${call.apiBase}/table/${table.name}/${row.sysId}` };
  if (request.headers['x-no-response-body'] === 'true') return { ...noContent(), status: 201, headers: location };
  return json(201, { result: renderRow(store, table, row, renderOptions(call)) }, location);
}

function update(call: TableCall, sysId: string): ApiResponse {
  const { store, table, caller, access, request } = call;
  // The right to write is judged before the record is looked for: 403 tells a denied caller, 404 one who may write (servicenow.md §5.2).
  if (!access.may(caller, table, 'write')) throw refused('Update');
  const body = jsonBody(request);
  const row = readable(call, sysId);
  const rowTable = classOf(store, row);
  if (!access.may(caller, rowTable, 'write')) throw refused('Update');
  guarded(() => store.update(row, writtenValues(call, table, body), caller.userName));
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

function refused(operation: 'Insert' | 'Update' | 'Delete'): ApiError {
  return new ApiError(403, 'Operation Failed', `ACL Exception ${operation} Failed due to security constraints`);
}

/** A broken unique index; how the platform words it over REST was not recorded. */
function guarded<T>(write: () => T): T {
  try {
    return write();
  } catch (error) {
    if (error instanceof UniqueViolation) throw new ApiError(403, 'Operation Failed', error.message);
    throw error;
  }
}

/** Unknown names and `sys_*` fields are left out without a word; dictionary `mandatory` is not enforced (servicenow.md §5.2). */
function writtenValues(call: TableCall, table: Table, body: unknown): Record<string, string> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ApiError(400, 'Exception while reading request', 'The payload is not a valid record object');
  }
  const values: Record<string, string> = {};
  for (const [name, value] of Object.entries(body)) {
    const column = table.columns.get(name);
    if (column === undefined || name.startsWith('sys_') || !call.access.mayWriteField(call.caller, table, name)) continue;
    values[name] = storedValue(column, value);
  }
  return values;
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

function wholeNumber(text: string | null): number | undefined {
  return text !== null && /^\d+$/.test(text) ? Number(text) : undefined;
}

/**
 * The Link header: only where the answer is a part of the whole; prev has a negative offset on the first page, next is missing on
 * the last one; unknown URL parameters are echoed (table-api/get_list_incident_v2_full_headers.json, paging_three_pages_display_all.json).
 */
function pageLinks(call: TableCall, total: number, limit: number, offset: number, withCount: boolean): string | undefined {
  if (total <= limit || limit === 0 || call.request.query.get('sysparm_suppress_pagination_header') === 'true') return undefined;
  const kept = (call.request.url.split('?', 2)[1] ?? '').split('&').filter((part) => part !== '' && !part.startsWith('sysparm_offset='));
  const to = (rel: string, target: number): string =>
    `<${call.baseUrl()}${call.request.path}?${[...kept, `sysparm_offset=${String(target)}`].join('&')}>;rel="${rel}"`;
  const links = [to('first', 0), to('prev', offset - limit)];
  if (offset + limit < total) links.push(to('next', offset + limit));
  if (withCount) links.push(to('last', Math.floor((total - 1) / limit) * limit));
  return links.join(',');
}
