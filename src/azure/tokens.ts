/** Entra access tokens: one request in flight per scope, kept until five minutes before they end (azure.md §2, §3.4). */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { TokenCredential } from '@azure/identity';
import { isSyncError, SyncError } from '../errors.ts';
import type { Gate } from '../model.ts';
import { createCredential, refuseUnusable, type CredentialChoice, type CredentialOptions } from './credentials.ts';
import { entraCodeIn, entraError, type EntraFacts } from './entra-errors.ts';
import { trustedAuthorities } from '../trust.ts';
import { retryAfterMs } from '../transport.ts';

export interface AccessToken {
  readonly token: string;
  readonly expiresAtMs: number;
  readonly obtainedAtMs: number;
  /** What the authority's own clock said when it answered; undefined where it does not say. To the second. */
  readonly serverTimeMs?: number | undefined;
}

export interface GetTokenOptions {
  readonly signal?: AbortSignal | undefined;
  /** Never answer from the cache. */
  readonly forceNew?: boolean | undefined;
  /** With `forceNew`: the token a service refused. Where the cache already holds another one, that one is the fresh one. */
  readonly rejectedToken?: string | undefined;
  /** Holds a slot during the request; without it nothing limits token requests. */
  readonly gate?: Gate | undefined;
}

export interface TokenSource {
  readonly tenantId: string;
  readonly clientId: string;
  /**
   * A token for one scope (`https://management.azure.com/.default`).
   * @throws SyncError `unauthenticated`, `forbidden` (with a remedy), `throttled`, `transient`, `misconfigured` (certificate)
   */
  getToken(scope: string, options?: GetTokenOptions): Promise<AccessToken>;
}

export interface TokenSourceOptions {
  readonly tenantId: string;
  readonly clientId: string;
  readonly credential: CredentialChoice;
  /** https origin of the authority. */
  readonly authorityHost: string;
  readonly caFile?: string | undefined;
  /** Needed for authorities that the public instance discovery does not know (default false). */
  readonly disableInstanceDiscovery?: boolean | undefined;
  /** Over all requests of one token (default 30,000). */
  readonly timeoutMs?: number | undefined;
  readonly nowMs?: (() => number) | undefined;
}

const renewBeforeMs = 5 * 60 * 1000;

/** What the library hides: the last answer, or why there was none. */
interface Watched {
  answer: EntraFacts['last'];
  serverTimeMs?: number | undefined;
  networkError: unknown;
}

/** One request in flight; it is ended when the last one who waits for it has left. */
interface Flight {
  readonly answer: Promise<AccessToken>;
  readonly abandon: () => void;
  waiting: number;
}

/** Keep one for the life of the worker: it holds the tokens. */
export function createTokenSource(options: TokenSourceOptions): TokenSource {
  const nowMs = options.nowMs ?? Date.now;
  const cache = new Map<string, AccessToken>();
  const flights = new Map<string, Flight>();

  const cached = (scope: string, { forceNew, rejectedToken }: GetTokenOptions): AccessToken | undefined => {
    const token = cache.get(scope);
    if (token === undefined || token.expiresAtMs - nowMs() < renewBeforeMs) return undefined;
    return forceNew === true && (rejectedToken === undefined || rejectedToken === token.token) ? undefined : token;
  };

  const takeOff = (scope: string, gate: Gate | undefined): Flight => {
    const abort = new AbortController();
    const remove = (): void => {
      if (flights.get(scope) === flight) flights.delete(scope);
    };
    const answer = requestToken(options, scope, gate, abort.signal, nowMs)
      .then((token) => {
        cache.set(scope, token);
        return token;
      })
      .finally(remove);
    // Everybody may have left before it fails; those who wait get the failure themselves.
    answer.catch(() => undefined);
    const abandon = (): void => {
      remove();
      abort.abort(new Error('Nobody waits for this token any more.'));
    };
    const flight: Flight = { answer, abandon, waiting: 0 };
    flights.set(scope, flight);
    return flight;
  };

  const getToken = async (scope: string, request: GetTokenOptions = {}): Promise<AccessToken> => {
    request.signal?.throwIfAborted();
    refuseUnusable(options.credential, options.clientId);
    for (;;) {
      const ready = cached(scope, request);
      if (ready !== undefined) return ready;
      const running = flights.get(scope);
      try {
        return await join(running ?? takeOff(scope, request.gate), request.signal);
      } catch (error) {
        // The one who took off lost their fence, which says nothing about ours.
        if (running === undefined || !isSyncError(error, 'fenced-out')) throw error;
      }
    }
  };
  return { tenantId: options.tenantId, clientId: options.clientId, getToken };
}

async function join(flight: Flight, signal: AbortSignal | undefined): Promise<AccessToken> {
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

async function requestToken(
  options: TokenSourceOptions,
  scope: string,
  gate: Gate | undefined,
  signal: AbortSignal,
  nowMs: () => number,
): Promise<AccessToken> {
  await refuseUnreadableFile(options.credential);
  const ca = trustedAuthorities(options.caFile);
  const deadline = AbortSignal.timeout(options.timeoutMs ?? 30_000);
  const send = async (gateSignal: AbortSignal): Promise<AccessToken> => {
    const ended = AbortSignal.any([gateSignal, signal, deadline]);
    const watched: Watched = { answer: undefined, networkError: undefined };
    const obtainedAtMs = nowMs();
    try {
      const credential = newCredential(options, ca, watched, ended);
      const token = await credential.getToken(scope);
      if (token === null) throw new Error('The credential returned no token.');
      return { token: token.token, expiresAtMs: token.expiresOnTimestamp, obtainedAtMs, serverTimeMs: watched.serverTimeMs };
    } catch (error) {
      gateSignal.throwIfAborted();
      signal.throwIfAborted();
      throw entraError(error, {
        tenantId: options.tenantId,
        clientId: options.clientId === '' ? undefined : options.clientId,
        fromHost: options.credential.type === 'managed-identity',
        scope,
        host: new URL(options.authorityHost).host,
        last: watched.answer,
        networkError: watched.networkError,
        secrets: options.credential.type === 'secret' ? [options.credential.value] : [],
      });
    }
  };
  try {
    return await (gate === undefined ? send(signal) : gate.pass('azure', send, signal));
  } catch (error) {
    if (isSyncError(error, 'throttled')) await gate?.holdBack(error.retryAfterMs ?? 10_000);
    throw error;
  }
}

/**
 * A new credential for every request: the library caches tokens itself, and a refused one could not be got out of it otherwise.
 * Its retries are off (Temporal owns them), and it may not follow redirects.
 */
function newCredential(
  options: TokenSourceOptions,
  ca: readonly string[] | undefined,
  watched: Watched,
  signal: AbortSignal,
): TokenCredential {
  const watch: NonNullable<CredentialOptions['additionalPolicies']>[number]['policy'] = {
    name: 'defenderSyncWatch',
    sendRequest: async (request, next) => {
      // The library ignores the abort signal that is given to getToken.
      request.abortSignal = signal;
      try {
        const answer = await next(request);
        const serverTimeMs = Date.parse(answer.headers.get('date') ?? '');
        watched.serverTimeMs = Number.isNaN(serverTimeMs) ? undefined : serverTimeMs;
        watched.answer = {
          status: answer.status,
          retryAfterMs: retryAfterMs(answer.headers.get('retry-after')),
          requestId: answer.headers.get('x-ms-request-id'),
          code: answer.status < 400 ? undefined : entraCodeIn(answer.bodyAsText),
        };
        return answer;
      } catch (error) {
        watched.answer = undefined;
        watched.networkError = error;
        throw error;
      }
    },
  };
  return createCredential(options.tenantId, options.clientId, options.credential, {
    authorityHost: options.authorityHost,
    disableInstanceDiscovery: options.disableInstanceDiscovery ?? false,
    retryOptions: { maxRetries: 0 },
    redirectOptions: { maxRetries: 0 },
    additionalPolicies: [{ policy: watch, position: 'perRetry' }],
    ...(ca === undefined ? {} : { tlsOptions: { ca: [...ca] } }),
  });
}

/** Says which file is missing; the library would speak of a failed authentication. */
async function refuseUnreadableFile(credential: CredentialChoice): Promise<void> {
  const file =
    credential.type === 'certificate' ? credential.pemPath : credential.type === 'federated-token-file' ? credential.path : undefined;
  if (file === undefined) return;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new SyncError({
      kind: 'misconfigured',
      service: 'entra',
      message: `The ${credential.type} file ${file} cannot be read.`,
      remedy: 'Check the path in the credential of the deployment, and that the worker may read it.',
      cause: error,
    });
  }
  const lacks = credential.type === 'certificate' ? whatIsWrongWith(text) : undefined;
  if (lacks === undefined) return;
  throw new SyncError({
    kind: 'unauthenticated',
    service: 'entra',
    code: 'certificate-file-unusable',
    message: `The certificate file ${file} ${lacks}.`,
    remedy: `Put the certificate and its private key, unencrypted, into ${file} as PEM (BEGIN CERTIFICATE and BEGIN PRIVATE KEY; from a PKCS #12 file: openssl pkcs12 -in <file.pfx> -nodes -out ${file}).`,
  });
}

/** The library finds it out as well, and what it then throws looks like a network that is down. */
function whatIsWrongWith(pem: string): string | undefined {
  let certificate: X509Certificate;
  let key: KeyObject;
  try {
    certificate = new X509Certificate(pem);
  } catch {
    return 'holds no certificate';
  }
  if (/BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(pem)) return 'holds a private key that is encrypted';
  try {
    key = createPrivateKey(pem);
  } catch {
    return 'holds no private key';
  }
  return certificate.checkPrivateKey(key) ? undefined : 'holds a private key that is not that of the certificate';
}
