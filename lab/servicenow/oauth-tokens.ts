import { randomBytes } from 'node:crypto';
import type { LabClock } from '../kit/clock.ts';

export interface Token {
  access: string;
  accessExpiresMs: number;
  refresh: string | undefined;
  refreshExpiresMs: number;
  /** sys_id of the oauth_entity row. */
  clientSysId: string;
  userName: string;
}

export interface TokenRequest {
  clientSysId: string;
  userName: string;
  withRefresh: boolean;
  accessMs: number;
  refreshMs: number;
}

/** What an instance handed out. Kept beside the records, not as records: reading a token is no write of a client. */
export interface TokenBook {
  /** Hands out the valid token of this client and user once more, extended, or a new one (servicenow.md §5.7). */
  issue(request: TokenRequest): Token;
  /** The token of an access token that has not expired. */
  byAccess(access: string): Token | undefined;
  byRefresh(refresh: string): Token | undefined;
  /** Ends every token that fits; returns how many. */
  revoke(fits: (token: Token) => boolean): number;
  all(): Token[];
  restore(tokens: Token[]): void;
}

export function createTokenBook(clock: LabClock): TokenBook {
  const current = new Map<string, Token>();
  const keyOf = (token: { clientSysId: string; userName: string }, withRefresh: boolean): string =>
    `${token.clientSysId}/${token.userName}/${String(withRefresh)}`;
  const find = (fits: (token: Token) => boolean): Token | undefined => [...current.values()].find(fits);
  return {
    issue: (request) => {
      const nowMs = clock.nowMs();
      const key = keyOf(request, request.withRefresh);
      const known = current.get(key);
      const isValid = known !== undefined && known.accessExpiresMs > nowMs;
      const keepsRefresh = known?.refresh !== undefined && known.refreshExpiresMs > nowMs;
      const token: Token = {
        access: isValid ? known.access : newToken(),
        accessExpiresMs: nowMs + request.accessMs,
        refresh: keepsRefresh ? known.refresh : request.withRefresh ? newToken() : undefined,
        refreshExpiresMs: keepsRefresh ? known.refreshExpiresMs : nowMs + request.refreshMs,
        clientSysId: request.clientSysId,
        userName: request.userName,
      };
      current.set(key, token);
      return token;
    },
    byAccess: (access) => find((token) => token.access === access && token.accessExpiresMs > clock.nowMs()),
    byRefresh: (refresh) => find((token) => token.refresh === refresh && token.refreshExpiresMs > clock.nowMs()),
    revoke: (fits) => {
      const ended = [...current].filter(([, token]) => fits(token));
      for (const [key] of ended) current.delete(key);
      return ended.length;
    },
    all: () => [...current.values()].map((token) => ({ ...token })),
    restore: (tokens) => {
      current.clear();
      for (const token of tokens) current.set(keyOf(token, token.refresh !== undefined), { ...token });
    },
  };
}

/** 86 characters of A-Z a-z 0-9 - _, as in oauth/token_success.json. */
function newToken(): string {
  return randomBytes(65).toString('base64url').slice(0, 86);
}
