import { createHash } from 'node:crypto';
import { randomAt } from '../../kit/random.ts';
import { RESOURCE_APIS, type ResourceApi } from '../entra/permissions.ts';
import type { AppCertificate, AppSecret, Registration } from '../entra/directory.ts';
import type { LabTenantInfo } from '../estate/model.ts';
import type { JsonObject } from '../json.ts';

/** `applications`: what was requested, and which credentials there are. The well-known mistake requests Scope where Role is needed. */
export function applicationRow({ application, createdAt, redirectUris, permissions, ...rest }: Registration): JsonObject {
  return {
    id: application.applicationObjectId,
    appId: application.clientId,
    createdDateTime: secondsOf(createdAt),
    deletedDateTime: null,
    displayName: application.displayName,
    identifierUris: [],
    signInAudience: 'AzureADMyOrg',
    requiredResourceAccess: RESOURCE_APIS.flatMap((api) => {
      const resourceAccess = permissions.requested(api).map(({ id, type }) => ({ id, type }));
      return resourceAccess.length === 0 ? [] : [{ resourceAppId: api.appId, resourceAccess }];
    }),
    passwordCredentials: rest.secrets.map(passwordCredential),
    keyCredentials: rest.certificates.map(keyCredential),
    web: { homePageUrl: null, logoutUrl: null, redirectUris },
  };
}

/** The hint is the secret's first three characters; the secret itself is shown once, to whoever makes it. */
function passwordCredential({ keyId, displayName, value, startsAt, endsAt }: AppSecret): JsonObject {
  return {
    customKeyIdentifier: null,
    displayName,
    endDateTime: secondsOf(endsAt),
    hint: value.slice(0, 3),
    keyId,
    secretText: null,
    startDateTime: secondsOf(startsAt),
  };
}

function keyCredential({ keyId, displayName, certificate, startsAt, endsAt }: AppCertificate): JsonObject {
  return {
    customKeyIdentifier: createHash('sha1').update(certificate.raw).digest('hex').toUpperCase(),
    displayName,
    endDateTime: secondsOf(endsAt),
    key: null,
    keyId,
    startDateTime: secondsOf(startsAt),
    type: 'AsymmetricX509Cert',
    usage: 'Verify',
  };
}

export function federatedCredentialRows({ federatedCredentials }: Registration): JsonObject[] {
  return federatedCredentials.map(({ id, name, issuer, subject, audiences }) => ({
    id,
    name,
    issuer,
    subject,
    description: null,
    audiences,
  }));
}

/** `servicePrincipals` of the tenant's own applications. */
export function servicePrincipalRow({ application, presence, createdAt }: Registration, { tenantId }: LabTenantInfo): JsonObject {
  return {
    ...principalRow(application.principalId, application.clientId, application.displayName, tenantId),
    accountEnabled: presence !== 'disabled',
    createdDateTime: secondsOf(createdAt),
    appRoles: [],
    oauth2PermissionScopes: [],
  };
}

/** `servicePrincipals` of Microsoft's APIs: what there is to ask for. */
export function resourcePrincipalRow({ name, appId, principalId, permissions }: ResourceApi): JsonObject {
  const all = Object.entries(permissions);
  return {
    ...principalRow(principalId, appId, name, MICROSOFT_TENANT),
    accountEnabled: true,
    createdDateTime: '2026-01-01T00:00:00Z',
    appRoles: all.flatMap(([value, { role }]) =>
      role === undefined
        ? []
        : [
            {
              allowedMemberTypes: ['Application'],
              description: value,
              displayName: value,
              id: role,
              isEnabled: true,
              origin: 'Application',
              value,
            },
          ],
    ),
    oauth2PermissionScopes: all.flatMap(([value, { scope }]) =>
      scope === undefined
        ? []
        : [{ adminConsentDescription: value, adminConsentDisplayName: value, id: scope, isEnabled: true, type: 'Admin', value }],
    ),
  };
}

/** The tenant that owns Microsoft's first-party applications. */
const MICROSOFT_TENANT = 'f8cdef31-a31e-4b4a-93e4-5f571e91255a';

function principalRow(id: string, appId: string, name: string, owner: string): JsonObject {
  return {
    id,
    appId,
    appDisplayName: name,
    displayName: name,
    appOwnerOrganizationId: owner,
    servicePrincipalNames: [appId],
    servicePrincipalType: 'Application',
  };
}

/** `appRoleAssignments`: the application permissions that were granted. */
export function appRoleAssignmentRows({ application, permissions }: Registration): JsonObject[] {
  return permissions.granted('Role').map(({ api, permission, grantedAt }) => ({
    id: randomAt('app-role-assignment', application.clientId, api.appId, permission).hex(43),
    createdDateTime: secondsOf(grantedAt),
    appRoleId: api.permissions[permission]?.role,
    principalId: application.principalId,
    principalType: 'ServicePrincipal',
    principalDisplayName: application.displayName,
    resourceId: api.principalId,
    resourceDisplayName: api.name,
  }));
}

/** `oauth2PermissionGrants`: delegated grants, one for each API; useless to an app that signs in as itself. */
export function delegatedGrantRows({ application, permissions }: Registration): JsonObject[] {
  const granted = permissions.granted('Scope');
  return RESOURCE_APIS.flatMap((api) => {
    const scopes = granted.filter((grant) => grant.api.appId === api.appId).map(({ permission }) => permission);
    if (scopes.length === 0) return [];
    return [
      {
        clientId: application.principalId,
        consentType: 'AllPrincipals',
        id: randomAt('delegated-grant', application.clientId, api.appId).hex(43),
        principalId: null,
        resourceId: api.principalId,
        scope: scopes.join(' '),
      },
    ];
  });
}

/** Graph writes these moments without a fraction. */
function secondsOf(moment: Date): string {
  return `${moment.toISOString().slice(0, 19)}Z`;
}
