import type { FaultBook } from '../../kit/faults.ts';
import type { Caller } from '../access.ts';
import { ApiError, apiPath, json, jsonBody, type ApiRequest, type ApiResponse } from '../http.ts';
import { newSysId } from '../store.ts';
import { unknownResource, type ApiContext } from '../table-api.ts';
import { commitPlan } from './commit.ts';
import { quoted } from './messages.ts';
import { parsePayload } from './payload.ts';
import { planPayload } from './plan.ts';
import { ireResponse } from './response.ts';

const ENDPOINTS: Record<string, { enhanced: boolean; simulate: boolean }> = {
  '': { enhanced: false, simulate: false },
  query: { enhanced: false, simulate: true },
  enhanced: { enhanced: true, simulate: false },
  queryEnhanced: { enhanced: true, simulate: true },
};

/** `POST /api/now/identifyreconcile[/query|/enhanced|/queryEnhanced]` (servicenow.md §5.1). Returns the number of records written too. */
export function handleIdentifyReconcile(
  context: ApiContext & { faults: FaultBook },
  caller: Caller,
  request: ApiRequest,
): { response: ApiResponse; writes: number } {
  const [, mode = '', ...more] = apiPath(request.path)?.parts ?? [];
  const endpoint = ENDPOINTS[mode];
  if (endpoint === undefined || more.length > 0) throw unknownResource();
  if (request.method !== 'POST') throw new ApiError(405, 'Method not supported', null);
  if (!['itil', 'asset', 'admin'].some((role) => caller.roles.has(role))) {
    throw new ApiError(403, 'User Not Authorized', 'Failed API level ACL Validation');
  }
  const options = endpoint.enhanced ? parseOptions(request.query.get('options')) : new Map<string, boolean>();
  const payload = parsePayload(jsonBody(request));
  const { store, faults } = context;
  const dataSource = request.query.get('sysparm_data_source') ?? '';
  const plan = planPayload(payload, {
    store,
    faults,
    dataSource,
    enhanced: endpoint.enhanced,
    deduplicate: options.get('deduplicate_payloads') ?? true,
  });
  // With partial commits switched off, one bad item holds back the whole payload.
  if (endpoint.enhanced && options.get('partial_commits') === false && plan.items.some(({ errors }) => errors.length > 0))
    plan.refused = true;
  if (plan.refused) for (const item of plan.items) item.operation = undefined;
  const outcome = commitPlan(plan, store, caller.userName, endpoint.simulate);
  const body = ireResponse(plan, outcome, {
    ...endpoint,
    partialPayloads: options.get('partial_payloads') ?? true,
    summary: options.get('generate_summary') ?? false,
    keepPayload: (kind, item) => {
      const sysId = newSysId();
      if (endpoint.simulate) return sysId;
      const values = {
        class_name: item.item.className,
        payload: quoted(item.item, dataSource),
        data_source: dataSource,
        error_code: item.errors[0]?.error ?? '',
      };
      store.insert(`cmdb_ire_${kind}_payloads`, values, caller.userName, { sysId });
      return sysId;
    },
  });
  return { response: json(200, body), writes: outcome.writes };
}

/** `options=partial_payloads:true,…`; what is not like that is a server error (servicenow.md §5.1). The first three default to true. */
function parseOptions(text: string | null): Map<string, boolean> {
  const options = new Map<string, boolean>();
  for (const chunk of (text ?? '').split(',')) {
    if (chunk === '') continue;
    const match = /^(\w+):(true|false)$/.exec(chunk.trim());
    if (match === null) throw new ApiError(500, `Chunk [${chunk}] is not a valid entry`, null);
    options.set(match[1] ?? '', match[2] === 'true');
  }
  return options;
}
