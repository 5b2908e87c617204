import type { Json, JsonObject } from '../json.ts';

/** An error answer of ARM or of a resource provider: `{"error":{"code","message",…}}` (azure.md §1.11). */
export class ArmError extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly details: readonly Json[] | undefined;

  constructor(status: number, code: string, message: string, more: { headers?: Record<string, string>; details?: Json[] } = {}) {
    super(message);
    this.name = 'ArmError';
    this.status = status;
    this.code = code;
    this.headers = more.headers ?? {};
    this.details = more.details;
  }

  body(): JsonObject {
    return { error: { code: this.code, message: this.message, details: this.details } };
  }
}

export function missingApiVersion(): ArmError {
  return new ArmError(400, 'MissingApiVersionParameter', 'The api-version query parameter (?api-version=) is required for all requests.');
}

export function unsupportedApiVersion(resourceType: string, version: string, supported: readonly string[]): ArmError {
  return new ArmError(
    400,
    'NoRegisteredProviderFound',
    `No registered resource provider found for API version '${version}' for type '${resourceType}'. The supported api-versions are '${supported.join(', ')}'.`,
  );
}

export function unknownPath(path: string): ArmError {
  return new ArmError(404, 'InvalidResourcePath', `The request path '${path}' names no resource type.`);
}

export function unknownResourceType(resourceType: string): ArmError {
  const [namespace = '', ...types] = resourceType.split('/');
  return new ArmError(
    404,
    'InvalidResourceType',
    `The resource type '${types.join('/')}' could not be found in the namespace '${namespace}'.`,
  );
}

export function methodNotAllowed(method: string, allowed: readonly string[]): ArmError {
  return new ArmError(405, 'MethodNotAllowed', `The requested resource does not support http method '${method}'.`, {
    headers: { allow: allowed.join(', ') },
  });
}

/** Text as published (errors/arm_403_AuthorizationFailed.json). */
export function authorizationFailed(clientId: string, principalId: string, action: string, scope: string): ArmError {
  return new ArmError(
    403,
    'AuthorizationFailed',
    `The client '${clientId}' with object id '${principalId}' does not have authorization to perform action '${action}' over scope '${scope}' ` +
      'or the scope is invalid. If access was recently granted, please refresh your credentials.',
  );
}

export function subscriptionNotFound(subscriptionId: string): ArmError {
  return new ArmError(404, 'SubscriptionNotFound', `The subscription '${subscriptionId}' could not be found.`);
}

export function notFound(code: string, message: string): ArmError {
  return new ArmError(404, code, message);
}

export function badRequest(code: string, message: string): ArmError {
  return new ArmError(400, code, message);
}
