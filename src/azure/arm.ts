/** Azure Resource Manager over HTTPS: pages, single resources, POST (azure.md §1, §1.11). Graph speaks the same way. */
import { SyncError } from '../errors.ts';
import type { Gate } from '../model.ts';
import { answerError, malformed, requestIdOf, throttleMs, transportError, type RequestFacts } from './errors.ts';
import type { TokenSource } from './tokens.ts';
import { createTransport, isObject, type HttpAnswer, type Transport } from '../transport.ts';

/** One page of a list. */
export interface ArmPage {
  readonly items: readonly unknown[];
  /** Absolute URL on the same origin; absent on the last page. */
  readonly nextLink?: string;
  readonly requestId?: string;
  /** Reads left before throttling, where the service says so. */
  readonly remainingReads?: number;
}

/** The first page by its path (relative to the endpoint, already escaped), or a later one by the link the service gave. */
export type PageRequest =
  | { readonly path: string; readonly apiVersion: string; readonly query?: Readonly<Record<string, string>> | undefined }
  | { readonly nextLink: string };

export interface ArmClient {
  /**
   * One page. Follows `nextLink` verbatim, but only to the same origin.
   * @throws SyncError `throttled`, `transient`, `unauthenticated`, `forbidden`, `not-found`, `rejected`, `malformed-answer`
   */
  getPage(request: PageRequest, signal?: AbortSignal): Promise<ArmPage>;
  /** One resource; undefined when it does not exist (404). */
  getOne(
    path: string,
    apiVersion: string,
    query?: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<Readonly<Record<string, unknown>> | undefined>;
  /** A reading POST (Resource Graph, getEntities): the parsed answer and its headers. */
  post(path: string, apiVersion: string, body: unknown, signal?: AbortSignal): Promise<ArmAnswer>;
}

export interface ArmAnswer {
  readonly body: Readonly<Record<string, unknown>>;
  readonly header: (name: string) => string | undefined;
}

export interface ArmClientOptions {
  /** https origin of ARM (or Graph). */
  readonly endpoint: string;
  readonly tokens: TokenSource;
  readonly scope: string;
  readonly gate: Gate;
  readonly caFile?: string | undefined;
  /** Share one to share its connections; made here otherwise. */
  readonly transport?: Transport | undefined;
  readonly service?: 'azure' | 'graph' | undefined;
  /** Per request (default 150,000): a page of assessments may take up to a minute, a gateway answers 504 after two (azure.md §4). */
  readonly timeoutMs?: number | undefined;
  readonly nowMs?: (() => number) | undefined;
}

/** The largest page that is read: 64 MB. */
export const maxPageBytes = 64 * 1024 * 1024;
/** A 403 with a token older than this is tried once with a fresh one: access may have been granted since (azure.md §1.11). */
const freshTokenMs = 5 * 60 * 1000;

export function createArmClient(options: ArmClientOptions): ArmClient {
  const service = options.service ?? 'azure';
  const endpoint = new URL(options.endpoint);
  const call = createCaller(options);
  const urlOf = (path: string, apiVersion: string, query: Readonly<Record<string, string>> = {}): URL => {
    const url = new URL(path, endpoint);
    requireSameOrigin(url, endpoint, service, 'the path of a request');
    if (apiVersion !== '') url.searchParams.set('api-version', apiVersion);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  };
  return {
    getPage: async (request, signal) => {
      const url =
        'nextLink' in request ? linkUrl(request.nextLink, endpoint, service) : urlOf(request.path, request.apiVersion, request.query);
      const answer = await call('GET', url, undefined, signal);
      return readPage(answer, parse(answer, service, `GET ${url.pathname}`), endpoint, service, url.pathname);
    },
    getOne: async (path, apiVersion, query, signal) => {
      const url = urlOf(path, apiVersion, query);
      const answer = await call('GET', url, undefined, signal, [404]);
      return answer.status === 404 ? undefined : parse(answer, service, `GET ${url.pathname}`);
    },
    post: async (path, apiVersion, body, signal) => {
      const url = urlOf(path, apiVersion);
      const answer = await call('POST', url, JSON.stringify(body), signal);
      return { body: parse(answer, service, `POST ${url.pathname}`), header: (name) => answer.header(name) };
    },
  };
}

type Call = (
  method: 'GET' | 'POST',
  url: URL,
  body: string | undefined,
  signal: AbortSignal | undefined,
  alsoFine?: readonly number[],
) => Promise<HttpAnswer>;

/** Token, gate, one fresh token where that may help, and the casting of everything else. */
function createCaller(options: ArmClientOptions): Call {
  const service = options.service ?? 'azure';
  const nowMs = options.nowMs ?? Date.now;
  const transport = options.transport ?? createTransport({ caFile: options.caFile, maxAnswerBytes: maxPageBytes });
  const timeoutMs = options.timeoutMs ?? 150_000;

  return async (method, url, body, signal, alsoFine = []) => {
    const what = `${method} ${url.pathname}`;
    const sendOnce = async (token: string): Promise<HttpAnswer> => {
      try {
        return await options.gate.pass(
          'azure',
          (gateSignal) => transport.send({ method, url: url.href, headers: headersOf(token, body), body, timeoutMs, signal: gateSignal }),
          signal,
        );
      } catch (error) {
        throw transportError(error, service, what);
      }
    };
    const first = await options.tokens.getToken(options.scope, { signal, gate: options.gate });
    let answer = await sendOnce(first.token);
    let { token } = first;
    const mayHelp = answer.status === 401 || (answer.status === 403 && nowMs() - first.obtainedAtMs > freshTokenMs);
    if (mayHelp) {
      const again = { signal, gate: options.gate, forceNew: true, rejectedToken: token };
      ({ token } = await options.tokens.getToken(options.scope, again));
      answer = await sendOnce(token);
    }
    if ((answer.status >= 200 && answer.status < 300) || alsoFine.includes(answer.status)) return answer;
    const facts: RequestFacts = { service, what, secrets: [token] };
    if (answer.status === 429) await options.gate.holdBack(throttleMs(answer, answer.text));
    throw answerError(answer, facts);
  };
}

function headersOf(token: string, body: string | undefined): Record<string, string> {
  return {
    Authorization: `Bearer ${token}`,
    Accept: 'application/json',
    ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
  };
}

function parse(answer: HttpAnswer, service: 'azure' | 'graph', what: string): Readonly<Record<string, unknown>> {
  let body: unknown;
  try {
    body = JSON.parse(answer.text);
  } catch {
    // The parser's own message quotes the text, which may be data.
    throw malformed(service, what, 'the answer is not JSON', answer);
  }
  if (!isObject(body)) throw malformed(service, what, 'the answer is not a JSON object', answer);
  return body;
}

function readPage(
  answer: HttpAnswer,
  body: Readonly<Record<string, unknown>>,
  endpoint: URL,
  service: 'azure' | 'graph',
  path: string,
): ArmPage {
  const items = body['value'];
  if (!Array.isArray(items)) throw malformed(service, `GET ${path}`, 'the page has no list named "value"', answer);
  // The management-group list spells it with an at sign; null and "" end a list like an absent link (azure.md §1).
  const next = body['nextLink'] ?? body['@nextLink'] ?? body['@odata.nextLink'];
  if (next !== undefined && next !== null && typeof next !== 'string') {
    throw malformed(service, `GET ${path}`, 'the link to the next page is not text', answer);
  }
  const requestId = requestIdOf(answer);
  const remaining = Number(
    answer.header('x-ms-ratelimit-remaining-subscription-reads') ??
      answer.header('x-ms-ratelimit-remaining-subscription-resource-requests') ??
      answer.header('x-ms-ratelimit-remaining-tenant-reads'),
  );
  if (typeof next === 'string' && next !== '') linkUrl(next, endpoint, service);
  return {
    items: items as readonly unknown[],
    ...(typeof next === 'string' && next !== '' ? { nextLink: next } : {}),
    ...(requestId === undefined ? {} : { requestId }),
    ...(Number.isFinite(remaining) ? { remainingReads: remaining } : {}),
  };
}

/** Checks a link before it is kept or followed: our token must not reach another host. */
function linkUrl(link: string, endpoint: URL, service: 'azure' | 'graph'): URL {
  const url = URL.parse(link);
  if (url === null) throw foreignLink(service, 'is not an absolute URL');
  requireSameOrigin(url, endpoint, service, 'the link to the next page');
  return url;
}

function requireSameOrigin(url: URL, endpoint: URL, service: 'azure' | 'graph', what: string): void {
  if (url.origin === endpoint.origin && url.username === '' && url.password === '') return;
  throw foreignLink(service, `leads to ${url.protocol}//${url.host} instead of ${endpoint.origin}`, what);
}

function foreignLink(service: 'azure' | 'graph', because: string, what = 'The link to the next page'): SyncError {
  return new SyncError({
    kind: 'malformed-answer',
    service,
    code: 'foreign-next-link',
    message: `${what.charAt(0).toUpperCase()}${what.slice(1)} ${because}; it was not followed.`,
    remedy: 'Check the ARM endpoint of the deployment: it must be the origin that the service itself uses in its links.',
  });
}
