import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { subscriptionOf, type Access } from '../access.ts';
import { rawBody } from '../../kit/https-app.ts';
import type { LabClock } from '../../kit/clock.ts';
import type { Estate, EstateChanges, LabApplication, Rows } from '../estate/model.ts';
import type { Json, JsonObject } from '../json.ts';
import type { AzureLabOptions } from '../options.ts';
import type { ArmAuthentication } from './auth.ts';
import {
  ArmError,
  authorizationFailed,
  methodNotAllowed,
  missingApiVersion,
  subscriptionNotFound,
  unknownPath,
  unknownResourceType,
  unsupportedApiVersion,
} from './errors.ts';
import { pageOf, type PageStyle } from './paging.ts';
import { parseArmPath, type ArmPath, type ScopeKind } from './path.ts';
import type { ReadThrottle } from './throttle.ts';

/** What every ARM route works on. */
export interface ArmServices {
  readonly estate: Estate;
  readonly changes: EstateChanges;
  readonly access: Access;
  readonly clock: LabClock;
  readonly options: AzureLabOptions;
  readonly authentication: ArmAuthentication;
  readonly throttle: ReadThrottle;
  /** `https://localhost:PORT` of ARM itself. */
  readonly url: () => string;
}

/** One authenticated, authorised request to one resource type. */
export interface ArmCall {
  readonly services: ArmServices;
  readonly principal: LabApplication;
  readonly path: ArmPath;
  /** Path as sent, without the query. */
  readonly rawPath: string;
  /** `https://host` as the client called it: links lead back there, whatever name it used. */
  readonly origin: string;
  readonly query: URLSearchParams;
  readonly apiVersion: string;
  readonly contentType: string;
  readonly body: Buffer;
}

export interface ArmAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: JsonObject;
}

/** One route: a resource type as a list or as one item, at certain kinds of scope. */
export interface ArmRoute {
  readonly resourceType: string;
  readonly form: 'list' | 'item';
  readonly method?: 'GET' | 'POST';
  readonly scopes: readonly ScopeKind[];
  readonly apiVersions: readonly string[];
  /** The RBAC action checked at the scope; null: every principal of the tenant may call it, and sees only what it may read. */
  readonly action: string | null;
  handle(call: ArmCall): ArmAnswer | Promise<ArmAnswer>;
}

/** Answers every ARM request: route, authenticate, check api-version and access, throttle, handle. */
export function createArmHandler(
  services: ArmServices,
  routes: readonly ArmRoute[],
): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply> {
  const byType = Map.groupBy(routes, (route) => route.resourceType.toLowerCase());
  return async (request, reply) => {
    try {
      const answer = await answerCall(services, byType, request);
      return await sendJson(reply, answer.status ?? 200, answer.body, answer.headers);
    } catch (error) {
      if (error instanceof ArmError) return await sendJson(reply, error.status, error.body(), error.headers);
      throw error;
    }
  };
}

async function answerCall(services: ArmServices, byType: Map<string, ArmRoute[]>, request: FastifyRequest): Promise<ArmAnswer> {
  const { pathname, searchParams } = new URL(request.url, 'https://localhost');
  const principal = await services.authentication.authenticate(request.headers.authorization);
  const path = parseArmPath(pathname);
  if (path === undefined) throw unknownPath(pathname);
  const apiVersion = searchParams.get('api-version');
  const route = findRoute(byType, path, request.method);
  if (apiVersion === null || apiVersion === '') throw missingApiVersion();
  if (!route.apiVersions.includes(apiVersion)) throw unsupportedApiVersion(route.resourceType, apiVersion, route.apiVersions);
  authorise(services, principal, path, route);
  const limits = takeRead(services, principal, path);
  const call: ArmCall = {
    services,
    principal,
    path,
    rawPath: pathname,
    origin: request.headers.host === undefined ? services.url() : `https://${request.headers.host}`,
    query: searchParams,
    apiVersion,
    contentType: request.headers['content-type'] ?? '',
    body: rawBody(request),
  };
  const answer = await route.handle(call);
  return { ...answer, headers: { ...limits, ...answer.headers } };
}

function findRoute(byType: Map<string, ArmRoute[]>, path: ArmPath, method: string): ArmRoute {
  const ofType = byType.get(path.resourceType.toLowerCase()) ?? [];
  const here = ofType.filter((route) => route.form === path.form && route.scopes.includes(path.scopeKind));
  if (here.length === 0) throw unknownResourceType(path.resourceType);
  const route = here.find((candidate) => (candidate.method ?? 'GET') === method);
  if (route === undefined) throw methodNotAllowed(method, [...new Set(here.map((candidate) => candidate.method ?? 'GET'))]);
  return route;
}

/** A subscription that the tenant does not have is not found; one the principal may not read is forbidden. */
function authorise({ access }: ArmServices, principal: LabApplication, path: ArmPath, route: ArmRoute): void {
  const subscription = subscriptionOf(path.scope);
  if (subscription !== undefined && access.subscription(subscription) === undefined) throw subscriptionNotFound(subscription);
  if (route.action === null) return;
  if (!access.allows(principal, path.scope === '' ? '/' : path.scope, route.action)) {
    throw authorizationFailed(principal.clientId, principal.principalId, route.action, path.scope === '' ? '/' : path.scope);
  }
}

function takeRead({ throttle, estate }: ArmServices, principal: LabApplication, path: ArmPath): Record<string, string> {
  const { principalId } = principal;
  return throttle.take({ subscriptionId: subscriptionOf(path.scope), tenantId: estate.tenant.tenantId, principalId, path });
}

/** One page of a list, answered to this call. */
export function listAnswer(call: ArmCall, rows: Rows<Json>, style: PageStyle): ArmAnswer {
  const { services, origin, rawPath, query } = call;
  return { body: pageOf({ origin, path: rawPath, query, options: services.options }, rows, style) };
}

function sendJson(reply: FastifyReply, status: number, body: JsonObject, headers: Readonly<Record<string, string>> = {}): FastifyReply {
  return reply
    .code(status)
    .headers({
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      'x-ms-request-id': randomUUID(),
      'x-ms-correlation-request-id': randomUUID(),
      ...headers,
    })
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(body));
}
