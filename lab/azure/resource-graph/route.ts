import { createHash, randomUUID } from 'node:crypto';
import { ArmError } from '../arm/errors.ts';
import type { ArmAnswer, ArmCall, ArmRoute } from '../arm/router.ts';
import type { GraphPartition } from '../estate/model.ts';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import { createTotalsCache, executePage, type Page, type Position, type TotalsCache } from './execute.ts';
import { parseQuery } from './parser.ts';
import { createGraphQuota, type GraphQuota } from './quota.ts';
import { QueryError, type Query } from './syntax.ts';

const TABLES: ReadonlySet<string> = new Set(['resources', 'resourcecontainers', 'securityresources']);
/** Hard limit of the array (azure.md §1.9). */
const MAX_SUBSCRIPTIONS = 1000;
const MAX_TOP = 1000;

/** `POST /providers/Microsoft.ResourceGraph/resources`: azure.md §1.9. */
export function resourceGraphRoute(): ArmRoute {
  const totals = createTotalsCache();
  const quotas = createGraphQuota();
  return {
    resourceType: 'Microsoft.ResourceGraph/resources',
    form: 'list',
    method: 'POST',
    scopes: ['tenant'],
    apiVersions: ['2024-04-01', '2022-10-01'],
    action: null,
    handle: (call) => answerQuery(call, totals, quotas),
  };
}

interface GraphRequest {
  readonly query: string;
  readonly subscriptions: readonly string[] | undefined;
  readonly managementGroups: readonly string[] | undefined;
  readonly top: number;
  readonly skip: number;
  readonly skipToken: string | undefined;
}

function answerQuery(call: ArmCall, totals: TotalsCache, quotas: GraphQuota): ArmAnswer {
  const { options, changes } = call.services;
  const headers = quotas.take(call.principal.principalId, options);
  const request = readRequest(call);
  const query = readQuery(request.query);
  const partitions = partitionsFor(call, request, query);
  const fingerprint = fingerprintOf(request);
  const page = executePage({
    query,
    partitions,
    top: request.top,
    skip: request.skip,
    from: readToken(request.skipToken, fingerprint),
    totals: { cache: totals, key: `${call.principal.clientId}|${fingerprint}|${String(changes.revision)}` },
  });
  const body = answerBody(page, fingerprint);
  const bytes = Buffer.byteLength(JSON.stringify(body));
  if (bytes > options.graphPayloadBytes) throw payloadTooLarge(bytes, options.graphPayloadBytes);
  return { body, headers };
}

/** Without `id` in the result there is nothing to page by: the rest is dropped, and `resultTruncated` says so. */
function answerBody(page: Page, fingerprint: string): JsonObject {
  const pageable = page.next !== undefined && page.rows[0]?.id !== undefined;
  return {
    totalRecords: page.totalRecords,
    count: page.rows.length,
    resultTruncated: page.next !== undefined && !pageable ? 'true' : 'false',
    $skipToken: pageable ? writeToken(page.next, fingerprint) : undefined,
    facets: [],
    data: page.rows,
  };
}

function readRequest(call: ArmCall): GraphRequest {
  const body = parseBody(call);
  const query = body.query;
  if (typeof query !== 'string' || query.trim() === '') throw invalidRequest('InvalidQuery', 'The query of the request is empty.');
  if (Array.isArray(body.facets) && body.facets.length > 0) throw invalidRequest('FacetsNotSupported', 'Facets are not served here.');
  const options = isJsonObject(body.options) ? body.options : {};
  if (options.resultFormat !== undefined && options.resultFormat !== 'objectArray') {
    throw invalidRequest(
      'UnsupportedResultFormat',
      `The result format '${JSON.stringify(options.resultFormat)}' is not served here; use objectArray.`,
    );
  }
  const top = numberOption(options, '$top', MAX_TOP);
  if (top < 1 || top > MAX_TOP)
    throw invalidRequest('InvalidPagingParameter', `The value of $top must be between 1 and ${String(MAX_TOP)}.`);
  const subscriptions = textList(body.subscriptions);
  const managementGroups = textList(body.managementGroups);
  if (subscriptions !== undefined && subscriptions.length > MAX_SUBSCRIPTIONS) {
    throw invalidRequest('TooManySubscriptions', `At most ${String(MAX_SUBSCRIPTIONS)} subscriptions may be given.`);
  }
  if (subscriptions !== undefined && managementGroups !== undefined) {
    throw invalidRequest('InvalidScope', 'Either subscriptions or managementGroups may be given, not both.');
  }
  return {
    query,
    subscriptions,
    managementGroups,
    top,
    skip: numberOption(options, '$skip', 0),
    skipToken: typeof options.$skipToken === 'string' ? options.$skipToken : undefined,
  };
}

function parseBody(call: ArmCall): JsonObject {
  if (!call.contentType.toLowerCase().startsWith('application/json')) {
    throw new ArmError(415, 'UnsupportedMediaType', "The content media type is not supported. Only 'application/json' is supported.");
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(call.body.toString('utf8'));
  } catch {
    throw new ArmError(400, 'InvalidRequestContent', 'The request content was invalid and could not be deserialized.');
  }
  if (!isJsonObject(parsed))
    throw new ArmError(400, 'InvalidRequestContent', 'The request content was invalid and could not be deserialized.');
  return parsed;
}

function numberOption(options: JsonObject, name: string, fallback: number): number {
  const value = options[name] ?? fallback;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) {
    throw invalidRequest('InvalidPagingParameter', `The value of ${name} must be a whole number.`);
  }
  return value;
}

function textList(value: Json | undefined): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  return value.filter((item) => typeof item === 'string').map((item) => item.toLowerCase());
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

/** What the principal may read of the scope it named: missing access means fewer rows, never an error (azure.md §1.9). */
function partitionsFor(call: ArmCall, request: GraphRequest, query: Query): GraphPartition[] {
  const { access, estate } = call.services;
  const visible = access.visibleSubscriptions(call.principal).map(({ subscriptionId }) => subscriptionId);
  const groups = (request.managementGroups ?? []).filter((name) => access.managementGroup(name) !== undefined);
  const named = request.subscriptions ?? (request.managementGroups === undefined ? undefined : subscriptionsOf(call, groups));
  const readable = named === undefined ? visible : visible.filter((id) => named.includes(id.toLowerCase()));
  const partitions = [...estate.graphPartitions(readable)];
  if (readsTenantRows(call, request, groups)) partitions.push(...estate.tenantGraphPartitions());
  return partitions.filter(({ table }) => table === query.table);
}

function subscriptionsOf(call: ArmCall, groups: readonly string[]): string[] {
  return groups.flatMap((name) => call.services.access.subscriptionsUnder(name)).map(({ subscriptionId }) => subscriptionId.toLowerCase());
}

/** cvedetails show at management-group or tenant scope to who holds a role there; otherwise they are just empty (azure.md §1.7). */
function readsTenantRows(call: ArmCall, request: GraphRequest, groups: readonly string[]): boolean {
  const { access, estate } = call.services;
  if (request.subscriptions !== undefined) return false;
  const scopes =
    request.managementGroups === undefined
      ? estate.managementGroups.filter(({ parent }) => parent === null).map(({ name }) => name)
      : groups;
  return scopes.some((name) =>
    access.allows(call.principal, `/providers/Microsoft.Management/managementGroups/${name}`, 'Microsoft.Security/assessments/read'),
  );
}

/** A token belongs to its query and scope; another one's is refused. */
function fingerprintOf(request: GraphRequest): string {
  const identity = JSON.stringify([request.query, request.subscriptions ?? null, request.managementGroups ?? null]);
  return createHash('sha256').update(identity).digest('base64url').slice(0, 16);
}

function writeToken(position: Position | undefined, fingerprint: string): string {
  return Buffer.from(JSON.stringify({ f: fingerprint, p: position })).toString('base64');
}

function readToken(token: string | undefined, fingerprint: string): Position {
  if (token === undefined || token === '') return { kind: 'start' };
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(token, 'base64').toString('utf8'));
  } catch {
    throw invalidRequest('InvalidSkipToken', 'The skip token is not valid.');
  }
  if (!isJsonObject(parsed) || parsed.f !== fingerprint || !isJsonObject(parsed.p)) {
    throw invalidRequest('InvalidSkipToken', 'The skip token does not belong to this query.');
  }
  return parsed.p as unknown as Position;
}

/** Outer form of every Resource Graph error; the reason is in `details` (errors/arg_400_*.json). */
function graphError(details: JsonObject[]): ArmError {
  const message = `Please provide below info when asking for support: timestamp = ${new Date().toISOString()}, correlationId = ${randomUUID()}.`;
  return new ArmError(400, 'BadRequest', message, { details });
}

function invalidRequest(code: string, message: string): ArmError {
  return graphError([{ code, message }]);
}

function invalidQuery(error: QueryError): ArmError {
  return graphError([
    {
      code: 'InvalidQuery',
      message:
        'Query is invalid. Please refer to the documentation for the Azure Resource Graph service and fix the error before retrying.',
    },
    { code: error.code, message: error.code, line: error.line, characterPositionInLine: error.column, token: error.token },
  ]);
}

function payloadTooLarge(bytes: number, limit: number): ArmError {
  return graphError([
    {
      code: 'ResponsePayloadTooLarge',
      message: `Response payload size is ${String(bytes)}, and has exceeded the limit of ${String(limit)}. Please consider querying less data at a time and make paginated call if needed.`,
    },
  ]);
}
