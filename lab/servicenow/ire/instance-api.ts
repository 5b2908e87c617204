import type { Caller } from '../access.ts';
import { ApiError, apiPath, json, jsonBody, type ApiRequest, type ApiResponse } from '../http.ts';
import { unknownResource } from '../table-api.ts';
import { callOf, requireEngineRole, runPayload, type IreContext } from './index.ts';
import { parsePayload } from './payload.ts';

/**
 * `POST /api/now/cmdb/instance/{class}` with `{"attributes":{…},"source":"…"}`: one CI through the engine. A refusal is HTTP 400 with
 * the engine's envelope, a typed attribute HTTP 500 (identifyreconcile/invalid_data_source_400.json), relations that are no list an
 * unhandled exception (errors/500_cmdb_instance_exception_null.json). The lab has this method alone, and makes no relations with it.
 */
export async function handleCmdbInstance(context: IreContext, caller: Caller, request: ApiRequest): Promise<ApiResponse> {
  const [, room, className = '', ...more] = apiPath(request.path)?.parts ?? [];
  if (room !== 'instance' || className === '' || more.length > 0) throw unknownResource();
  if (request.method !== 'POST') throw new ApiError(405, 'Method not supported', null);
  requireEngineRole(caller);
  const { attributes, source, depends_on: dependsOn, ...relations } = asObject(jsonBody(request));
  const lists = { ...asObject(dependsOn), ...relations };
  const isList = (name: string): boolean => lists[name] === undefined || Array.isArray(lists[name]);
  if (!isList('outbound_relations') || !isList('inbound_relations')) throw new Error('null');
  if (Object.values(asObject(attributes)).some((value) => typeof value === 'number')) {
    const message = 'class java.lang.Double cannot be cast to class java.lang.String';
    throw new ApiError(500, message, message);
  }
  const payload = parsePayload({ items: [{ className, values: attributes }] });
  const call = callOf(context, caller, typeof source === 'string' ? source : '', { enhanced: false, simulate: false }, new Map());
  const { plan, body } = await runPayload(context, payload, call, false);
  const [item] = plan.items;
  if (item?.operation === undefined) return json(400, refusalOf(body));
  return json(201, { result: { outbound_relations: [], attributes: { ...item.row?.values }, inbound_relations: [] } });
}

/** The recorded refusal has the items alone, each with all of its counts. */
function refusalOf(body: { result: { items: object[] } }): object {
  const items = body.result.items.map((item) => ({
    ...Object.fromEntries(Object.entries(item).filter(([name]) => name !== 'operation' && name !== 'incompleteSysIds')),
    warningCount: 0,
  }));
  return { result: { items } };
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
