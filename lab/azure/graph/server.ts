import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { LabClock } from '../../kit/clock.ts';
import type { HttpsApp } from '../../kit/https-app.ts';
import type { Authority } from '../entra/authority.ts';
import type { Directory } from '../entra/directory.ts';
import type { SigningKeys } from '../entra/keys.ts';
import { INCIDENT_PERMISSIONS, MICROSOFT_GRAPH } from '../entra/permissions.ts';
import { graphAudiences } from '../entra/resources.ts';
import type { LabTenantInfo } from '../estate/model.ts';
import type { JsonObject } from '../json.ts';
import { directoryAnswer, directoryPermissions, type DirectoryQuestion } from './directory.ts';
import { GraphError, insufficientPrivileges, missingRoles } from './errors.ts';
import { listAnswer, type QueryOptions } from './query.ts';

interface GraphContext {
  tenant: LabTenantInfo;
  directory: Directory;
  authority: Authority;
  keys: SigningKeys;
  clock: LabClock;
  url: () => string;
}

/** The part of Microsoft Graph v1.0 that a diagnosis of permissions reads: azure.md §2.3. */
export function registerGraph({ app }: HttpsApp, context: GraphContext): void {
  app.get('/v1.0/security/incidents', (request, reply) =>
    answer(request, reply, context, (roles) => {
      requireAny(roles, INCIDENT_PERMISSIONS, () => missingRoles(INCIDENT_PERMISSIONS, roles));
      const { query, self } = questionOf(request, context);
      return listAnswer(
        [incident(context)],
        { name: 'security/incidents', type: 'Incident', filterable: ['status', 'severity'] },
        query,
        self,
      );
    }),
  );
  app.get('/*', (request, reply) =>
    answer(request, reply, context, (roles) => {
      const question = questionOf(request, context);
      const permissions = directoryPermissions(question);
      if (permissions === undefined || !request.url.startsWith('/v1.0/'))
        throw new GraphError(400, 'BadRequest', `Resource not found for the segment '${question.segments[0] ?? ''}'.`);
      requireAny(roles, permissions, insufficientPrivileges);
      return directoryAnswer(question, context.directory, context.tenant);
    }),
  );
}

async function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  context: GraphContext,
  answerTo: (roles: readonly string[]) => JsonObject,
): Promise<FastifyReply> {
  try {
    const roles = await authenticate(context, request.headers.authorization);
    return await send(reply, 200, answerTo(roles));
  } catch (error) {
    if (error instanceof GraphError) return send(reply, error.status, errorBody(error, request, context.clock));
    throw error;
  }
}

/** Application permissions in the caller's token. */
async function authenticate(context: GraphContext, header: string | undefined): Promise<readonly string[]> {
  const refused = (text: string): GraphError => new GraphError(401, 'InvalidAuthenticationToken', text);
  const token = /^Bearer (.+)$/i.exec(header ?? '')?.[1];
  if (token === undefined) throw refused('Access token is empty.');
  const claims = await context.keys.verify(token);
  if (claims === undefined) throw refused('IDX14100: JWT is not well formed or its signature is not valid.');
  if ((claims.exp ?? 0) * 1000 <= context.clock.nowMs()) throw refused('Lifetime validation failed, the token is expired.');
  const audience = String(claims.aud).replace(/\/$/, '');
  if (![...graphAudiences(context.authority.state.cloud), MICROSOFT_GRAPH.appId, context.url()].includes(audience))
    throw refused('Access token validation failure. Invalid audience.');
  if (context.directory.byClientId(String(claims.appid)) === undefined)
    throw refused('The identity of the calling application could not be established.');
  return Array.isArray(claims.roles) ? claims.roles.map(String) : [];
}

/** The token decides, not the grants of the moment: a token older than its grant is still without it (azure.md §2.3). */
function requireAny(roles: readonly string[], required: readonly string[], refused: () => GraphError): void {
  if (!required.some((role) => roles.includes(role))) throw refused();
}

function questionOf(request: FastifyRequest, { url }: GraphContext): DirectoryQuestion {
  const self = new URL(request.url, url());
  const segments = self.pathname.split('/').slice(2).map(decodeURIComponent);
  return { segments, query: request.query as QueryOptions, self };
}

function incident({ tenant, clock }: GraphContext): JsonObject {
  return {
    id: '2972395',
    tenantId: tenant.tenantId,
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
