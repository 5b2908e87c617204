import type { FastifyRequest } from 'fastify';
import { rawBody, type HttpsApp } from '../../kit/https-app.ts';
import type { LabTenantInfo } from '../estate/model.ts';
import { answer } from './answer.ts';
import type { Authority } from './authority.ts';
import { registerAdminConsent } from './admin-consent.ts';
import type { Directory } from './directory.ts';
import { discoveryDocument, instanceDocument, NO_TENANTS } from './discovery.ts';
import { noTenantNamed, unknownInstance, unknownTenant } from './errors.ts';
import type { SigningKeys } from './keys.ts';
import type { TokenIssuer } from './tokens.ts';
import { registerWorkloadIssuer, type WorkloadIssuer } from './workload-issuer.ts';

interface EntraContext {
  tenant: LabTenantInfo;
  directory: Directory;
  authority: Authority;
  keys: SigningKeys;
  issuer: TokenIssuer;
  workloads: WorkloadIssuer;
  /** `https://localhost:PORT`, known once the server listens. */
  url: () => string;
}

interface TenantRoute {
  Params: { tenant: string };
}

/** Where the lab's own OIDC issuer is, below the authority. */
export function workloadPath({ tenantId }: LabTenantInfo): string {
  return `/oidc/${tenantId}/`;
}

/** The routes of the authority: discovery, keys, tokens, admin consent (azure.md §2.1, §3.3), and an OIDC issuer for workloads. */
export function registerEntra(server: HttpsApp, context: EntraContext): void {
  const { app } = server;
  const { tenant, authority } = context;
  const isTenant = (name: string): boolean => [tenant.tenantId, tenant.defaultDomain].includes(name.toLowerCase());
  const isKnown = (name: string): boolean => isTenant(name) || NO_TENANTS.has(name.toLowerCase());

  // Whoever compares clocks looks at this header.
  app.addHook('onSend', async (_request, reply) => {
    void reply.header('date', authority.now().toUTCString());
  });
  app.get<TenantRoute>('/:tenant/v2.0/.well-known/openid-configuration', (request, reply) => {
    const name = request.params.tenant;
    if (!isKnown(name)) return answer(reply, unknownTenant(name, 'discovery', authority.now()));
    const segment = isTenant(name) ? tenant.tenantId : name.toLowerCase();
    return answer(reply, { status: 200, body: discoveryDocument(context.url(), segment, authority.state.cloud) });
  });
  app.get('/common/discovery/instance', (request, reply) => {
    const body = instanceDocument(context.url(), request.query as Record<string, string | undefined>);
    return answer(reply, body === undefined ? unknownInstance(authority.now()) : { status: 200, body });
  });
  app.get<TenantRoute>('/:tenant/discovery/v2.0/keys', (request, reply) => {
    const name = request.params.tenant;
    if (!isKnown(name)) return answer(reply, unknownTenant(name, 'discovery', authority.now()));
    return reply.type('application/json').send(JSON.stringify(context.keys.jwks()));
  });
  app.post<TenantRoute>('/:tenant/oauth2/v2.0/token', async (request, reply) => {
    const name = request.params.tenant;
    if (!isKnown(name)) return answer(reply, unknownTenant(name, 'token', authority.now()));
    if (!isTenant(name)) return answer(reply, noTenantNamed(authority.now()));
    return answer(reply, await context.issuer.answer(formOf(request)));
  });
  registerAdminConsent(server, context, isTenant);
  registerWorkloadIssuer(server, workloadPath(tenant), context.workloads);
}

function formOf(request: FastifyRequest): URLSearchParams {
  const type = request.headers['content-type'] ?? '';
  return new URLSearchParams(type.startsWith('application/x-www-form-urlencoded') ? rawBody(request).toString('utf8') : '');
}
