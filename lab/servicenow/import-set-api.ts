import type { Caller } from './access.ts';
import { ApiError, apiPath, json, jsonBody, type ApiRequest, type ApiResponse } from './http.ts';
import type { ImportSets } from './import-sets.ts';
import type { Table } from './schema.ts';
import type { TransformResult } from './transform.ts';
import { methodNotAllowed, noRecord, refused, requireTable, unknownResource, type ApiContext } from './table-api.ts';
import { storedValue } from './values.ts';

/** What staging tables extend. */
const STAGING_ROOT = 'sys_import_set_row';

export interface ImportContext extends ApiContext {
  importSets: ImportSets;
}

interface ImportCall extends ImportContext {
  caller: Caller;
  request: ApiRequest;
  staging: Table;
  apiBase: string;
}

/**
 * `/api/now[/v1]/import/{staging}`: POST one row, GET a row's outcome, POST insertMultiple (servicenow.md §5.5, c_ImportSetAPI;
 * import-set/*.json). Returns the number of records written too.
 */
export function handleImportSet(context: ImportContext, caller: Caller, request: ApiRequest): { response: ApiResponse; writes: number } {
  const path = apiPath(request.path);
  const [, stagingName = '', last, ...more] = path?.parts ?? [];
  if (path === undefined || more.length > 0) throw unknownResource();
  const staging = requireTable(context, stagingName);
  // The text stands in Microsoft's list of connector errors; the status was not recorded.
  if (!staging.lineage.includes(STAGING_ROOT)) throw new ApiError(400, 'Invalid staging table', null);
  const call: ImportCall = { ...context, caller, request, staging, apiBase: `${context.baseUrl()}${path.base}` };
  if (request.method === 'POST' && last === undefined) return insertOne(call);
  if (request.method === 'POST' && last === 'insertMultiple') return insertMultiple(call);
  if (request.method === 'GET' && last !== undefined) return { response: outcome(call, last), writes: 0 };
  throw methodNotAllowed();
}

/** Synchronous: the answer tells what every transform map made of the row. */
function insertOne(call: ImportCall): { response: ApiResponse; writes: number } {
  const { importSets, staging, caller } = call;
  requireMayStage(call);
  const values = stagedValues(call, asRecord(jsonBody(call.request)), 'name');
  const importSet = importSets.open(staging.name, caller.userName);
  const row = importSets.stage(importSet, staging.name, values, caller.userName);
  const results = importSets.transform(row, call.apiBase);
  importSets.complete(importSet);
  return { response: json(201, answer(importSet.values['number'] ?? '', staging.name, results)), writes: 2 + results.length };
}

function outcome(call: ImportCall, sysId: string): ApiResponse {
  const { importSets, staging, store, access, caller } = call;
  const row = store.find(staging.name, sysId);
  // Cleaners purge import sets; later a row is simply not there (documented).
  if (row === undefined || !access.may(caller, staging, 'read')) throw noRecord();
  const importSet = store.find('sys_import_set', row.values['sys_import_set'] ?? '');
  return json(200, answer(importSet?.values['number'] ?? '', staging.name, importSets.resultsOf(row)));
}

/** The answer names the import set, not the rows; what became of them is read from the staging table. */
function insertMultiple(call: ImportCall): { response: ApiResponse; writes: number } {
  const { importSets, staging, store, caller, request } = call;
  requireMayStage(call);
  const { records } = asRecord(jsonBody(request));
  if (!Array.isArray(records)) throw unparsableRecords();
  const { synchronous, columns } = importSets.insertMultipleOf(staging.name);
  const rows = records.map((record) => stagedValues(call, asRecord(record), columns ?? 'label'));
  const multiId = request.query.get('multi_import_set_id') ?? '';
  const multi = store.find('sys_multi_import_set', multiId) ?? store.insert('sys_multi_import_set', {}, caller.userName);
  const importSet = importSets.open(staging.name, caller.userName, multi.sysId);
  const staged = rows.map((values) => importSets.stage(importSet, staging.name, values, caller.userName));
  store.update(importSet, { state: 'loaded' }, 'system');
  if (synchronous === true) {
    for (const row of staged) importSets.transform(row, call.apiBase);
    importSets.complete(importSet);
  } else {
    importSets.transformLater(importSet, staged, call.apiBase, request.query.get('run_after') ?? '');
  }
  const body = { import_set_id: importSet.sysId, multi_import_set_id: multi.sysId };
  return { response: json(201, body), writes: staged.length * (synchronous === true ? 2 : 1) };
}

function requireMayStage({ access, caller, staging }: ImportCall): void {
  if (!access.may(caller, staging, 'create')) throw refused('Insert');
}

/** Strings only; an object is kept as the server prints a map, as documented (":" becomes "="). Unknown columns are left out. */
function stagedValues({ staging }: ImportCall, record: Record<string, unknown>, keys: 'label' | 'name'): Record<string, string> {
  const byLabel = new Map([...staging.columns.values()].map((column) => [column.label, column]));
  const values: Record<string, string> = {};
  for (const [key, value] of Object.entries(record)) {
    const column = keys === 'name' ? staging.columns.get(key) : byLabel.get(key);
    if (column === undefined || column.name.startsWith('sys_')) continue;
    values[column.name] = storedValue(column, typeof value === 'object' && value !== null ? mapNotation(value) : value);
  }
  return values;
}

function mapNotation(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(mapNotation).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const pairs = Object.entries(value).map(([key, member]) => `${key}=${mapNotation(member)}`);
  return `{${pairs.join(', ')}}`;
}

function asRecord(body: unknown): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw unparsableRecords();
  return body as Record<string, unknown>;
}

function unparsableRecords(): ApiError {
  return new ApiError(400, 'Exception while reading request', 'The payload is not a valid record object');
}

function answer(importSet: string, staging: string, result: TransformResult[]): object {
  return { import_set: importSet, staging_table: staging, result };
}
