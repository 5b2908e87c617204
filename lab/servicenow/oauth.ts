import type { LabClock } from '../kit/clock.ts';
import { sameText, type Accounts } from './accounts.ts';
import type { Caller } from './access.ts';
import { json, type ApiRequest, type ApiResponse } from './http.ts';
import { audienceOf, createJwtBearer } from './jwt-bearer.ts';
import { clientBySysId, findClient, scopesOf, type OAuthClient } from './oauth-clients.ts';
import { createTokenBook, type TokenBook } from './oauth-tokens.ts';
import { propertyOf } from './query/evaluate.ts';
import type { Store } from './store.ts';

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** Which grants a client's `inbound_grant_type` opens; values that are not listed open all but jwt-bearer. */
const GRANTS: Record<string, readonly string[]> = {
  client_credential: ['client_credentials'],
  ropc: ['password', 'refresh_token'],
  authz_code: ['refresh_token'],
  jwt: [JWT_BEARER],
};

/** Who a bearer token stands for, and the client it was given to. */
export interface BearerIdentity {
  caller: Caller;
  client: OAuthClient;
}

/** The token endpoint and what it handed out (servicenow.md §5.7). */
export interface OAuth {
  tokens: TokenBook;
  /** POST /oauth_token.do */
  token(request: ApiRequest): Promise<ApiResponse>;
  /** /oauth_revoke_token.do?token=…: needs no sign-in; the token counts as expired (t_RevokeOAuthToken). */
  revoke(request: ApiRequest): ApiResponse;
  /** undefined where the token is unknown or expired, its client inactive, or the account may no longer sign in. */
  identityOf(bearer: string): BearerIdentity | undefined;
}

export function createOAuth(store: Store, accounts: Accounts, clock: LabClock): OAuth {
  const tokens = createTokenBook(clock);
  const jwtBearer = createJwtBearer(store, clock);

  /** The account that a grant signs in; undefined: refused. */
  const accountOf = async (client: OAuthClient, form: URLSearchParams): Promise<Caller | undefined> => {
    switch (form.get('grant_type')) {
      case 'client_credentials': {
        if (propertyOf(store, 'glide.oauth.inbound.client.credential.grant_type.enabled') !== 'true') return undefined;
        const user = store.find('sys_user', client.row.values['user'] ?? '');
        return user === undefined ? undefined : accounts.byName(user.values['user_name'] ?? '');
      }
      case 'password':
        return accounts.byPassword(form.get('username') ?? '', form.get('password') ?? '');
      case 'refresh_token': {
        const token = tokens.byRefresh(form.get('refresh_token') ?? '');
        return token?.clientSysId === client.row.sysId ? accounts.byName(token.userName) : undefined;
      }
      case JWT_BEARER: {
        if (client.row.table !== 'oauth_jwt') return undefined;
        const assertion = await jwtBearer.verify(client.row, form.get('assertion') ?? '');
        const caller = assertion === undefined ? undefined : accounts.byField(assertion.userField, assertion.subject);
        // Two public projects report that the platform grants no JWT token to an administrator.
        return caller?.roles.has('admin') === true ? undefined : caller;
      }
      default:
        return undefined;
    }
  };

  const issue = (client: OAuthClient, caller: Caller, grant: string): ApiResponse => {
    const token = tokens.issue({
      clientSysId: client.row.sysId,
      userName: caller.userName,
      withRefresh: grant === 'password' || grant === 'refresh_token',
      accessMs: client.accessMs,
      refreshMs: client.refreshMs,
    });
    const scope = grantedScopes(store, client).join(' ');
    return json(200, {
      access_token: token.access,
      ...(token.refresh === undefined ? {} : { refresh_token: token.refresh }),
      scope,
      token_type: 'Bearer',
      expires_in: client.accessMs / 1000 - 1,
    });
  };

  return {
    tokens,
    identityOf: (bearer) => {
      const token = tokens.byAccess(bearer);
      const client = token === undefined ? undefined : clientBySysId(store, token.clientSysId);
      const caller = token === undefined ? undefined : accounts.byName(token.userName);
      return client === undefined || caller === undefined ? undefined : { caller, client };
    },
    revoke: (request) => {
      const given = request.query.get('token') ?? formOf(request).get('token') ?? '';
      tokens.revoke((token) => given !== '' && (token.access === given || token.refresh === given));
      // The answer was not recorded; the lab sends an empty 200 for a known and an unknown token alike.
      return { status: 200, headers: { 'content-type': 'text/html;charset=UTF-8' }, body: '' };
    },
    token: async (request) => {
      if (request.method !== 'POST' || !isForm(request)) return denied();
      const form = formOf(request);
      const grant = form.get('grant_type') ?? '';
      const client = authenticatedClient(store, form);
      if (client === undefined || !opens(client, grant) || !mayAskFor(store, client, form.get('scope'))) return denied();
      const caller = await accountOf(client, form);
      return caller === undefined ? denied() : issue(client, caller, grant);
    },
  };
}

/** By id and secret; a public client needs no secret and may name itself in its assertion alone (create-jwt-endpoint). */
function authenticatedClient(store: Store, form: URLSearchParams): OAuthClient | undefined {
  const client = findClient(store, form.get('client_id') ?? audienceOf(form.get('assertion') ?? ''));
  if (client === undefined || client.isPublic) return client;
  return client.secret !== '' && sameText(client.secret, form.get('client_secret') ?? '') ? client : undefined;
}

/** A client without a scope of its own has the default one, unless it is confined to its scopes. */
function grantedScopes(store: Store, client: OAuthClient): string[] {
  const scopes = [...scopesOf(store, client)].sort();
  return scopes.length === 0 && !client.isSecurelyScoped ? ['useraccount'] : scopes;
}

/** A scope that the client does not have is one of the recorded causes of access_denied (oauth/token_error_access_denied.json). */
function mayAskFor(store: Store, client: OAuthClient, asked: string | null): boolean {
  const granted = grantedScopes(store, client);
  return (asked ?? '').split(' ').every((scope) => scope === '' || granted.includes(scope));
}

function opens(client: OAuthClient, grant: string): boolean {
  if (client.row.table === 'oauth_jwt') return grant === JWT_BEARER;
  return GRANTS[client.row.values['inbound_grant_type'] ?? '']?.includes(grant) ?? grant !== JWT_BEARER;
}

function isForm(request: ApiRequest): boolean {
  return /^application\/x-www-form-urlencoded\b/i.test(request.headers['content-type'] ?? '');
}

function formOf(request: ApiRequest): URLSearchParams {
  return new URLSearchParams(isForm(request) ? request.body.toString('utf8') : '');
}

/** Whatever the cause, the answer is the same and flat (oauth/token_error_access_denied.json). */
function denied(): ApiResponse {
  return json(401, { error_description: 'access_denied', error: 'server_error' });
}
