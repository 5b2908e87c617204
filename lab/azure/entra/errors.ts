import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../json.ts';

/** An error answer of the token or discovery endpoint. */
export interface EntraError {
  readonly status: number;
  readonly body: JsonObject;
}

/** Body forms as captured in examples/azure/entra (azure.md §2.4). */
function entraError(status: number, error: string, code: number, text: string, now: Date): EntraError {
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
