import { randomBytes } from 'node:crypto';
import type { LabClock } from '../kit/clock.ts';
import { sameText, type Accounts } from './accounts.ts';
import type { Caller } from './access.ts';
import { json, type ApiRequest, type ApiResponse } from './http.ts';
import { propertyOf } from './query/evaluate.ts';
import type { Store } from './store.ts';

const ACCESS_TOKEN_MS = 30 * 60 * 1000;
const REFRESH_TOKEN_MS = 100 * 24 * 60 * 60 * 1000;

interface Token {
  access: string;
  accessExpiresMs: number;
  refresh: string | undefined;
  refreshExpiresMs: number;
  clientId: string;
  userName: string;
}

/** The token endpoint and what it handed out (servicenow.md §5.7). */
export interface OAuth {
  /** POST /oauth_token.do */
  token(request: ApiRequest): ApiResponse;
  /** The account behind a bearer token; undefined where it is unknown, expired, or the account may no longer sign in. */
  callerOf(bearer: string): Caller | undefined;
  /** Ends every token, as after a restart of an instance without its token store. */
  revokeAll(): void;
}

export function createOAuth(store: Store, accounts: Accounts, clock: LabClock): OAuth {
  const tokens = new Map<string, Token>();
  const byAccess = new Map<string, Token>();
  const byRefresh = new Map<string, Token>();

  const issue = (clientId: string, userName: string, withRefresh: boolean): ApiResponse => {
    const key = `${clientId}/${userName}/${String(withRefresh)}`;
    const nowMs = clock.nowMs();
    let token = tokens.get(key);
    if (token === undefined || token.accessExpiresMs <= nowMs) {
      if (token !== undefined) byAccess.delete(token.access);
      const keptRefresh = token !== undefined && token.refreshExpiresMs > nowMs ? token.refresh : undefined;
      token = {
        access: newToken(),
        accessExpiresMs: 0,
        refresh: withRefresh ? (keptRefresh ?? newToken()) : undefined,
        refreshExpiresMs: nowMs + REFRESH_TOKEN_MS,
        clientId,
        userName,
      };
      tokens.set(key, token);
      byAccess.set(token.access, token);
      if (token.refresh !== undefined) byRefresh.set(token.refresh, token);
    }
    // A request while a token is valid returns the same token and extends it.
    token.accessExpiresMs = nowMs + ACCESS_TOKEN_MS;
    return json(200, {
      access_token: token.access,
      ...(token.refresh === undefined ? {} : { refresh_token: token.refresh }),
      scope: 'useraccount',
      token_type: 'Bearer',
      expires_in: ACCESS_TOKEN_MS / 1000 - 1,
    });
  };

  return {
    revokeAll: () => {
      tokens.clear();
      byAccess.clear();
      byRefresh.clear();
    },
    callerOf: (bearer) => {
      const token = byAccess.get(bearer);
      return token === undefined || token.accessExpiresMs <= clock.nowMs() ? undefined : accounts.byName(token.userName);
    },
    token: (request) => {
      if (request.method !== 'POST') return denied();
      if (!/^application\/x-www-form-urlencoded\b/i.test(request.headers['content-type'] ?? '')) return denied();
      const form = new URLSearchParams(request.body.toString('utf8'));
      const client = accounts.oauthClients.find(({ clientId }) => clientId === form.get('client_id'));
      if (client === undefined || !sameText(client.clientSecret, form.get('client_secret') ?? '')) return denied();
      switch (form.get('grant_type')) {
        case 'client_credentials': {
          if (propertyOf(store, 'glide.oauth.inbound.client.credential.grant_type.enabled') !== 'true') return denied();
          return accounts.byName(client.userName) === undefined ? denied() : issue(client.clientId, client.userName, false);
        }
        case 'password': {
          const caller = accounts.byPassword(form.get('username') ?? '', form.get('password') ?? '');
          return caller === undefined ? denied() : issue(client.clientId, caller.userName, true);
        }
        case 'refresh_token': {
          const token = byRefresh.get(form.get('refresh_token') ?? '');
          const usable = token?.clientId === client.clientId && token.refreshExpiresMs > clock.nowMs();
          return usable && accounts.byName(token.userName) !== undefined ? issue(client.clientId, token.userName, true) : denied();
        }
        default:
          return denied();
      }
    },
  };
}

/** 86 characters of A-Z a-z 0-9 - _, as in oauth/token_success.json. */
function newToken(): string {
  return randomBytes(65).toString('base64url').slice(0, 86);
}

/** Whatever the cause, the answer is the same and flat (oauth/token_error_access_denied.json). */
function denied(): ApiResponse {
  return json(401, { error_description: 'access_denied', error: 'server_error' });
}
