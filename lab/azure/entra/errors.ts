import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../json.ts';
import type { TransientCode } from './authority.ts';

/** An error answer of the token or discovery endpoint. */
export interface EntraError {
  readonly status: number;
  readonly body: JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
}

export function isEntraError(value: object): value is EntraError {
  return 'status' in value && 'body' in value;
}

/** Body forms as captured in examples/azure/entra (azure.md §2.4). */
export function entraError(status: number, error: string, code: number, text: string, now: Date): EntraError {
  const traceId = randomUUID();
  const correlationId = randomUUID();
  const timestamp = `${now.toISOString().slice(0, 19).replace('T', ' ')}Z`;
  return {
    status,
    body: {
      error,
      error_description: `AADSTS${String(code)}: ${text} Trace ID: ${traceId} Correlation ID: ${correlationId} Timestamp: ${timestamp}`,
      error_codes: [code],
      timestamp,
      trace_id: traceId,
      correlation_id: correlationId,
      error_uri: `https://login.microsoftonline.com/error?code=${String(code)}`,
    },
  };
}

export function wrongSecret(clientId: string, now: Date): EntraError {
  return entraError(
    401,
    'invalid_client',
    7000215,
    'Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, ' +
      `for a secret added to app '${clientId}'.`,
    now,
  );
}

/** The value is right, its time is over. */
export function expiredSecret(clientId: string, now: Date): EntraError {
  return entraError(
    401,
    'invalid_client',
    7000222,
    `The provided client secret keys for app '${clientId}' are expired. Visit the Azure portal to create new keys for your app: ` +
      'https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.',
    now,
  );
}

/** Neither a secret nor an assertion was sent. */
export function missingCredential(now: Date): EntraError {
  return entraError(
    401,
    'invalid_client',
    7000216,
    "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
    now,
  );
}

export function missingServicePrincipal(clientId: string, tenantId: string, now: Date): EntraError {
  return entraError(
    401,
    'invalid_client',
    7000229,
    `The client application ${clientId} is missing service principal in the tenant ${tenantId}.`,
    now,
  );
}

/** Sign-in is switched off for the enterprise application. */
export function disabledApplication(clientId: string, name: string, now: Date): EntraError {
  return entraError(400, 'unauthorized_client', 7000112, `Application '${clientId}'(${name}) is disabled.`, now);
}

/** Conditional Access for workload identities: the last thing that is asked. */
export function blockedByPolicy(now: Date): EntraError {
  return entraError(
    400,
    'invalid_grant',
    53003,
    'Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.',
    now,
  );
}

/** `common` and `organizations` name no tenant, and an application that signs in as itself implies none. */
export function noTenantNamed(now: Date): EntraError {
  return entraError(
    400,
    'invalid_request',
    50059,
    'No tenant-identifying information found in either the request or implied by any provided credentials.',
    now,
  );
}

const RETRY_AFTER_SECONDS: Readonly<Partial<Record<TransientCode, string>>> = { 50196: '60', 90055: '10' };
const TRANSIENT_TEXTS: Readonly<Record<TransientCode, string>> = {
  50196: 'The server terminated an operation because it encountered a client request loop. Please contact your app vendor.',
  90024: 'A transient error has occurred. Please try again.',
  90033: 'A transient error has occurred. Please try again.',
  90055: 'The server has terminated the request because there are too many incoming requests. Please try again later.',
};

/** What passes by itself: retry class 429, 5xx, temporarily_unavailable. An application in a loop is told to wait a minute. */
export function transientError(code: TransientCode, now: Date): EntraError {
  const seconds = RETRY_AFTER_SECONDS[code];
  const error = entraError(seconds === undefined ? 503 : 429, 'temporarily_unavailable', code, TRANSIENT_TEXTS[code], now);
  return seconds === undefined ? error : { ...error, headers: { 'retry-after': seconds } };
}

/** Instance discovery of a host that is no authority of this cloud. */
export function unknownInstance(now: Date): EntraError {
  return entraError(400, 'invalid_instance', 50049, 'Unknown or invalid instance.', now);
}

/** The admin consent page sends nobody to an address that is not registered. */
export function unknownRedirect(redirectUri: string, clientId: string, now: Date): EntraError {
  return entraError(
    400,
    'invalid_request',
    50011,
    `The redirect URI '${redirectUri}' specified in the request does not match the redirect URIs configured for the application '${clientId}'.`,
    now,
  );
}

export function unknownApplication(clientId: string, directory: string, now: Date): EntraError {
  return entraError(
    400,
    'unauthorized_client',
    700016,
    `Application with identifier '${clientId}' was not found in the directory '${directory}'. This can happen if the application has not been ` +
      'installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request ' +
      'to the wrong tenant.',
    now,
  );
}

/** `invalid_request` on the token URL, `invalid_tenant` on the discovery URL. */
export function unknownTenant(tenant: string, endpoint: 'token' | 'discovery', now: Date): EntraError {
  return endpoint === 'token'
    ? entraError(
        400,
        'invalid_request',
        90002,
        `Tenant ${tenant} not found. This may happen if there are no active subscriptions for the tenant. Check to make sure you have the correct tenant ID.`,
        now,
      )
    : entraError(
        400,
        'invalid_tenant',
        90002,
        `Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.`,
        now,
      );
}

export function unknownResource(resource: string, directory: string, now: Date): EntraError {
  return entraError(
    400,
    'invalid_resource',
    500011,
    `The resource principal named ${resource} was not found in the tenant named ${directory}.`,
    now,
  );
}

/** A required form field is missing: AADSTS900144. */
export function missingParameter(name: string, now: Date): EntraError {
  return entraError(400, 'invalid_request', 900144, `The request body must contain the following parameter: '${name}'.`, now);
}

export function unsupportedGrant(grant: string, now: Date): EntraError {
  return entraError(400, 'unsupported_grant_type', 70003, `The app requested an unsupported grant type '${grant}'.`, now);
}

/** A scope of client_credentials must be one resource followed by /.default: AADSTS1002012. */
export function scopeNotDefault(scope: string, now: Date): EntraError {
  return entraError(
    400,
    'invalid_scope',
    1002012,
    `The provided value for scope ${scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).`,
    now,
  );
}
