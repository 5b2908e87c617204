import type { FaultBook } from '../kit/faults.ts';
import type { Caller } from './access.ts';
import type { Accounts } from './accounts.ts';
import { requireScope } from './auth-scopes.ts';
import { handleAggregate } from './aggregate-api.ts';
import { handleAttachment, type AttachmentContext } from './attachment-api.ts';
import { handleBatch } from './batch-api.ts';
import { ApiError, apiPath, errorResponse, requireAccept, type ApiRequest, type ApiResponse } from './http.ts';
import { handleImportSet, type ImportContext } from './import-set-api.ts';
import { handleIdentifyReconcile, type Locks } from './ire/index.ts';
import { handleCmdbInstance } from './ire/instance-api.ts';
import type { Pace } from './latency.ts';
import type { Domains } from './domains.ts';
import type { OAuthClient } from './oauth-clients.ts';
import type { OAuth } from './oauth.ts';
import { inAcceptedFormat, withPlatformHeaders } from './platform-headers.ts';
import type { RateLimits } from './rate-limits.ts';
import { restResourceOf } from './rest-resources.ts';
import { handleRoleInheritance } from './role-inheritance-api.ts';
import type { Sessions } from './sessions.ts';
import { handleTable, unknownResource } from './table-api.ts';
import { withinQuota, type Quotas } from './transaction.ts';

/** The measured limit of a URL, in bytes (errors/414_url_too_long.json). */
const MAX_URL_BYTES = 8192;

export interface RouterContext extends AttachmentContext, ImportContext, Quotas {
  accounts: Accounts;
  oauth: OAuth;
  faults: FaultBook;
  pace: Pace;
  /** The identification engine's mutexes. */
  locks: Locks;
  sessions: Sessions;
  rateLimits: RateLimits;
  domains: Domains;
  /** Called for every item of a batch, so that its requests are counted too. */
  onBatchItem: (request: ApiRequest, response: ApiResponse) => void;
  /** Called for every item of a batch that was not serviced. */
  onUnserviced: (item: { method: string; url: string }) => void;
}

/** The signed-in account and, with a bearer token, the OAuth client that acts for it. */
interface SignedIn {
  caller: Caller;
  client: OAuthClient | undefined;
}

/** Answers whatever comes under `/api` and the OAuth endpoints. Never throws for a bad request. */
export async function route(context: RouterContext, request: ApiRequest): Promise<ApiResponse> {
  return withPlatformHeaders(inAcceptedFormat(request, await respond(context, request)));
}

async function respond(context: RouterContext, request: ApiRequest): Promise<ApiResponse> {
  try {
    if (Buffer.byteLength(context.baseUrl() + request.url) > MAX_URL_BYTES) return uriTooLong();
    if (request.path === '/oauth_token.do') return await context.oauth.token(request);
    if (request.path === '/oauth_revoke_token.do') return context.oauth.revoke(request);
  } catch (error) {
    return failure(error);
  }
  return context.sessions.run(request, () => signedInAnswer(context, request).catch(failure));
}

async function signedInAnswer(context: RouterContext, request: ApiRequest): Promise<ApiResponse> {
  const signedIn = authenticate(context, request);
  return context.pace.onThread(() => admit(context, signedIn, request, false));
}

/** What a room sees of one request: the records of the caller's domain, and the way for the items of a batch. */
interface RequestContext extends RouterContext {
  serveItem: (item: ApiRequest) => Promise<ApiResponse>;
}

/** Auth scopes and rate limits come before roles and ACLs (servicenow.md §5.1, §5.8). */
async function admit(context: RouterContext, signedIn: SignedIn, request: ApiRequest, isInBatch: boolean): Promise<ApiResponse> {
  const { caller, client } = signedIn;
  const resource = restResourceOf(request);
  if (resource === undefined) throw unknownResource();
  if (client !== undefined) requireScope(context.store, client, resource);
  const isCounted = !isInBatch || context.rateLimits.settings.countsBatchItems;
  const rateLimit = isCounted ? context.rateLimits.admit(caller, resource) : {};
  const store = context.domains.viewFor(caller, request);
  const serveItem = (item: ApiRequest): Promise<ApiResponse> => admit(context, signedIn, item, true);
  const work = (): Promise<ApiResponse> => serve({ ...context, store, serveItem }, caller, request, isInBatch);
  // A batch keeps its own quota, item by item.
  const isBounded = !isInBatch && resource.apiPath !== 'now/batch';
  const response = await (isBounded ? withinQuota(context.transactionQuotaMs, work) : work()).catch(failure);
  return { ...response, headers: { ...rateLimit, ...response.headers } };
}

async function serve(context: RequestContext, caller: Caller, request: ApiRequest, isInBatch: boolean): Promise<ApiResponse> {
  const [room] = apiPath(request.path)?.parts ?? [];
  // A file comes as what it is, whatever is accepted (c_AttachmentAPI).
  if (room !== 'attachment') requireAccept(request);
  switch (room) {
    case 'table':
      return paced(context, handleTable(context, caller, request), request.method === 'GET' ? 0 : 1);
    case 'stats':
      return paced(context, handleAggregate(context, caller, request), 0);
    case 'attachment':
      return paced(context, handleAttachment(context, caller, request), request.method === 'GET' ? 0 : 1);
    case 'import': {
      const { response, writes } = handleImportSet(context, caller, request);
      return paced(context, response, writes);
    }
    case 'identifyreconcile':
      return handleIdentifyReconcile(context, caller, request);
    case 'cmdb':
      return handleCmdbInstance(context, caller, request);
    case 'batch':
      if (isInBatch) throw unknownResource();
      return handleBatch(request, {
        store: context.store,
        quotaMs: context.batchQuotaMs,
        faults: context.faults,
        onUnserviced: context.onUnserviced,
        dispatch: async (item) => {
          const response = inAcceptedFormat(item, await context.serveItem(item).catch(failure));
          context.onBatchItem(item, response);
          return response;
        },
      });
    default:
      return paced(context, handleRoleInheritance(context, caller, request), 0);
  }
}

async function paced(context: RouterContext, response: ApiResponse, writes: number): Promise<ApiResponse> {
  await context.pace.spend(writes);
  return response;
}

function authenticate(context: RouterContext, request: ApiRequest): SignedIn {
  const [scheme = '', credentials = ''] = (request.headers.authorization ?? '').split(' ', 2);
  if (/^bearer$/i.test(scheme)) return context.oauth.identityOf(credentials) ?? refuse();
  if (!/^basic$/i.test(scheme)) return refuse();
  const text = Buffer.from(credentials, 'base64').toString('utf8');
  const at = text.indexOf(':');
  const caller = context.accounts.byPassword(text.slice(0, Math.max(at, 0)), text.slice(at + 1));
  return caller === undefined || context.accounts.basicRefused(caller) ? refuse() : { caller, client: undefined };
}

/** errors/401_not_authenticated.http */
function refuse(): never {
  throw new ApiError(401, 'User Not Authenticated', 'Required to provide Auth information', {
    'www-authenticate': 'BASIC realm="Service-now"',
  });
}

/** Only the status was recorded. */
function uriTooLong(): ApiResponse {
  return { status: 414, headers: { 'content-type': 'text/html' }, body: '<html><head><title>414 URI Too Long</title></head></html>' };
}

function failure(error: unknown): ApiResponse {
  if (error instanceof ApiError) return errorResponse(error);
  const reason = Error.isError(error) ? error.message : String(error);
  // As recorded for an unhandled server exception (errors/500_cmdb_instance_exception_null.json).
  const detail = `Exception while executing request: ${reason} Check logs for error trace or enable glide.rest.debug property to verify REST request processing`;
  return errorResponse(new ApiError(500, `Exception while executing request: ${reason}`, detail));
}

/** The pattern a request is counted under: table names stay, ids do not. */
export function patternOf(url: string): string {
  const path = url.split('?', 1)[0] ?? '';
  return path
    .replace(/^(\/api\/now(?:\/v[12])?\/(?:table\/[^/]+|import\/[^/]+|attachment))\/(?!file$|upload$|insertMultiple$)[^/]+/, '$1/{sys_id}')
    .replace(/^(\/lab\/table)\/[^/]+/, '$1/{table}');
}
