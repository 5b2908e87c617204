import type { JsonObject } from '../json.ts';
import type { LabCloud } from './permissions.ts';

/** Authorities that stand for many tenants and name none. */
export const NO_TENANTS: ReadonlySet<string> = new Set(['common', 'organizations']);

const CLOUD_HOSTS: Readonly<Record<LabCloud, { instance: string; graph: string }>> = {
  public: { instance: 'microsoftonline.com', graph: 'graph.microsoft.com' },
  usgovernment: { instance: 'microsoftonline.us', graph: 'graph.microsoft.us' },
};

/** MSAL insists on an https issuer of the same host and port as the authority (azure.md §3.3). `segment`: the tenant's id, `common` or `organizations`. */
export function discoveryDocument(url: string, segment: string, cloud: LabCloud): JsonObject {
  const base = `${url}/${segment}`;
  const { instance, graph } = CLOUD_HOSTS[cloud];
  return {
    token_endpoint: `${base}/oauth2/v2.0/token`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt'],
    jwks_uri: `${base}/discovery/v2.0/keys`,
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    // Which tenant it will be is known only once somebody signed in.
    issuer: NO_TENANTS.has(segment) ? `${url}/{tenantid}/v2.0` : `${base}/v2.0`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    end_session_endpoint: `${base}/oauth2/v2.0/logout`,
    tenant_region_scope: NO_TENANTS.has(segment) ? null : cloud === 'public' ? 'EU' : 'USGov',
    cloud_instance_name: instance,
    msgraph_host: graph,
  };
}

/** Instance discovery: the hosts that are one authority. Undefined where the asked one is not this authority. */
export function instanceDocument(url: string, query: Readonly<Record<string, string | undefined>>): JsonObject | undefined {
  const { host } = new URL(url);
  const asked = URL.parse(query.authorization_endpoint ?? '');
  if (asked?.host !== host) return undefined;
  const [segment = 'common'] = asked.pathname.split('/').filter((part) => part !== '');
  return {
    tenant_discovery_endpoint: `${url}/${segment}/v2.0/.well-known/openid-configuration`,
    'api-version': query['api-version'] ?? '1.1',
    metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
  };
}
