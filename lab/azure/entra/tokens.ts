import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { LabTenantInfo } from '../estate/model.ts';
import type { JsonObject } from '../json.ts';
import type { AzureLabOptions } from '../options.ts';
import { refuseAssertion, type AssertionContext } from './assertions.ts';
import type { Directory, Registration } from './directory.ts';
import {
  blockedByPolicy,
  disabledApplication,
  expiredSecret,
  isEntraError,
  missingCredential,
  missingParameter,
  missingServicePrincipal,
  scopeNotDefault,
  transientError,
  unknownApplication,
  unknownResource,
  unsupportedGrant,
  wrongSecret,
  type EntraError,
} from './errors.ts';
import type { SigningKeys } from './keys.ts';
import { resourceNamed, type TokenResource } from './resources.ts';

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** How an application proved who it is, as `appidacr` says it: 1 secret, 2 certificate or another signed assertion. */
type ProofClass = '1' | '2';

export interface IssuedToken {
  readonly accessToken: string;
  readonly issuedAt: Date;
  readonly lifetimeSeconds: number;
}

export interface TokenIssuer {
  /** The answer to `POST /{tenant}/oauth2/v2.0/token` (azure.md §2.1). */
  answer(form: URLSearchParams): Promise<{ status: number; body: JsonObject; headers?: Readonly<Record<string, string>> }>;
  /** A token for an application whose identity is beyond doubt; an error where the resource is unknown. */
  issue(registration: Registration, resource: string, proof: ProofClass): Promise<IssuedToken | EntraError>;
}

interface IssuerContext extends AssertionContext {
  tenant: LabTenantInfo;
  directory: Directory;
  keys: SigningKeys;
  options: AzureLabOptions;
  /** The lab's own ARM and Graph URLs: resources of this tenant beside Microsoft's own identifiers. */
  ownResources: () => { arm: string; graph: string };
}

/** Client-credentials tokens for ARM, Graph and the other APIs of the tenant. */
export function createTokenIssuer(context: IssuerContext): TokenIssuer {
  const { tenant, directory, keys, authority, options } = context;
  const issue: TokenIssuer['issue'] = async (registration, identifier, proof) => {
    const issuedAt = authority.now();
    const resource = resourceNamed(identifier, authority.state.cloud, context.ownResources());
    if (resource === undefined) return unknownResource(identifier, tenant.displayName, issuedAt);
    const lifetimeSeconds = options.tokenLifetimeSeconds;
    const claims = accessTokenClaims({ audience: identifier, resource, proof, tenant, registration, issuedAt, lifetimeSeconds });
    return { accessToken: await keys.sign(claims), issuedAt, lifetimeSeconds };
  };
  const sign = async (form: URLSearchParams): Promise<IssuedToken | EntraError> => {
    const now = authority.now();
    const passing = takeTransient(context, now);
    if (passing !== undefined) return passing;
    const request = readRequest(form, now);
    if (isEntraError(request)) return request;
    const registration = directory.byClientId(request.clientId);
    if (registration === undefined || registration.presence === 'not-in-tenant')
      return unknownApplication(request.clientId, tenant.displayName, now);
    const refused = (await refuseCredential(request, registration, context)) ?? refusePrincipal(registration, tenant, now);
    if (refused !== undefined) return refused;
    const token = await issue(registration, request.resource, request.secret === undefined ? '2' : '1');
    // Policies are asked last: they judge a sign-in that is otherwise good.
    return !isEntraError(token) && registration.blockedByPolicy ? blockedByPolicy(now) : token;
  };
  return {
    issue,
    answer: async (form) => {
      const token = await sign(form);
      if (isEntraError(token)) return token;
      const { accessToken, lifetimeSeconds: seconds } = token;
      return { status: 200, body: { token_type: 'Bearer', expires_in: seconds, ext_expires_in: seconds, access_token: accessToken } };
    },
  };
}

interface TokenRequest {
  readonly clientId: string;
  readonly secret: string | undefined;
  readonly assertion: string | undefined;
  /** The scope without `/.default`. */
  readonly resource: string;
}

function readRequest(form: URLSearchParams, now: Date): TokenRequest | EntraError {
  const grant = form.get('grant_type');
  if (grant === null) return missingParameter('grant_type', now);
  if (grant !== 'client_credentials') return unsupportedGrant(grant, now);
  const clientId = form.get('client_id');
  if (clientId === null) return missingParameter('client_id', now);
  const secret = form.get('client_secret') ?? undefined;
  const assertion = form.get('client_assertion_type') === JWT_BEARER ? (form.get('client_assertion') ?? undefined) : undefined;
  if (secret === undefined && assertion === undefined) return missingCredential(now);
  const scopes = (form.get('scope') ?? '')
    .split(' ')
    .filter((scope) => scope !== '' && !['openid', 'profile', 'offline_access'].includes(scope));
  const [scope] = scopes;
  if (scope === undefined) return missingParameter('scope', now);
  if (scopes.length > 1 || !scope.endsWith('/.default')) return scopeNotDefault(scopes.join(' '), now);
  return { clientId, secret, assertion, resource: scope.slice(0, -'/.default'.length) };
}

async function refuseCredential(
  { secret, assertion }: TokenRequest,
  registration: Registration,
  context: IssuerContext,
): Promise<EntraError | undefined> {
  if (secret === undefined) return refuseAssertion(assertion ?? '', registration, context);
  const { clientId } = registration.application;
  const now = context.authority.now();
  const same = registration.secrets.filter(({ value, startsAt }) => isSameSecret(secret, value) && startsAt <= now);
  if (same.length === 0) return wrongSecret(clientId, now);
  return same.some(({ endsAt }) => endsAt > now) ? undefined : expiredSecret(clientId, now);
}

function refusePrincipal({ application, presence }: Registration, { tenantId }: LabTenantInfo, now: Date): EntraError | undefined {
  if (presence === 'service-principal-missing') return missingServicePrincipal(application.clientId, tenantId, now);
  if (presence === 'disabled') return disabledApplication(application.clientId, application.displayName, now);
  return undefined;
}

function isSameSecret(left: string, right: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(left), digest(right));
}

function takeTransient({ authority: { state } }: IssuerContext, now: Date): EntraError | undefined {
  if (state.transient === undefined) return undefined;
  const { code, times } = state.transient;
  state.transient = times > 1 ? { code, times: times - 1 } : undefined;
  return transientError(code, now);
}

/**
 * v1-style claims as in entra/claims_*.json. ARM tokens never carry roles; those of an API carry the permissions granted on it
 * at this moment, or no claim at all (azure.md §2.3: the "Delegated instead of Application" mistake).
 */
function accessTokenClaims(input: {
  audience: string;
  resource: TokenResource;
  proof: ProofClass;
  tenant: LabTenantInfo;
  registration: Registration;
  issuedAt: Date;
  lifetimeSeconds: number;
}): Record<string, unknown> {
  const { tenant, registration, resource } = input;
  const { application } = registration;
  const issuedAt = Math.floor(input.issuedAt.getTime() / 1000);
  const issuer = `https://sts.windows.net/${tenant.tenantId}/`;
  const roles = resource.kind === 'api' ? registration.permissions.roles(resource.api) : [];
  return {
    aud: input.audience,
    iss: issuer,
    iat: issuedAt,
    nbf: issuedAt,
    exp: issuedAt + input.lifetimeSeconds,
    aio: randomBytes(24).toString('base64'),
    ...(resource.kind === 'api' ? { app_displayname: application.displayName } : {}),
    appid: application.clientId,
    appidacr: input.proof,
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
