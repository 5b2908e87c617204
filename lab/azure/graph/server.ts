import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { LabClock } from '../../kit/clock.ts';
import type { HttpsApp } from '../../kit/https-app.ts';
import type { Access } from '../access.ts';
import type { SigningKeys } from '../entra/keys.ts';
import { GRAPH_AUDIENCE } from '../entra/tokens.ts';
import type { Estate, LabApplication } from '../estate/model.ts';
import type { JsonObject } from '../json.ts';
import { appRoleAssignments, applicationRow, delegatedGrants } from './permissions.ts';

interface GraphContext {
  estate: Estate;
  access: Access;
  keys: SigningKeys;
  clock: LabClock;
  url: () => string;
}

/** An error answer of Microsoft Graph. */
class GraphError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'GraphError';
    this.status = status;
    this.code = code;
  }
}

interface Caller {
  readonly application: LabApplication;
  /** Application permissions in its token. */
  readonly roles: readonly string[];
}

/** The part of Microsoft Graph v1.0 that a diagnosis of permissions reads: azure.md §2.3. */
export function registerGraph({ app }: HttpsApp, context: GraphContext): void {
  const route = (path: string, required: readonly string[], answer: (request: FastifyRequest, caller: Caller) => JsonObject): void => {
    app.get(path, async (request, reply) => {
      try {
        const caller = await authenticate(context, request.headers.authorization);
        requireAny(caller, required);
        return await send(reply, 200, answer(request, caller));
      } catch (error) {
        if (error instanceof GraphError) return await send(reply, error.status, errorBody(error, request, context.clock));
        throw error;
      }
    });
  };
  route('/v1.0/security/incidents', ['SecurityIncident.Read.All', 'SecurityIncident.ReadWrite.All'], () => ({
    '@odata.context': `${context.url()}/v1.0/$metadata#security/incidents`,
    value: [incident(context)],
  }));
  route('/v1.0/applications', ['Application.Read.All', 'Application.ReadWrite.All'], (request) => {
    const application = context.access.application(filterValue(request, 'appId'));
    return {
      '@odata.context': `${context.url()}/v1.0/$metadata#applications(id,appId,displayName,requiredResourceAccess)`,
      value: application === undefined ? [] : [applicationRow(application, context.access.grants(application))],
    };
  });
  route('/v1.0/:principal/appRoleAssignments', ['Application.Read.All', 'Directory.Read.All'], (request) => {
    const { principal } = request.params as { principal: string };
    const application = context.access.application(/^servicePrincipals\(appId='([^']*)'\)$/i.exec(principal)?.[1] ?? '');
    if (application === undefined) {
      throw new GraphError(
        404,
        'Request_ResourceNotFound',
        `Resource '${principal}' does not exist or one of its queried reference-property objects are not present.`,
      );
    }
    return {
      '@odata.context': `${context.url()}/v1.0/$metadata#appRoleAssignments`,
      value: appRoleAssignments(application, context.access.grants(application)),
    };
  });
  route('/v1.0/oauth2PermissionGrants', ['Directory.Read.All', 'DelegatedPermissionGrant.Read.All'], (request) => {
    const principalId = filterValue(request, 'clientId');
    const application = context.estate.applications.find((candidate) => candidate.principalId === principalId);
    return {
      '@odata.context': `${context.url()}/v1.0/$metadata#oauth2PermissionGrants`,
      value: application === undefined ? [] : delegatedGrants(application, context.access.grants(application)),
    };
  });
  app.get('/*', (request, reply) =>
    send(
      reply,
      400,
      errorBody(
        new GraphError(400, 'BadRequest', `Resource not found for the segment '${request.url.split('/')[2] ?? ''}'.`),
        request,
        context.clock,
      ),
    ),
  );
}

async function authenticate(context: GraphContext, header: string | undefined): Promise<Caller> {
  const token = /^Bearer (.+)$/i.exec(header ?? '')?.[1];
  if (token === undefined) throw new GraphError(401, 'InvalidAuthenticationToken', 'Access token is empty.');
  const claims = await context.keys.verify(token);
  if (claims === undefined)
    throw new GraphError(401, 'InvalidAuthenticationToken', 'IDX14100: JWT is not well formed or its signature is not valid.');
  if ((claims.exp ?? 0) * 1000 <= context.clock.nowMs()) {
    throw new GraphError(401, 'InvalidAuthenticationToken', 'Lifetime validation failed, the token is expired.');
  }
  const audience = String(claims.aud).replace(/\/$/, '');
  if (audience !== GRAPH_AUDIENCE && audience !== context.url()) {
    throw new GraphError(401, 'InvalidAuthenticationToken', 'Access token validation failure. Invalid audience.');
  }
  const application = context.access.application(String(claims.appid));
  if (application === undefined)
    throw new GraphError(401, 'InvalidAuthenticationToken', 'The identity of the calling application could not be established.');
  return { application, roles: Array.isArray(claims.roles) ? claims.roles.map(String) : [] };
}

/** The token decides, not the grants of the moment: a token older than its grant is still without it (azure.md §2.3). Text verbatim from errors/graph_403_*.json. */
function requireAny({ roles }: Caller, required: readonly string[]): void {
  if (required.some((role) => roles.includes(role))) return;
  throw new GraphError(
    403,
    'Forbidden',
    `Missing application roles. API required roles: ${required.join(',')}, application roles: ${roles.join(',')}.`,
  );
}

/** The value in `$filter=<field> eq '<value>'`. */
function filterValue(request: FastifyRequest, field: string): string {
  const filter = (request.query as Record<string, string | undefined>).$filter ?? '';
  const value = new RegExp(String.raw`^\s*${field}\s+eq\s+'([^']*)'\s*$`, 'i').exec(filter)?.[1];
  if (value === undefined) throw new GraphError(400, 'Request_UnsupportedQuery', `This list needs $filter=${field} eq '…'.`);
  return value;
}

function incident({ estate, clock }: GraphContext): JsonObject {
  return {
    id: '2972395',
    tenantId: estate.tenant.tenantId,
    status: 'active',
    severity: 'medium',
    displayName: 'Multi-stage incident involving Initial access on one endpoint',
    createdDateTime: clock.now().toISOString(),
    lastUpdateDateTime: clock.now().toISOString(),
    assignedTo: null,
    classification: 'unknown',
    determination: 'unknown',
  };
}

function errorBody(error: GraphError, request: FastifyRequest, clock: LabClock): JsonObject {
  const clientRequestId = request.headers['client-request-id'];
  return {
    error: {
      code: error.code,
      message: error.message,
      innerError: {
        date: clock.now().toISOString().slice(0, 19),
        'request-id': randomUUID(),
        'client-request-id': typeof clientRequestId === 'string' ? clientRequestId : randomUUID(),
      },
    },
  };
}

function send(reply: FastifyReply, status: number, body: JsonObject): FastifyReply {
  return reply.code(status).type('application/json; charset=utf-8').send(JSON.stringify(body));
}
