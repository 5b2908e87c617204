import type { ApiRequest } from './http.ts';

/** What rate-limit rules and REST API Auth Scopes are set on: an API, its version, a resource of it. */
export interface RestResource {
  /** `Table API`: the name in rate-limit rules and in the 429 body (errors/429_rate_limit_rule.json). */
  api: string;
  /** `now/table`: the path in REST API Auth Scopes. */
  apiPath: string;
  method: string;
  /** `v1`, `v2`, or '' for the default version. */
  version: string;
  /** Below the API, variable parts named: `/{tableName}/{sys_id}`. */
  resource: string;
  /** The table that the path names; '' where the API has none. */
  table: string;
}

/** Names as the REST API Explorer lists them; the one of the identification API is spelled differently from page to page. */
const APIS: Record<string, { name: string; variables: readonly string[] }> = {
  table: { name: 'Table API', variables: ['{tableName}', '{sys_id}'] },
  stats: { name: 'Aggregate API', variables: ['{tableName}'] },
  attachment: { name: 'Attachment API', variables: ['{sys_id}', 'file'] },
  import: { name: 'Import Set API', variables: ['{stagingTableName}', '{sys_id}'] },
  batch: { name: 'Batch API', variables: [] },
  identifyreconcile: { name: 'Identification and Reconciliation API', variables: [] },
};

const HAS_TABLE = new Set(['table', 'stats', 'import']);

/** Names the resource of a request; undefined for a path outside `/api`. */
export function restResourceOf(request: ApiRequest): RestResource | undefined {
  const [root, namespace = '', ...rest] = request.path.split('/').filter((segment) => segment !== '');
  if (root !== 'api') return undefined;
  const version = /^v\d+$/.test(rest[0] ?? '') ? (rest[0] ?? '') : '';
  const [room = '', ...below] = version === '' ? rest : rest.slice(1);
  const known = namespace === 'now' ? APIS[room] : undefined;
  return {
    api: known?.name ?? room,
    apiPath: `${namespace}/${room}`,
    method: request.method,
    version,
    resource: below.map((segment, index) => `/${known?.variables[index] ?? segment}`).join(''),
    table: namespace === 'now' && HAS_TABLE.has(room) ? (below[0] ?? '') : '',
  };
}
