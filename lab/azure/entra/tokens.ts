import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { LabClock } from '../../kit/clock.ts';
import type { Access, GraphGrants } from '../access.ts';
import type { LabApplication, LabTenantInfo } from '../estate/model.ts';
import type { JsonObject } from '../json.ts';
import type { AzureLabOptions } from '../options.ts';
import {
  missingParameter,
  scopeNotDefault,
  unknownApplication,
  unknownResource,
  unsupportedGrant,
  wrongSecret,
  type EntraError,
} from './errors.ts';
import type { SigningKeys } from './keys.ts';

export const ARM_AUDIENCE = 'https://management.azure.com';
export const GRAPH_AUDIENCE = 'https://graph.microsoft.com';

export const INCIDENT_ROLES = ['SecurityIncident.Read.All', 'SecurityIncident.ReadWrite.All'] as const;
export const DIRECTORY_ROLES = ['Application.Read.All', 'Directory.Read.All'] as const;

export interface TokenIssuer {
  /** The answer to `POST /{tenant}/oauth2/v2.0/token` (azure.md §2.1). */
  answer(form: URLSearchParams): Promise<{ status: number; body: JsonObject }>;
}

interface IssuerContext {
  tenant: LabTenantInfo;
  access: Access;
  keys: SigningKeys;
  clock: LabClock;
  options: AzureLabOptions;
  /** The lab's own ARM and Graph URLs: resources of this tenant beside Microsoft's own identifiers. */
  ownResources: () => { arm: string; graph: string };
}

/** Client-credentials tokens for ARM and Graph. */
export function createTokenIssuer(context: IssuerContext): TokenIssuer {
  const { tenant, access, keys, clock, options } = context;
  return {
    answer: async (form) => {
      const now = clock.now();
      const request = readRequest(form, now);
      if ('status' in request) return request;
      const application = access.application(request.clientId);
      if (application === undefined) return unknownApplication(request.clientId, tenant.displayName, now);
      if (!sameSecret(request.secret, application.clientSecret)) return wrongSecret(application.clientId, now);
      const resource = request.scope.slice(0, -'/.default'.length);
      const kind = resourceKind(resource, context.ownResources());
      if (kind === undefined) return unknownResource(resource, tenant.displayName, now);
      const claims = accessTokenClaims({ audience: resource, kind, tenant, application, grants: access.grants(application), now, options });
      const seconds = options.tokenLifetimeSeconds;
      return {
        status: 200,
        body: { token_type: 'Bearer', expires_in: seconds, ext_expires_in: seconds, access_token: await keys.sign(claims) },
      };
    },
  };
}

function readRequest(form: URLSearchParams, now: Date): { clientId: string; secret: string; scope: string } | EntraError {
  const grant = form.get('grant_type');
  if (grant === null) return missingParameter('grant_type', now);
  if (grant !== 'client_credentials') return unsupportedGrant(grant, now);
  const clientId = form.get('client_id');
  if (clientId === null) return missingParameter('client_id', now);
  const secret = form.get('client_secret');
  if (secret === null) return missingParameter('client_assertion or client_secret', now);
  const scopes = (form.get('scope') ?? '')
    .split(' ')
    .filter((scope) => scope !== '' && !['openid', 'profile', 'offline_access'].includes(scope));
  const [scope] = scopes;
  if (scope === undefined) return missingParameter('scope', now);
  if (scopes.length > 1 || !scope.endsWith('/.default')) return scopeNotDefault(scopes.join(' '), now);
  return { clientId, secret, scope };
}

function sameSecret(left: string, right: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(left), digest(right));
}

/** `https://management.azure.com//.default` is legal: the resource then ends with a slash, and so does the audience. */
function resourceKind(resource: string, own: { arm: string; graph: string }): 'arm' | 'graph' | undefined {
  const bare = resource.replace(/\/$/, '');
  if (bare === ARM_AUDIENCE || bare === own.arm) return 'arm';
  if (bare === GRAPH_AUDIENCE || bare === own.graph) return 'graph';
  return undefined;
}

/** Application permissions a Graph token carries: azure.md §2.3 (none: the "Delegated instead of Application" mistake). */
export function grantedRoles(grants: GraphGrants): string[] {
  return [...(grants.consent === 'granted' ? INCIDENT_ROLES : []), ...(grants.directoryReader ? DIRECTORY_ROLES : [])];
}

/** v1-style claims as in entra/claims_*.json. ARM tokens never carry roles; Graph tokens carry the granted ones or no claim at all. */
function accessTokenClaims(input: {
  audience: string;
  kind: 'arm' | 'graph';
  tenant: LabTenantInfo;
  application: LabApplication;
  grants: GraphGrants;
  now: Date;
  options: AzureLabOptions;
}): Record<string, unknown> {
  const { tenant, application } = input;
  const issuedAt = Math.floor(input.now.getTime() / 1000);
  const issuer = `https://sts.windows.net/${tenant.tenantId}/`;
  const roles = input.kind === 'graph' ? grantedRoles(input.grants) : [];
  return {
    aud: input.audience,
    iss: issuer,
    iat: issuedAt,
    nbf: issuedAt,
    exp: issuedAt + input.options.tokenLifetimeSeconds,
    aio: randomBytes(24).toString('base64'),
    ...(input.kind === 'graph' ? { app_displayname: application.displayName } : {}),
    appid: application.clientId,
    appidacr: '1',
    idp: issuer,
    idtyp: 'app',
    oid: application.principalId,
    ...(roles.length === 0 ? {} : { roles }),
    sub: application.principalId,
    tid: tenant.tenantId,
    uti: randomBytes(16).toString('base64url'),
    ver: '1.0',
  };
}
