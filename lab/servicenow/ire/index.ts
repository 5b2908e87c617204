import type { FaultBook } from '../../kit/faults.ts';
import type { Caller } from '../access.ts';
import { ApiError, apiPath, json, jsonBody, type ApiRequest, type ApiResponse } from '../http.ts';
import type { Pace } from '../latency.ts';
import { unknownResource, type ApiContext } from '../table-api.ts';
import { dateTime } from '../values.ts';
import { commitPlan } from './commit.ts';
import { lockHosts, type Locks } from './locks.ts';
import { joinPartials, keepUnfinished, purgePartials } from './partial.ts';
import { parseLenient } from './lenient-json.ts';
import { parsePayload, type Payload } from './payload.ts';
import { checkPayload, planItems, preparePayload } from './plan.ts';
import type { IreCall, PayloadPlan } from './plan-types.ts';
import { readProperties } from './properties.ts';
import { ireResponse, type IreAnswer } from './response.ts';
import { createRuleBook } from './rules.ts';

export { createLocks, type Locks } from './locks.ts';

const ENDPOINTS: Record<string, { enhanced: boolean; simulate: boolean }> = {
  '': { enhanced: false, simulate: false },
  query: { enhanced: false, simulate: true },
  enhanced: { enhanced: true, simulate: false },
  queryEnhanced: { enhanced: true, simulate: true },
};

export interface IreContext extends ApiContext {
  faults: FaultBook;
  pace: Pace;
  locks: Locks;
}

/**
 * `POST /api/now/identifyreconcile[/query|/enhanced|/queryEnhanced]` (servicenow.md §5.1). Takes the time of what it writes and keeps
 * the locks of the payload's hosts meanwhile.
 */
export async function handleIdentifyReconcile(context: IreContext, caller: Caller, request: ApiRequest): Promise<ApiResponse> {
  const [, mode = '', ...more] = apiPath(request.path)?.parts ?? [];
  const endpoint = ENDPOINTS[mode];
  if (endpoint === undefined || more.length > 0) throw unknownResource();
  if (request.method !== 'POST') throw new ApiError(405, 'Method not supported', null);
  requireEngineRole(caller);
  const options = endpoint.enhanced ? parseOptions(request.query.get('options')) : new Map<string, boolean>();
  const payload = parsePayload(readBody(request));
  const call = callOf(context, caller, request.query.get('sysparm_data_source') ?? '', endpoint, options);
  const { body } = await runPayload(context, payload, call, options.get('generate_summary') ?? false);
  return json(200, body);
}

/** itil or asset (servicenow.md §5.1). */
export function requireEngineRole(caller: Caller): void {
  if (['itil', 'asset', 'admin'].some((role) => caller.roles.has(role))) return;
  throw new ApiError(403, 'User Not Authorized', 'Failed API level ACL Validation');
}

function readBody(request: ApiRequest): unknown {
  try {
    return jsonBody(request);
  } catch (error) {
    if (!(error instanceof ApiError) || request.headers['content-type'] === undefined || error.status !== 400) throw error;
    try {
      return parseLenient(request.body.toString('utf8'));
    } catch {
      throw error;
    }
  }
}

/** Runs a payload through the engine, and takes the time of what it writes while the locks are held. */
export async function runPayload(
  context: IreContext,
  payload: Payload,
  call: IreCall,
  withSummary: boolean,
): Promise<{ plan: PayloadPlan; body: IreAnswer }> {
  const plan = preparePayload(payload, call);
  const { body, writes, release } = await run(plan, call, context.locks, withSummary);
  try {
    await context.pace.spend(writes);
  } finally {
    release();
  }
  return { plan, body };
}

/** Everything after the wait for the locks happens in one go: no other payload is in between. */
async function run(
  plan: PayloadPlan,
  call: IreCall,
  locks: Locks,
  withSummary: boolean,
): Promise<{ body: IreAnswer; writes: number; release: () => void }> {
  const isRefused = plan.refused;
  const keepsPartials = call.enhanced && call.partialPayloads;
  if (keepsPartials && !call.simulate) purgePartials(call.store);
  const joined = keepsPartials && !isRefused ? joinPartials(plan, call) : [];
  if (!isRefused) checkPayload(plan, call);
  const isHopeless = !call.partialCommits && plan.items.some(({ errors }) => errors.length > 0);
  const release = call.simulate || isRefused || isHopeless ? (): void => undefined : await lockHosts(plan, call, locks);
  try {
    if (!isRefused) planItems(plan, call);
    const outcome = commitPlan(plan, call);
    const kept = keepsPartials || call.dataSource === '' ? keepUnfinished(plan, joined, call) : new Map<never, string[]>();
    return { body: ireResponse({ plan, outcome, call, kept }, withSummary), writes: outcome.writes, release };
  } catch (error) {
    release();
    throw error;
  }
}

/** What holds for one call: rules and properties as they are now. */
export function callOf(
  context: IreContext,
  caller: Caller,
  dataSource: string,
  endpoint: { enhanced: boolean; simulate: boolean },
  options: Map<string, boolean>,
): IreCall {
  const { store, faults } = context;
  // Partial payloads bring the other two with them, whatever the options say (documentation of the engine, enhanced features).
  const partialPayloads = endpoint.enhanced && (options.get('partial_payloads') ?? true);
  const option = (name: string): boolean => endpoint.enhanced && (partialPayloads || (options.get(name) ?? true));
  return {
    store,
    rules: createRuleBook(store),
    properties: readProperties(store),
    faults,
    dataSource,
    quoting: { dataSource, receivedAt: endpoint.enhanced ? dateTime(store.clock.now()) : undefined },
    actor: caller.userName,
    ...endpoint,
    partialPayloads,
    partialCommits: option('partial_commits'),
    deduplicate: option('deduplicate_payloads'),
  };
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
