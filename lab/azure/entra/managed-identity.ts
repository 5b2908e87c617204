import type { FastifyReply, FastifyRequest } from 'fastify';
import type { HttpsApp } from '../../kit/https-app.ts';
import { textAt, type JsonObject } from '../json.ts';
import type { Authority } from './authority.ts';
import type { Directory, Registration } from './directory.ts';
import { isEntraError } from './errors.ts';
import type { IssuedToken, TokenIssuer } from './tokens.ts';

interface ManagedIdentityContext {
  directory: Directory;
  authority: Authority;
  issuer: TokenIssuer;
  /** What a process of App Service finds in IDENTITY_HEADER. */
  identityHeader: string;
}

/** Path of the endpoint that App Service names in IDENTITY_ENDPOINT. */
export const APP_SERVICE_PATH = '/msi/token';

type Query = Readonly<Record<string, string | undefined>>;
type Found = { readonly identity: Registration } | { readonly problem: string };

/**
 * The host's own identities, over plain HTTP as the real endpoints are (azure.md §3.2, §3.3): the metadata service of a virtual
 * machine (AZURE_POD_IDENTITY_AUTHORITY_HOST leads clients here) and the endpoint of App Service (IDENTITY_ENDPOINT, IDENTITY_HEADER).
 */
export function registerManagedIdentity({ app }: HttpsApp, context: ManagedIdentityContext): void {
  // Clients of Microsoft's own put a slash before the query; both endpoints take it.
  for (const end of ['', '/']) {
    app.get(`/metadata/identity/oauth2/token${end}`, async (request, reply) => answerMachine(request, reply, context));
    app.get(`${APP_SERVICE_PATH}${end}`, async (request, reply) => answerAppService(request, reply, context));
  }
}

async function answerMachine(request: FastifyRequest, reply: FastifyReply, context: ManagedIdentityContext): Promise<FastifyReply> {
  const refuse = (text: string, error = 'invalid_request'): FastifyReply => send(reply, 400, { error, error_description: text });
  const query = request.query as Query;
  if (request.headers.metadata?.toString().toLowerCase() !== 'true') return refuse('Required metadata header not specified');
  if (query['api-version'] !== '2018-02-01') return refuse('The api-version is not supported');
  if (query.resource === undefined) return refuse("Required query variable 'resource' is missing");
  const found = identityFor(query, context);
  if ('problem' in found) return refuse('Identity not found');
  const token = await context.issuer.issue(found.identity, query.resource, '2');
  if (isEntraError(token)) return refuse(textAt(token.body, 'error_description'), textAt(token.body, 'error'));
  const { lifetimeSeconds } = token;
  return send(reply, 200, {
    ...tokenBody(found.identity, query.resource, token),
    expires_in: String(lifetimeSeconds),
    ext_expires_in: String(lifetimeSeconds),
  });
}

async function answerAppService(request: FastifyRequest, reply: FastifyReply, context: ManagedIdentityContext): Promise<FastifyReply> {
  const refuse = (status: number, message: string): FastifyReply => send(reply, status, { statusCode: status, message });
  const query = request.query as Query;
  if (request.headers['x-identity-header'] !== context.identityHeader) return refuse(401, 'The X-IDENTITY-HEADER is missing or wrong.');
  if (query['api-version'] !== '2019-08-01') return refuse(400, 'The api-version is not supported.');
  if (query.resource === undefined) return refuse(400, "Required query variable 'resource' is missing.");
  const found = identityFor(query, context);
  if ('problem' in found) return refuse(400, found.problem);
  const token = await context.issuer.issue(found.identity, query.resource, '2');
  if (isEntraError(token)) return refuse(400, textAt(token.body, 'error_description'));
  return send(reply, 200, tokenBody(found.identity, query.resource, token));
}

/** `client_id`, `object_id` (`principal_id` on App Service) name a user-assigned identity; none of them is the host's own one. */
function identityFor(query: Query, { directory, authority }: ManagedIdentityContext): Found {
  const { systemAssignedIdentity, userAssignedIdentities } = authority.state;
  const objectId = query.object_id ?? query.principal_id;
  const named = query.client_id ?? objectId ?? query.msi_res_id ?? query.mi_res_id;
  const identity =
    named === undefined
      ? directory.byClientId(systemAssignedIdentity ?? '')
      : directory.registrations.find(
          ({ application }) =>
            userAssignedIdentities.includes(application.clientId) &&
            (application.clientId === query.client_id?.toLowerCase() || application.principalId === objectId?.toLowerCase()),
        );
  return identity?.presence === 'present'
    ? { identity }
    : { problem: 'No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.' };
}

/** Times as text in seconds, as both endpoints write them. */
function tokenBody({ application }: Registration, resource: string, token: IssuedToken): JsonObject {
  const issuedAt = Math.floor(token.issuedAt.getTime() / 1000);
  return {
    access_token: token.accessToken,
    client_id: application.clientId,
    expires_on: String(issuedAt + token.lifetimeSeconds),
    not_before: String(issuedAt),
    resource,
    token_type: 'Bearer',
  };
}

function send(reply: FastifyReply, status: number, body: JsonObject): FastifyReply {
  return reply.code(status).type('application/json; charset=utf-8').send(JSON.stringify(body));
}
