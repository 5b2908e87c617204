import { createHash } from 'node:crypto';
import { ArmError } from '../arm/errors.ts';
import type { ArmCall } from '../arm/router.ts';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import { invalidRequest } from './errors.ts';
import type { Position } from './order.ts';
import { readFacets, type FacetRequest } from './facets.ts';

/** Hard limit of the array (azure.md §1.9). */
const MAX_SUBSCRIPTIONS = 1000;
const MAX_TOP = 1000;
const SCOPE_FILTERS: ReadonlySet<string> = new Set(['AtScopeAndBelow', 'AtScopeAndAbove', 'AtScopeExact', 'AtScopeAboveAndBelow']);

/** A request body of `Microsoft.ResourceGraph/resources`, checked: azure.md §1.9. */
export interface GraphRequest {
  readonly query: string;
  readonly subscriptions: readonly string[] | undefined;
  readonly managementGroups: readonly string[] | undefined;
  readonly top: number;
  readonly skip: number;
  readonly skipToken: string | undefined;
  readonly resultFormat: 'objectArray' | 'table';
  /** Says that a query of more subscriptions than one reaches may answer for some of them. */
  readonly allowPartialScopes: boolean;
  readonly facets: readonly FacetRequest[];
}

/** Reads a body; throws ArmError 400 or 415. */
export function readRequest(call: ArmCall): GraphRequest {
  const body = parseBody(call);
  const query = body.query;
  if (typeof query !== 'string' || query.trim() === '') throw invalidRequest('InvalidQuery', 'The query of the request is empty.');
  const options = isJsonObject(body.options) ? body.options : {};
  const { resultFormat = 'objectArray', authorizationScopeFilter = 'AtScopeAndBelow', allowPartialScopes = false } = options;
  if (resultFormat !== 'objectArray' && resultFormat !== 'table') {
    throw invalidRequest(
      'UnsupportedResultFormat',
      `The result format '${JSON.stringify(resultFormat)}' is neither objectArray nor table.`,
    );
  }
  // It chooses among role assignments and policies, which none of the tables here holds: it is checked, and changes nothing.
  if (typeof authorizationScopeFilter !== 'string' || !SCOPE_FILTERS.has(authorizationScopeFilter)) {
    throw invalidRequest('InvalidAuthorizationScopeFilter', `authorizationScopeFilter is one of ${[...SCOPE_FILTERS].join(', ')}.`);
  }
  if (typeof allowPartialScopes !== 'boolean') throw invalidRequest('InvalidAllowPartialScopes', 'allowPartialScopes is true or false.');
  const top = numberOption(options, '$top', MAX_TOP);
  if (top < 1 || top > MAX_TOP)
    throw invalidRequest('InvalidPagingParameter', `The value of $top must be between 1 and ${String(MAX_TOP)}.`);
  return {
    query,
    ...readScope(body),
    top,
    skip: numberOption(options, '$skip', 0),
    skipToken: typeof options.$skipToken === 'string' ? options.$skipToken : undefined,
    resultFormat,
    allowPartialScopes,
    facets: readFacets(body.facets),
  };
}

function readScope(body: JsonObject): Pick<GraphRequest, 'subscriptions' | 'managementGroups'> {
  const subscriptions = textList(body.subscriptions);
  const managementGroups = textList(body.managementGroups);
  if (subscriptions !== undefined && subscriptions.length > MAX_SUBSCRIPTIONS) {
    throw invalidRequest('TooManySubscriptions', `At most ${String(MAX_SUBSCRIPTIONS)} subscriptions may be given.`);
  }
  if (subscriptions !== undefined && managementGroups !== undefined) {
    throw invalidRequest('InvalidScope', 'Either subscriptions or managementGroups may be given, not both.');
  }
  return { subscriptions, managementGroups };
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

/** A token belongs to its query and scope; another one's is refused. */
export function fingerprintOf(request: GraphRequest): string {
  const identity = JSON.stringify([request.query, request.subscriptions ?? null, request.managementGroups ?? null]);
  return createHash('sha256').update(identity).digest('base64url').slice(0, 16);
}

export function writeToken(position: Position | undefined, fingerprint: string): string {
  return Buffer.from(JSON.stringify({ f: fingerprint, p: position })).toString('base64');
}

/** Where a page starts; throws ArmError 400 for a token that is none, or another query's. */
export function readToken(token: string | undefined, fingerprint: string): Position {
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
