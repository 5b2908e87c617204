import { randomBytes } from 'node:crypto';
import type { LabClock } from '../kit/clock.ts';
import type { ApiRequest, ApiResponse } from './http.ts';

export interface SessionSettings {
  /** Requests of one session that may wait behind the running one. Default 10 (servicenow.md §5.8). */
  queueLimit: number;
  /** How long one waits before it is dropped, in host time. Default 30,000 ms. */
  waitMs: number;
}

/** Sessions of clients that keep cookies; those that do not get a new one with every answer (KB0552064) and never wait. */
export interface Sessions {
  settings: SessionSettings;
  /**
   * Runs a request when the session it names is free: one at a time. A request that finds the queue full, or waits too long, is answered
   * 202 and no work is done (servicenow.md §5.8).
   */
  run(request: ApiRequest, work: () => Promise<ApiResponse>): Promise<ApiResponse>;
  /** Sessions that have not timed out. */
  count(): number;
  dropped(): number;
}

interface Session {
  id: string;
  route: string;
  usedMs: number;
  isBusy: boolean;
  /** Each starts one request. */
  waiting: (() => void)[];
}

/** Max-Age of glide_session_store (table-api/get_list_all_response_headers.http). */
const TIMEOUT_MS = 1_800_000;
/** The oldest go first: a client without a cookie jar makes one session per request. */
const MAX_SESSIONS = 20_000;

export function createSessions(clock: LabClock, settings: Partial<SessionSettings> = {}): Sessions {
  const sessions = new Map<string, Session>();
  let dropped = 0;
  const isAlive = (session: Session): boolean => session.isBusy || clock.nowMs() - session.usedMs < TIMEOUT_MS;
  const open = (): Session => {
    const session: Session = { id: hexUpper(), route: randomBytes(16).toString('hex'), usedMs: clock.nowMs(), isBusy: false, waiting: [] };
    for (const [id, oldest] of sessions) {
      if (isAlive(oldest) && sessions.size < MAX_SESSIONS) break;
      sessions.delete(id);
    }
    sessions.set(session.id, session);
    return session;
  };
  const known = (request: ApiRequest): Session | undefined => {
    const session = sessions.get(cookieOf(request, 'JSESSIONID'));
    return session === undefined || !isAlive(session) ? undefined : session;
  };
  /** Resolves when it is this request's turn: true, or false once it is dropped. */
  const turn = (session: Session): Promise<boolean> => {
    if (!session.isBusy) {
      session.isBusy = true;
      return Promise.resolve(true);
    }
    if (session.waiting.length >= all.settings.queueLimit) return Promise.resolve(false);
    return new Promise((resolve) => {
      const start = (): void => {
        clearTimeout(timer);
        resolve(true);
      };
      const timer = setTimeout(() => {
        session.waiting = session.waiting.filter((other) => other !== start);
        resolve(false);
      }, all.settings.waitMs);
      session.waiting.push(start);
    });
  };
  const done = (session: Session): void => {
    session.usedMs = clock.nowMs();
    const next = session.waiting.shift();
    if (next === undefined) session.isBusy = false;
    else next();
  };
  const all: Sessions = {
    settings: { queueLimit: 10, waitMs: 30_000, ...settings },
    count: () => [...sessions.values()].filter(isAlive).length,
    dropped: () => dropped,
    run: async (request, work) => {
      const session = known(request);
      if (session === undefined) {
        const response = await work();
        return { ...response, cookies: cookies(open(), response.status) };
      }
      if (!(await turn(session))) {
        dropped += 1;
        // Neither body nor headers were recorded.
        return { status: 202, headers: {}, body: '' };
      }
      try {
        return await work();
      } finally {
        done(session);
      }
    },
  };
  return all;
}

function hexUpper(): string {
  return randomBytes(16).toString('hex').toUpperCase();
}

function cookieOf(request: ApiRequest, name: string): string {
  const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim());
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
}

/** errors/401_not_authenticated.http, table-api/get_list_all_response_headers.http: an answer without sign-in has no route. */
function cookies(session: Session, status: number): string[] {
  const attributes = 'Path=/; HttpOnly; SameSite=None; Secure';
  const cleared = `Max-Age=0; Expires=Thu, 01-Jan-1970 00:00:10 GMT; ${attributes}`;
  const isSignedIn = status !== 401;
  return [
    `JSESSIONID=${session.id}; ${attributes}`,
    `glide_user=; ${cleared}`,
    `glide_user_session=; ${cleared}`,
    ...(isSignedIn
      ? [
          `glide_user_route=glide.${session.route}; Max-Age=2147483647; ${attributes}`,
          `glide_session_store=${hexUpper()}; Max-Age=${String(TIMEOUT_MS / 1000)}; ${attributes}`,
        ]
      : []),
    `BIGipServerpool_lab=${session.route.slice(0, 16)}.0000; path=/; HttpOnly; Secure; SameSite=None`,
  ];
}
