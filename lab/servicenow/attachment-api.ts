import type { Caller } from './access.ts';
import { ApiError, apiPath, json, type ApiRequest, type ApiResponse } from './http.ts';
import { renderRow } from './render.ts';
import { queryRows, requireTable, unknownResource, type ApiContext } from './table-api.ts';

/** `GET /api/now/attachment`: the metadata list (servicenow.md §5.6; attachment/get_list_*.json). Contents are not kept. */
export function handleAttachment(context: ApiContext, caller: Caller, request: ApiRequest): ApiResponse {
  const path = apiPath(request.path);
  if (path === undefined || path.parts.length > 1) throw unknownResource();
  if (request.method !== 'GET') throw new ApiError(405, 'Method not supported', null);
  const table = requireTable(context, 'sys_attachment');
  const rows = queryRows(context, caller, table, request.query.get('sysparm_query') ?? '');
  const limit = Number(request.query.get('sysparm_limit') ?? 1000);
  const offset = Number(request.query.get('sysparm_offset') ?? 0);
  const result = rows
    .slice(offset, offset + limit)
    .filter(() => context.access.may(caller, table, 'read'))
    .map((row) => ({
      ...renderRow(context.store, table, row, {
        linkBase: `${context.baseUrl()}${path.base}`,
        display: 'false',
        excludeReferenceLink: true,
        fields: undefined,
        mayRead: () => true,
      }),
      download_link: `${context.baseUrl()}${path.base}/attachment/${row.sysId}/file`,
    }));
  return json(200, { result }, { 'x-total-count': String(rows.length) });
}
