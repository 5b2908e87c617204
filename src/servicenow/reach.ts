/** Which APIs let an OAuth client in, and what can be found out about a sign-in that was refused (servicenow.md §5.1 pitfalls, §5.7). */
import { isSyncError } from '../errors.ts';
import type { Gate } from '../model.ts';
import { isObject, type Transport } from '../transport.ts';
import { createColumnCheck } from './columns.ts';
import { readFailure, refusalOf } from './errors.ts';
import { createSend, type Send, type ServiceNowRequest, type Timeouts } from './http.ts';
import { createAuthorizer, type ServiceNowAuth } from './oauth.ts';
import { createRolesApi, type InstanceUser } from './roles.ts';
import { createTableApi } from './table.ts';

/** One API and method that the engine uses, and whether the client's auth scopes open it. */
export interface ApiReach {
  /** `Table API`: as rate-limit rules and REST API Auth Scopes call it. */
  readonly api: string;
  readonly method: string;
  /** `now/table`, as a REST API Auth Scope has it. */
  readonly apiPath: string;
  /** What the instance said; undefined where the client is let in. */
  readonly refused: string | undefined;
  /** Name of the scope that would do, where the instance says it. */
  readonly scope: string | undefined;
}

/** What a refused sign-in is due to, as far as other requests with the same secrets can tell. */
export type SignInDiagnosis =
  /** User name and password are taken without the client. */
  | { readonly fits: 'user' }
  /** Id and secret are taken without the user; `user` is undefined where there is none of this name, `users` says whether any is readable. */
  | { readonly fits: 'client'; readonly user: InstanceUser | undefined; readonly usersReadable: boolean }
  /** The instance has one text for every cause, and there is nothing else to ask with. */
  | { readonly fits: 'unknown' };

export interface ReachApi {
  /**
   * Asks every API that the engine uses for something that changes nothing. Auth scopes come before roles and ACLs, so that any other
   * refusal means that the client was let in. Empty for basic authentication, which knows no scopes.
   */
  probeApis(signal?: AbortSignal): Promise<readonly ApiReach[]>;
  /**
   * Whether a table has records that a read ACL hides: those are left out of the answer, and still counted
   * (examples/servicenow/table-api/acl_blind_x_total_count.json).
   */
  readHidden(table: string, signal?: AbortSignal): Promise<{ readonly shown: number; readonly counted: number }>;
  /** One or two further requests with the same secrets, none of which counts as a failed sign-in of the user where the client alone tells. */
  diagnoseSignIn(signal?: AbortSignal): Promise<SignInDiagnosis>;
}

export interface ReachDependencies {
  /** https origin of the instance. */
  readonly url: string;
  readonly auth: ServiceNowAuth;
  readonly transport: Transport;
  readonly gate: Gate;
  readonly timeouts: Timeouts;
  readonly send: Send;
}

type Probe = Pick<ApiReach, 'api' | 'apiPath'> & Pick<ServiceNowRequest, 'method' | 'path' | 'query' | 'body'>;

const one = { sysparm_limit: '1', sysparm_fields: 'sys_id' };
/** No record has this sys_id, and no table this name. */
const nobody = '0'.repeat(32);
const noTable = 'defender_sync_no_such_table';

const probes: readonly Probe[] = [
  { api: 'Table API', apiPath: 'now/table', method: 'GET', path: '/api/now/table/sys_user', query: one },
  { api: 'Table API', apiPath: 'now/table', method: 'POST', path: `/api/now/table/${noTable}`, body: {} },
  { api: 'Table API', apiPath: 'now/table', method: 'PATCH', path: `/api/now/table/sys_user/${nobody}`, body: {} },
  {
    api: 'Batch API',
    apiPath: 'now/batch',
    method: 'POST',
    path: '/api/now/batch',
    body: { batch_request_id: 'reach', rest_requests: [] },
  },
  {
    api: 'Identification and Reconciliation API',
    apiPath: 'now/identifyreconcile',
    method: 'POST',
    path: '/api/now/identifyreconcile/query',
    body: { items: [] },
  },
  { api: 'Aggregate API', apiPath: 'now/stats', method: 'GET', path: '/api/now/stats/sys_user', query: { sysparm_count: 'true' } },
  { api: 'Attachment API', apiPath: 'now/attachment', method: 'GET', path: '/api/now/attachment', query: one },
];

/** Whatever an API says to a request that makes no sense to it, it has let us in. */
const anAnswer = [400, 403, 404, 405, 500];

export function createReachApi({ url, auth, transport, gate, timeouts, send }: ReachDependencies): ReachApi {
  const userNameOf = (auth: ServiceNowAuth): string => ('userName' in auth ? auth.userName : '');
  /** What the same secrets see in another way of signing in; undefined where they are refused. */
  const lookAs = async (other: ServiceNowAuth, signal: AbortSignal | undefined): Promise<Seen | undefined> => {
    const authorizer = createAuthorizer({ url, auth: other, transport });
    const table = createTableApi({
      send: createSend({ url, transport, authorizer, gate, timeouts }),
      checkColumns: createColumnCheck(undefined),
    });
    try {
      const user = await createRolesApi(table).findUser(userNameOf(auth), signal);
      return { user, usersReadable: user !== undefined || (await createRolesApi(table).findUser('admin', signal)) !== undefined };
    } catch (error) {
      if (isSyncError(error, 'unauthenticated')) return undefined;
      // Refused after signing in: the table, or the API, is closed.
      if (isSyncError(error, 'forbidden')) return { user: undefined, usersReadable: false };
      throw error;
    }
  };
  return {
    probeApis: async (signal) => {
      if (auth.type === 'basic') return [];
      const reached: ApiReach[] = [];
      for (const probe of probes) reached.push(await ask(send, probe, signal));
      return reached;
    },
    readHidden: async (table, signal) => {
      const path = `/api/now/table/${encodeURIComponent(table)}`;
      const answer = await send({ method: 'GET', path, query: one, kind: 'serviceNowReads', effect: 'read', signal });
      const rows = isObject(answer.body) ? answer.body['result'] : undefined;
      const shown = Array.isArray(rows) ? rows.length : 0;
      const counted = Number(answer.header('x-total-count') ?? shown);
      return { shown, counted: Number.isFinite(counted) ? counted : shown };
    },
    diagnoseSignIn: async (signal) => {
      if (auth.type !== 'password') return { fits: 'unknown' };
      const { clientId, clientSecret, userName, password } = auth;
      // The client first: a wrong password sent once more may lock the user out.
      const byClient = await lookAs({ type: 'client-credentials', clientId, clientSecret }, signal);
      if (byClient !== undefined) return { fits: 'client', ...byClient };
      return (await lookAs({ type: 'basic', userName, password }, signal)) === undefined ? { fits: 'unknown' } : { fits: 'user' };
    },
  };
}

interface Seen {
  readonly user: InstanceUser | undefined;
  readonly usersReadable: boolean;
}

async function ask(send: Send, { api, apiPath, ...request }: Probe, signal: AbortSignal | undefined): Promise<ApiReach> {
  const answer = await send({ ...request, kind: 'serviceNowReads', effect: 'read', alsoFine: anAnswer, signal });
  const refusal = answer.status === 403 ? refusalOf(readFailure(answer.body)) : undefined;
  const isScope = refusal?.kind === 'oauth-scope';
  return {
    api,
    apiPath,
    method: request.method,
    refused: isScope ? refusal.reason : undefined,
    scope: isScope ? /api access scope: (.{1,100})$/i.exec(refusal.reason)?.[1] : undefined,
  };
}
