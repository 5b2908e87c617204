import type { FastifyReply } from 'fastify';
import type { HttpsApp } from '../../kit/https-app.ts';
import type { LabTenantInfo } from '../estate/model.ts';
import { answer } from './answer.ts';
import type { Authority } from './authority.ts';
import type { Directory } from './directory.ts';
import { unknownApplication, unknownRedirect, unknownTenant, type EntraError } from './errors.ts';

interface ConsentContext {
  tenant: LabTenantInfo;
  directory: Directory;
  authority: Authority;
}

interface ConsentRoute {
  Params: { tenant: string };
  Querystring: Record<'client_id' | 'state' | 'redirect_uri', string | undefined>;
}

/**
 * The admin consent page (azure.md §2.1). Whoever opens it is the tenant's administrator, and answers at once what
 * `consentAnswer` says: then everything the registration asks for is granted, or nothing.
 */
export function registerAdminConsent({ app }: HttpsApp, context: ConsentContext, isTenant: (name: string) => boolean): void {
  const { authority, directory, tenant } = context;
  const refuse = (reply: FastifyReply, error: EntraError): FastifyReply => answer(reply, error);

  app.get<ConsentRoute>('/:tenant/adminconsent', (request, reply) => {
    const now = authority.now();
    const { client_id: clientId = '', state, redirect_uri: redirectUri = '' } = request.query;
    if (!isTenant(request.params.tenant)) return refuse(reply, unknownTenant(request.params.tenant, 'token', now));
    const registration = directory.byClientId(clientId);
    if (registration === undefined || registration.presence === 'not-in-tenant')
      return refuse(reply, unknownApplication(clientId, tenant.displayName, now));
    if (!registration.redirectUris.includes(redirectUri)) return refuse(reply, unknownRedirect(redirectUri, clientId, now));
    const target = new URL(redirectUri);
    if (authority.state.consentAnswer === 'accept') {
      registration.permissions.consent(now);
      target.searchParams.set('tenant', tenant.tenantId);
      if (state !== undefined) target.searchParams.set('state', state);
      target.searchParams.set('admin_consent', 'True');
    } else {
      target.searchParams.set('error', 'permission_denied');
      target.searchParams.set('error_description', 'The admin canceled the request');
      if (state !== undefined) target.searchParams.set('state', state);
    }
    return reply.redirect(target.href, 302);
  });
}
