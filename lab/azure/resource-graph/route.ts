import type { ArmAnswer, ArmCall, ArmRoute } from '../arm/router.ts';
import type { Json, JsonObject } from '../json.ts';
import { invalidQuery, payloadTooLarge } from './errors.ts';
import { createTotalsCache, executePage, resultRows, type Execution, type Page, type TotalsCache } from './execute.ts';
import { facetResults } from './facets.ts';
import { parseQuery } from './parser.ts';
import { createGraphQuota, type GraphQuota } from './quota.ts';
import { fingerprintOf, readRequest, readToken, writeToken, type GraphRequest } from './request.ts';
import { QueryError, type Query } from './syntax.ts';
import { createVisibleCache, type VisibleCache } from './visibility.ts';

const TABLES: ReadonlySet<string> = new Set(['resources', 'resourcecontainers', 'securityresources']);

/** `POST /providers/Microsoft.ResourceGraph/resources`: azure.md §1.9. */
export function resourceGraphRoute(): ArmRoute {
  const totals = createTotalsCache();
  const visible = createVisibleCache();
  const quotas = createGraphQuota();
  return {
    resourceType: 'Microsoft.ResourceGraph/resources',
    form: 'list',
    method: 'POST',
    scopes: ['tenant'],
    apiVersions: ['2024-04-01', '2022-10-01'],
    action: null,
    handle: (call) => answerQuery(call, totals, visible, quotas),
  };
}

function answerQuery(call: ArmCall, totals: TotalsCache, visible: VisibleCache, quotas: GraphQuota): ArmAnswer {
  const { options, changes } = call.services;
  const quota = quotas.take(call.principal.principalId, options);
  const request = readRequest(call);
  const query = readQuery(request.query);
  const { partitions, headers } = visible.of(call, request, query.table);
  const fingerprint = fingerprintOf(request);
  const execution: Execution = {
    query,
    partitions,
    top: request.top,
    skip: request.skip,
    from: readToken(request.skipToken, fingerprint),
    totals: { cache: totals, key: `${call.principal.clientId}|${fingerprint}|${String(changes.revision)}` },
    losesUnordered: options.graphOrder === 'unreliable',
  };
  const page = executePage(execution);
  const drift = options.graphTotals === 'moving' && request.skipToken !== undefined ? 1 : 0;
  const body = answerBody(request, { ...page, totalRecords: page.totalRecords + drift }, fingerprint, facetsOf(request, execution));
  const bytes = Buffer.byteLength(JSON.stringify(body));
  if (bytes > options.graphPayloadBytes) throw payloadTooLarge(bytes, options.graphPayloadBytes);
  return { body, headers: { ...quota, ...headers } };
}

function facetsOf(request: GraphRequest, execution: Execution): JsonObject[] {
  return request.facets.length === 0 ? [] : facetResults(request.facets, resultRows(execution));
}

/** Without `id` in the result there is nothing to page by: the rest is dropped, and `resultTruncated` says so. */
function answerBody({ resultFormat }: GraphRequest, page: Page, fingerprint: string, facets: JsonObject[]): JsonObject {
  const pageable = page.next !== undefined && page.rows[0]?.id !== undefined;
  return {
    totalRecords: page.totalRecords,
    count: page.rows.length,
    resultTruncated: page.next !== undefined && !pageable ? 'true' : 'false',
    $skipToken: pageable ? writeToken(page.next, fingerprint) : undefined,
    facets,
    data: resultFormat === 'table' ? tableOf(page.rows) : page.rows,
  };
}

/** The same rows as columns with types and rows without names. */
function tableOf(rows: readonly JsonObject[]): JsonObject {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const columns = names.map((name) => ({ name, type: typeOf(rows.find((row) => row[name] !== null && row[name] !== undefined)?.[name]) }));
  return { columns, rows: rows.map((row) => names.map((name) => row[name] ?? null)) };
}

function typeOf(value: Json | undefined): string {
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  if (typeof value === 'boolean') return 'boolean';
  return typeof value === 'object' ? 'object' : 'string';
}

function readQuery(text: string): Query {
  try {
    const query = parseQuery(text);
    if (!TABLES.has(query.table)) throw new QueryError('DisallowedLogicalTableName', query.table, 1, 0);
    return query;
  } catch (error) {
    if (error instanceof QueryError) throw invalidQuery(error);
    throw error;
  }
}
