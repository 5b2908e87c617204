import { ApiError } from './http.ts';
import { scopesOf, type OAuthClient } from './oauth-clients.ts';
import { propertyOf } from './query/evaluate.ts';
import type { RestResource } from './rest-resources.ts';
import type { Row, Store } from './store.ts';

/** The special scope that opens every API (documented with REST API Auth Scope). */
const EVERYTHING = 'useraccount';

/**
 * Refuses a client before roles and ACLs are looked at (servicenow.md §5.1 pitfalls, errors/403_unscoped_api_oauth_client.json). An API
 * without a REST API Auth Scope is open to every client but a securely scoped one; one that has scopes is open to who holds one of them,
 * per method. Basic authentication knows no scopes.
 */
export function requireScope(store: Store, client: OAuthClient, resource: RestResource): void {
  if (propertyOf(store, 'com.glide.rest.api.auth.scope.check.enable') === 'false') return;
  const held = scopesOf(store, client);
  if (held.has(EVERYTHING)) return;
  const wanted = [...store.rows('sys_api_access_scope')].filter((row) => covers(row, resource)).map((row) => scopeName(store, row));
  if (wanted.some((scope) => held.has(scope))) return;
  const [scope] = wanted;
  // Recorded by two projects: the detail names one scope that would do.
  if (scope !== undefined) throw new ApiError(403, 'User Not Authorized', `Missing required api access scope: ${scope}`);
  if (!client.isSecurelyScoped || propertyOf(store, 'glide.security.oauth_allow_unscoped_clients') === 'true') return;
  throw new ApiError(403, 'User Not Authorized', 'Access to unscoped api is not allowed', { 'x-is-logged-in': 'true' });
}

function scopeName(store: Store, row: Row): string {
  return store.find('sys_auth_scope', row.values['auth_scope'] ?? '')?.values['name'] ?? '';
}

function covers({ values }: Row, resource: RestResource): boolean {
  const all = (column: string): boolean => values[column] === 'true';
  return (
    values['active'] === 'true' &&
    values['api_path']?.replace(/^\//, '') === resource.apiPath &&
    (all('apply_all_methods') || values['http_method']?.toUpperCase() === resource.method) &&
    (all('apply_all_resources') || (values['api_resource'] ?? '') === resource.resource) &&
    (all('apply_all_versions') || (values['version'] ?? '') === resource.version)
  );
}
