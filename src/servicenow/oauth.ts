/** How requests are authorised: OAuth with one token request in flight, or basic authentication (servicenow.md §5.7). */
import { isSyncError, SyncError } from '../errors.ts';
import type { Gate } from '../model.ts';
import {
  answerError,
  isInstanceFailure,
  notServiceNow,
  readFailure,
  requestIdOf,
  throttleMs,
  transportError,
  unreadableAnswer,
} from './errors.ts';
import { isObject, vendorSentence, type HttpAnswer, type Transport } from '../transport.ts';

export type ServiceNowAuth =
  | { readonly type: 'client-credentials'; readonly clientId: string; readonly clientSecret: string }
  | {
      readonly type: 'password';
      readonly clientId: string;
      readonly clientSecret: string;
      readonly userName: string;
      readonly password: string;
    }
  | { readonly type: 'basic'; readonly userName: string; readonly password: string }
  /** A secret that is not where it should be; `problem` is what every request gets. */
  | { readonly type: 'unreadable'; readonly problem: SyncError };

export interface AuthorizeOptions {
  readonly gate: Gate;
  readonly signal?: AbortSignal | undefined;
  /** The Authorization header that was refused: anything else in the cache is fresher. */
  readonly rejected?: string | undefined;
}

export interface Authorizer {
  /** False for basic authentication: there is nothing fresher to try after a 401. */
  readonly renewable: boolean;
  /** What must never appear in a message. */
  readonly secrets: readonly string[];
  /** @returns the Authorization header @throws SyncError `unauthenticated` with the likely causes, `throttled`, `transient` */
  authorize(options: AuthorizeOptions): Promise<string>;
}

export interface AuthorizerOptions {
  /** https origin of the instance. */
  readonly url: string;
  readonly auth: ServiceNowAuth;
  readonly transport: Transport;
  /** Default 30,000. */
  readonly timeoutMs?: number | undefined;
  readonly nowMs?: (() => number) | undefined;
}

/** Keep one for the life of the worker: it holds the token. */
export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { auth } = options;
  if (auth.type === 'unreadable') return { renewable: false, secrets: [], authorize: () => Promise.reject(auth.problem) };
  if (auth.type !== 'basic') return createOAuth(options, auth);
  const header = `Basic ${Buffer.from(`${auth.userName}:${auth.password}`, 'utf8').toString('base64')}`;
  return { renewable: false, secrets: [auth.password, header.slice(6)], authorize: () => Promise.resolve(header) };
}

type OAuth = Exclude<ServiceNowAuth, { type: 'basic' | 'unreadable' }>;

function secretsOf(auth: OAuth): string[] {
  return auth.type === 'password' ? [auth.clientSecret, auth.password] : [auth.clientSecret];
}

interface Token {
  readonly header: string;
  readonly expiresAtMs: number;
}

/** A token is not used in its last minute: a batch takes up to half of it. */
const renewBeforeMs = 60_000;

interface Flight {
  readonly answer: Promise<Token>;
  readonly abandon: () => void;
  waiting: number;
}

function createOAuth(options: AuthorizerOptions, auth: OAuth): Authorizer {
  const nowMs = options.nowMs ?? Date.now;
  const secrets = secretsOf(auth);
  let token: Token | undefined;
  let flight: Flight | undefined;

  const takeOff = (gate: Gate): Flight => {
    const abort = new AbortController();
    const remove = (): void => {
      if (flight === started) flight = undefined;
    };
    const answer = requestToken(options, auth, gate, abort.signal, nowMs)
      .then((fresh) => (token = fresh))
      .finally(remove);
    // Everybody may have left before it fails; those who wait get the failure themselves.
    answer.catch(() => undefined);
    const abandon = (): void => {
      remove();
      abort.abort(new Error('Nobody waits for this token any more.'));
    };
    const started: Flight = { answer, abandon, waiting: 0 };
    flight = started;
    return started;
  };

  const authorize = async ({ gate, signal, rejected }: AuthorizeOptions): Promise<string> => {
    signal?.throwIfAborted();
    for (;;) {
      if (token !== undefined && token.header !== rejected && token.expiresAtMs - nowMs() > renewBeforeMs) return token.header;
      const running = flight;
      try {
        return (await join(running ?? takeOff(gate), signal)).header;
      } catch (error) {
        // The one who took off lost their fence, which says nothing about ours.
        if (running === undefined || !isSyncError(error, 'fenced-out')) throw error;
      }
    }
  };
  return {
    renewable: true,
    get secrets() {
      return token === undefined ? secrets : [...secrets, token.header.slice('Bearer '.length)];
    },
    authorize,
  };
}

async function join(flight: Flight, signal: AbortSignal | undefined): Promise<Token> {
  flight.waiting += 1;
  const leave = Promise.withResolvers<never>();
  const onAbort = (): void => leave.reject(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([flight.answer, leave.promise]);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    flight.waiting -= 1;
    if (flight.waiting === 0) flight.abandon();
  }
}

const path = '/oauth_token.do';

async function requestToken(options: AuthorizerOptions, auth: OAuth, gate: Gate, signal: AbortSignal, nowMs: () => number): Promise<Token> {
  const facts = { what: `POST ${path}`, effect: 'read', secrets: secretsOf(auth) } as const;
  const form = new URLSearchParams({
    grant_type: auth.type === 'password' ? 'password' : 'client_credentials',
    client_id: auth.clientId,
    client_secret: auth.clientSecret,
    ...(auth.type === 'password' ? { username: auth.userName, password: auth.password } : {}),
  });
  const askedAtMs = nowMs();
  let answer: HttpAnswer;
  try {
    answer = await gate.pass(
      'serviceNowReads',
      (gateSignal) =>
        options.transport.send({
          method: 'POST',
          url: new URL(path, options.url).href,
          headers: { 'Content-Type': 'application/x-www-form-urlencoded', Accept: 'application/json' },
          body: form.toString(),
          timeoutMs: options.timeoutMs ?? 30_000,
          signal: gateSignal,
        }),
      signal,
    );
  } catch (error) {
    throw transportError(error, facts);
  }
  const body = parseJson(answer.text);
  if (answer.status === 429) await gate.holdBack(throttleMs(answer));
  if (answer.status === 400 || answer.status === 401 || answer.status === 403) throw refusedToken(answer, body, auth);
  if (answer.status !== 200) throw answerError(answer, body, facts);
  if (!isObject(body)) throw unreadableAnswer(answer, facts);
  const accessToken = body['access_token'];
  if (typeof accessToken !== 'string' || accessToken === '') throw refusedToken(answer, body, auth);
  const seconds = Number(body['expires_in']);
  return { header: `Bearer ${accessToken}`, expiresAtMs: askedAtMs + (Number.isFinite(seconds) ? seconds : 1_800) * 1_000 };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Judged by the status, or reported as unreadable by the caller.
    return undefined;
  }
}

/** Nearly every cause has one text, server_error / access_denied: so the remedy lists the causes in the order of likelihood. */
function refusedToken(answer: HttpAnswer, body: unknown, auth: OAuth): SyncError {
  const { message, detail } = readFailure(body);
  const said = vendorSentence([message, detail].filter((text) => text !== '').join(' / '), secretsOf(auth));
  const causes =
    auth.type === 'client-credentials'
      ? [
          'the client secret is wrong',
          'the property glide.oauth.inbound.client.credential.grant_type.enabled is not true',
          'the client (System OAuth › Application Registry) has no OAuth Application User',
          'that user is inactive, locked out or has "Password needs reset" checked',
          'a scope is requested that the client does not have',
        ]
      : [
          'the password or the client secret is wrong',
          'the user is inactive, locked out or has "Password needs reset" checked',
          'the client (System OAuth › Application Registry) does not allow the password grant',
        ];
  return new SyncError({
    kind: 'unauthenticated',
    service: 'servicenow',
    status: answer.status,
    code: !isInstanceFailure(body) ? notServiceNow : message === '' ? undefined : vendorSentence(message, secretsOf(auth)),
    requestId: requestIdOf(answer),
    message: `The instance gave no token to OAuth client ${auth.clientId}${said === '' ? '.' : `: ${said}.`}`,
    remedy: `The usual causes, most likely first: ${causes.map((cause, index) => `(${index + 1}) ${cause}`).join('; ')}.`,
  });
}
