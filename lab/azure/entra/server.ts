import type { FastifyReply, FastifyRequest } from 'fastify';
import type { LabClock } from '../../kit/clock.ts';
import { rawBody, type HttpsApp } from '../../kit/https-app.ts';
import type { LabTenantInfo } from '../estate/model.ts';
import type { JsonObject } from '../json.ts';
import { unknownTenant } from './errors.ts';
import type { SigningKeys } from './keys.ts';
import type { TokenIssuer } from './tokens.ts';

interface EntraContext {
  tenant: LabTenantInfo;
  keys: SigningKeys;
  issuer: TokenIssuer;
  clock: LabClock;
  /** `https://localhost:PORT`, known once the server listens. */
  url: () => string;
}

interface TenantRoute {
  Params: { tenant: string };
}

/** The routes of the authority: discovery, keys, tokens (azure.md §2.1, §3.3). */
export function registerEntra({ app }: HttpsApp, context: EntraContext): void {
  const { tenant, clock } = context;
  const isTenant = (name: string): boolean => [tenant.tenantId, tenant.defaultDomain].includes(name.toLowerCase());

  app.get<TenantRoute>('/:tenant/v2.0/.well-known/openid-configuration', (request, reply) => {
    const name = request.params.tenant;
    if (!isTenant(name)) return answer(reply, unknownTenant(name, 'discovery', clock.now()));
    return answer(reply, { status: 200, body: discoveryDocument(context.url(), tenant.tenantId) });
  });
  app.get<TenantRoute>('/:tenant/discovery/v2.0/keys', (_request, reply) =>
    reply.type('application/json').send(JSON.stringify(context.keys.jwks())),
  );
  app.post<TenantRoute>('/:tenant/oauth2/v2.0/token', async (request, reply) => {
    const name = request.params.tenant;
    if (!isTenant(name)) return answer(reply, unknownTenant(name, 'token', clock.now()));
    return answer(reply, await context.issuer.answer(formOf(request)));
  });
}

/** MSAL insists on an https issuer of the same host and port as the authority (azure.md §3.3). */
function discoveryDocument(url: string, tenantId: string): JsonObject {
  const base = `${url}/${tenantId}`;
  return {
    token_endpoint: `${base}/oauth2/v2.0/token`,
    token_endpoint_auth_methods_supported: ['client_secret_post'],
    jwks_uri: `${base}/discovery/v2.0/keys`,
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    issuer: `${base}/v2.0`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    end_session_endpoint: `${base}/oauth2/v2.0/logout`,
    tenant_region_scope: 'EU',
  };
}

function formOf(request: FastifyRequest): URLSearchParams {
  const type = request.headers['content-type'] ?? '';
  return new URLSearchParams(type.startsWith('application/x-www-form-urlencoded') ? rawBody(request).toString('utf8') : '');
}

function answer(reply: FastifyReply, { status, body }: { status: number; body: JsonObject }): FastifyReply {
  return reply
    .code(status)
    .headers({ 'cache-control': 'no-store, no-cache', pragma: 'no-cache' })
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(body));
}
